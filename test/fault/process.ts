import { setTimeout as sleep } from "node:timers/promises";
import { type Child, childEnvironment, type Exit, millraceBin, startChild } from "../flow/standalone.ts";

export interface ProcessOptions {
  readonly name: string;
  /** What `millrace` is given, such as `worker hourlyLog`. */
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly adminPort: number;
  readonly workingDir: string;
  /** The command that node runs; by default that of this checkout. */
  readonly bin?: string;
  /** What node is given; by default as `npm start` does. */
  readonly nodeFlags?: readonly string[];
}
/** How often a process was started again, and why. */
export interface Restarts {
  /** It was killed on purpose. */
  killed: number;
  /** It ended with a code other than 0, as it may when it cannot go on. */
  bySelf: number;
  /** It found its port taken: while it was down, a socket of anyone's may have been given it. */
  portTaken: number;
}

const startFlags = ["--max-semi-space-size=4", "--max-old-space-size=96"];
const LOG_MAX = 256 * 1024;
const TAIL = 2000;
/** About what a supervisor takes to notice. */
const RESTART_AFTER_MS = 500;
/** Longer than the drain timeout of 10 s. */
const STOP_MS = 20_000;
const ANSWER_MS = 3000;

/** A process of Millrace that is started again whenever it ends, as Kubernetes would. */
export class SupervisedProcess {
  readonly name: string;
  readonly restarts: Restarts = { killed: 0, bySelf: 0, portTaken: 0 };
  /** Why it ended by itself each time, and what it said last. */
  readonly endings: string[] = [];
  /** Ends that must not be: with code 0, or by a signal that was not sent on purpose. */
  readonly faults: string[] = [];
  readonly #options: ProcessOptions;
  readonly #stop = new AbortController();
  readonly #supervision: Promise<void>;
  #child: Child;
  #bin: string;
  #killed = false;
  #replaced = false;
  #log = "";
  /** What the process that runs now has said last. */
  #tail = "";

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.#bin = options.bin ?? millraceBin;
    this.#child = this.#spawn();
    this.#supervision = this.#supervise();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  log(): string {
    return this.#log;
  }

  /** SIGKILL. Resolves once it has ended; it is started again by itself. */
  async kill(): Promise<void> {
    this.#killed = true;
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  /** SIGTERM, and another command in its place as soon as it has ended; SIGKILL to one that has not ended 20 s later. */
  async replace(bin: string): Promise<Exit> {
    this.#bin = bin;
    this.#replaced = true;
    return this.#end(this.#child);
  }

  /** SIGSTOP: it stands still until `resume`. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** Why it is not ready, or undefined when it is. */
  async unready(): Promise<string | undefined> {
    const answer = await this.#ask("/readyz");
    if (typeof answer === "string") return answer;
    return answer.status === 200 ? undefined : `${answer.status} ${answer.text}`;
  }

  /** What its metrics say, as Prometheus text; empty while it does not answer. */
  async metrics(): Promise<string> {
    const answer = await this.#ask("/metrics");
    return typeof answer === "string" ? "" : answer.text;
  }

  /** SIGTERM, and SIGKILL to one that has not ended 20 s later. It is not started again. */
  async stop(): Promise<Exit> {
    this.#stop.abort();
    const exit = await this.#end(this.#child);
    await this.#supervision;
    return exit;
  }

  async #end(child: Child): Promise<Exit> {
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    const exit = await child.exited;
    clearTimeout(late);
    return exit;
  }

  async #ask(path: string): Promise<{ readonly status: number; readonly text: string } | string> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#options.adminPort}${path}`, {
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      return `no answer: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
  }

  #spawn(): Child {
    const { words, environment, workingDir, nodeFlags = startFlags } = this.#options;
    this.#tail = "";
    return startChild([...nodeFlags, this.#bin, ...words], {
      env: childEnvironment(environment),
      cwd: workingDir,
      keep: (text) => {
        this.#log = (this.#log + text).slice(-LOG_MAX);
        this.#tail = (this.#tail + text).slice(-TAIL);
      },
    });
  }

  async #supervise(): Promise<void> {
    for (;;) {
      const exit = await this.#child.exited;
      if (this.#stop.signal.aborted) return;
      if (!this.#replaced) {
        this.#note(exit);
        await sleep(RESTART_AFTER_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
        if (this.#stop.signal.aborted) return;
      }
      this.#killed = false;
      this.#replaced = false;
      this.#child = this.#spawn();
    }
  }

  #note(exit: Exit): void {
    if (this.#killed && exit.signal === "SIGKILL") {
      this.restarts.killed += 1;
      return;
    }
    if (this.#tail.includes("EADDRINUSE")) {
      this.restarts.portTaken += 1;
      return;
    }
    const ending = `${this.name} ended by itself with ${JSON.stringify(exit)}\n${this.#tail}`;
    if (exit.code === null || exit.code === 0) this.faults.push(ending);
    else this.restarts.bySelf += 1;
    this.endings.push(ending);
  }
}
