import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, childEnvironment, type Exit, millraceBin, startChild } from "../flow/standalone.ts";
import { freePorts } from "./ports.ts";

const LOG_MAX = 1024 * 1024;
const READY_MS = 20_000;

/** A `millrace operator` as a process of its own, for the cluster that the kubeconfig names. */
export interface OperatorProcess extends AsyncDisposable {
  readonly adminUrl: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** What it has written, the last mebibyte of it. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
  /** The values of its metrics, by name with labels as they are printed. */
  metrics(): Promise<ReadonlyMap<string, number>>;
}

/** Resolves once it is ready, leading or standing by. Rejects with the end of its log when it does not become so. */
export async function startOperator(
  kubeConfig: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<OperatorProcess> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-operator-"));
  const file = join(folder, "kubeconfig");
  await writeFile(file, kubeConfig, { mode: 0o600 });
  const [port = 0] = await freePorts(1);
  const operator = new RunningOperator(folder, `http://127.0.0.1:${port}`, {
    KUBECONFIG: file,
    MILLRACE_ADMIN_PORT: String(port),
    MILLRACE_OPERATOR_LEASE_NAMESPACE: "default",
    ...environment,
  });
  try {
    await operator.ready();
    return operator;
  } catch (error) {
    await operator[Symbol.asyncDispose]();
    throw error;
  }
}

class RunningOperator implements OperatorProcess {
  readonly adminUrl: string;
  readonly #folder: string;
  readonly #child: Child;
  #log = "";
  #ended = false;

  constructor(folder: string, adminUrl: string, environment: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.adminUrl = adminUrl;
    this.#child = startChild([millraceBin, "operator"], {
      env: childEnvironment(environment),
      cwd: folder,
      keep: (text) => {
        this.#log = (this.#log + text).slice(-LOG_MAX);
      },
    });
    void this.#child.exited.then(() => {
      this.#ended = true;
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error("the operator never started");
    return this.#child.pid;
  }

  get exited(): Promise<Exit> {
    return this.#child.exited;
  }

  log(): string {
    return this.#log;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async metrics(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`${this.adminUrl}/metrics`, { signal: AbortSignal.timeout(5000) });
    const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  async ready(): Promise<void> {
    for (const deadline = Date.now() + READY_MS; ; await sleep(50)) {
      const response = await fetch(`${this.adminUrl}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(
        () => undefined,
      );
      if (response?.ok === true) return;
      if (this.#ended || Date.now() > deadline) throw new Error(`the operator is not ready:\n${this.#log}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that was stopped by SIGSTOP could not hear anything else.
    this.kill("SIGKILL");
    await this.exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
