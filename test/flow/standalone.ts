import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import packageFacts from "../../package.json" with { type: "json" };

/** How a process ended: one of the two is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A standalone Millrace as a child process, on free ports and a data folder of its own. */
export interface Standalone extends AsyncDisposable {
  readonly collectorUrl: string;
  readonly queryUrl: string;
  readonly adminUrl: string;
  /** Kept over `kill` and `restart`, removed on disposal. */
  readonly dataDir: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  /** Resolves when the process that runs now ends, for whatever reason. */
  readonly exited: Promise<Exit>;
  /** What all its processes have written so far, the last mebibyte of it. */
  log(): string;
  /** Sends a signal and resolves once the process has ended. Does nothing to one that has ended already. */
  kill(signal: NodeJS.Signals): Promise<Exit>;
  /** SIGTERM, and SIGKILL to a process that has not ended 20 s later. */
  stop(): Promise<Exit>;
  /** Starts again on the same ports and data; a process that still runs is stopped first. Resolves once ready. */
  restart(): Promise<void>;
}

export interface StandaloneOptions {
  /** Variables on top of the ports and the data folder. The caller's own MILLRACE_* are not passed on. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Longest wait for /readyz, in milliseconds. Default 20000. */
  readonly readyTimeoutMs?: number;
}

/** The command that `process.execPath` runs; works from any working directory. */
export const millraceBin = resolve(import.meta.dirname, "../../bin/millrace.js");

/** What `npm start` hands to node, from any working directory: its flags bound the memory. */
const startArguments = packageFacts.scripts.start
  .split(" ")
  .slice(1)
  .map((word) => (word === "bin/millrace.js" ? millraceBin : word));

/** Starts one and resolves once /readyz answers 200. Rejects with the end of its log when it does not come up. */
export async function startStandalone(options: StandaloneOptions = {}): Promise<Standalone> {
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  for (let attempt = 1; ; attempt += 1) {
    const standalone = new StandaloneProcess(dataDir, await freePorts(), options);
    try {
      await standalone.restart();
      return standalone;
    } catch (error) {
      // Another process may have taken a port since it was found free.
      if (attempt < 3 && standalone.lostPort) continue;
      await standalone[Symbol.asyncDispose]();
      throw error;
    }
  }
}

/** The environment for a child process: this one's without its MILLRACE_* variables, and `extra`. */
export function childEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([key]) => !key.startsWith("MILLRACE_"));
  return { ...Object.fromEntries(own), NO_COLOR: "1", ...extra };
}

interface Ports {
  readonly collector: number;
  readonly query: number;
  readonly admin: number;
}

/** All are held open together, so that no two are the same. */
async function freePorts(): Promise<Ports> {
  const servers = Array.from({ length: 3 }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const [collector = 0, query = 0, admin = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  );
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return { collector, query, admin };
}

/** A child process that does not outlive this one. */
export interface Child {
  /** Undefined where it never started. */
  readonly pid: number | undefined;
  /** Resolves once it has ended and all it wrote has been handed over. */
  readonly exited: Promise<Exit>;
  /** Does nothing to one that has ended already. */
  kill(signal: NodeJS.Signals): void;
}

/** Runs node; `keep` is handed what it writes. */
export function startChild(
  nodeArguments: readonly string[],
  at: { readonly env: NodeJS.ProcessEnv; readonly cwd: string; readonly keep: (text: string) => void },
): Child {
  const { env, cwd, keep } = at;
  const child = spawn(process.execPath, nodeArguments, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
  endWithThisProcess(child);
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  const exited = new Promise<Exit>((done) => {
    child.once("error", (error) => {
      keep(`${error.message}\n`);
      done({ code: null, signal: null });
    });
    // "close" comes after the last of the log.
    child.once("close", (code, signal) => done({ code, signal }));
  });
  return { pid: child.pid, exited, kill: (signal) => void child.kill(signal) };
}

const LOG_MAX = 1024 * 1024;
const STOP_MS = 20_000;

class StandaloneProcess implements Standalone {
  readonly collectorUrl: string;
  readonly queryUrl: string;
  readonly adminUrl: string;
  readonly dataDir: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #readyTimeoutMs: number;
  #child: Child | undefined;
  #log = "";

  constructor(dataDir: string, ports: Ports, options: StandaloneOptions) {
    this.dataDir = dataDir;
    this.collectorUrl = `http://127.0.0.1:${ports.collector}`;
    this.queryUrl = `http://127.0.0.1:${ports.query}`;
    this.adminUrl = `http://127.0.0.1:${ports.admin}`;
    this.#readyTimeoutMs = options.readyTimeoutMs ?? 20_000;
    this.#environment = childEnvironment({
      MILLRACE_COLLECTOR_PORT: String(ports.collector),
      MILLRACE_QUERY_PORT: String(ports.query),
      MILLRACE_ADMIN_PORT: String(ports.admin),
      MILLRACE_DATA_DIR: dataDir,
      ...options.environment,
    });
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("the process never started");
    return this.#child.pid;
  }

  get exited(): Promise<Exit> {
    return this.#child?.exited ?? Promise.resolve({ code: null, signal: null });
  }

  get lostPort(): boolean {
    return this.#log.includes("EADDRINUSE");
  }

  log(): string {
    return this.#log;
  }

  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.#child?.kill(signal);
    return this.exited;
  }

  async stop(): Promise<Exit> {
    const child = this.#child;
    const late = setTimeout(() => child?.kill("SIGKILL"), STOP_MS);
    const exit = await this.kill("SIGTERM");
    clearTimeout(late);
    return exit;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#spawn();
    try {
      await this.#ready();
    } catch (error) {
      await this.kill("SIGKILL");
      const tail = this.#log.slice(-8192);
      throw new Error(`standalone did not become ready; the end of its log:\n${tail}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  #spawn(): void {
    const keep = (text: string): void => {
      this.#log = (this.#log + text).slice(-LOG_MAX);
    };
    this.#child = startChild(startArguments, { env: this.#environment, cwd: this.dataDir, keep });
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + this.#readyTimeoutMs;
    let ended: Exit | undefined;
    void this.exited.then((exit) => (ended = exit));
    for (;;) {
      const answer = await fetch(`${this.adminUrl}/readyz`, { signal: AbortSignal.timeout(2000) }).catch(
        (error: unknown) => error,
      );
      if (ended !== undefined) throw new Error(`it ended with ${JSON.stringify(ended)}`);
      if (answer instanceof Response) {
        const body = await answer.text();
        if (answer.ok) return;
        if (Date.now() > deadline) throw new Error(`/readyz still answers ${answer.status}: ${body}`);
      } else if (Date.now() > deadline) {
        throw new Error("/readyz does not answer", { cause: answer });
      }
      await sleep(50);
    }
  }
}

const running = new Set<ChildProcess>();
let guarded = false;

/** A child must not outlive this process, however it ends (but for SIGKILL with no parent to notice). */
function endWithThisProcess(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
  if (guarded) return;
  guarded = true;
  const killAll = (): void => {
    for (const one of running) one.kill("SIGKILL");
  };
  process.once("exit", killAll);
  process.once("disconnect", killAll);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      killAll();
      process.kill(process.pid, signal);
    });
  }
}
