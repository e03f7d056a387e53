import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { childEnvironment } from "../flow/standalone.ts";
import type { LoadOptions, LoadResult } from "./load.ts";
import type { Watched, WatchOptions } from "./watchers.ts";

/** What the table calls it. */
export const BARE = "bare fastify";

/** A bare server in a process of its own. */
export interface Bare extends Disposable {
  readonly url: string;
  readonly pid: number;
}

export async function startBare(file: "bare.ts" | "bare-http.ts" = "bare.ts"): Promise<Bare> {
  const child = start(file);
  const { url } = await firstMessage<{ url: string }>(child, file);
  return { url, pid: child.pid ?? 0, [Symbol.dispose]: () => child.kill() };
}

/** Runs one load in a process of its own, so that server and generator never share an event loop. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const child = start("load.ts");
  try {
    child.send(options);
    return await firstMessage<LoadResult>(child, `load.ts ${JSON.stringify(options)}`);
  } finally {
    child.kill();
  }
}

/** Open consoles and a scraper, in a process of their own. */
export interface Watchers extends Disposable {
  /** Resolves once every console has had a snapshot. */
  all(): Promise<void>;
  /** Rejects when one of them has failed. */
  seen(): Promise<Watched>;
}

export function startWatchers(options: WatchOptions): Watchers {
  const child = start("watchers.ts");
  child.send(options);
  const seen = async (): Promise<Watched> => {
    if (child.exitCode !== null) throw new Error("the watchers have failed");
    child.send("seen");
    return firstMessage<Watched>(child, "watchers.ts");
  };
  return {
    seen,
    async all() {
      while ((await seen()).snapshots < options.consoles) await sleep(100);
    },
    [Symbol.dispose]: () => child.kill(),
  };
}

function start(file: string): ChildProcess {
  return fork(resolve(import.meta.dirname, file), { env: childEnvironment(), execArgv: [] });
}

async function firstMessage<T>(child: ChildProcess, name: string): Promise<T> {
  const answered = new AbortController();
  const { signal } = answered;
  try {
    const [message] = await Promise.race([
      once(child, "message", { signal }),
      once(child, "exit", { signal }).then(([code, by]) => {
        throw new Error(`${name} ended: code ${String(code)}, signal ${String(by)}`);
      }),
    ]);
    return message as T;
  } finally {
    answered.abort();
  }
}
