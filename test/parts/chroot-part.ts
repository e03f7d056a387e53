import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { OwnPart } from "./own.ts";
import type { Filed } from "./part.ts";
import type { PartProcesses } from "./process.ts";

const STOP_MS = 30_000;

/** One of a part's processes that is told when to end, and by which signal. */
export interface Main {
  readonly child: ChildProcess;
  readonly signal: NodeJS.Signals;
}

/** A server in a chroot. */
export abstract class ChrootPart extends OwnPart implements AsyncDisposable {
  protected readonly processes: PartProcesses;
  /** In the order in which they are told to end. */
  protected mains: readonly Main[] = [];

  constructor(processes: PartProcesses) {
    super();
    this.processes = processes;
  }

  get pids(): readonly number[] {
    return this.processes.pids;
  }

  async stop(): Promise<void> {
    for (const { child, signal } of this.mains) {
      child.kill(signal);
      const deadline = Date.now() + STOP_MS;
      while (!ended(child) && Date.now() < deadline) await sleep(20);
    }
    await this.kill();
  }

  protected async end(): Promise<void> {
    await this.processes.kill();
  }

  async pause(): Promise<void> {
    await this.processes.pause();
  }

  async resume(): Promise<void> {
    await this.processes.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.processes[Symbol.asyncDispose]();
  }

  protected filed(environment: Readonly<Record<string, string>>): Filed {
    return {
      folder: this.processes.folder,
      shell: (script) => this.processes.run(["sh", "-ec", script], environment),
    };
  }

  protected lives(): boolean {
    return !this.mains.some(({ child }) => ended(child));
  }

  protected async output(): Promise<string> {
    return this.processes.output();
  }
}

export function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
