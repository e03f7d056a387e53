import { type ChildProcess, fork } from "node:child_process";
import { resolve } from "node:path";
import { childEnvironment } from "../flow/standalone.ts";
import type { LoadOptions, LoadResult } from "./load.ts";

/** What the table calls it. */
export const BARE = "bare fastify";

/** A bare server in a process of its own. */
export interface Bare extends Disposable {
  readonly url: string;
}

export async function startBare(): Promise<Bare> {
  const child = start("bare.ts");
  const { url } = await firstMessage<{ url: string }>(child, "bare.ts");
  return { url, [Symbol.dispose]: () => child.kill() };
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

function start(file: string): ChildProcess {
  return fork(resolve(import.meta.dirname, file), { env: childEnvironment(), execArgv: [] });
}

async function firstMessage<T>(child: ChildProcess, name: string): Promise<T> {
  return new Promise((done, fail) => {
    child.once("message", (message) => done(message as T));
    child.once("error", fail);
    child.once("exit", (code, signal) => fail(new Error(`${name} ended: code ${code}, signal ${signal}`)));
  });
}
