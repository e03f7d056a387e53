import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { command, say } from "./command.ts";

/** Where what was obtained is kept from run to run. */
export function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "millrace-parts");
}

/**
 * The path of `name` in the cache. Where it is not there yet, `make` is called with a path to make it at, by one
 * process at a time; it appears in the cache once it is whole.
 */
export async function cached(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(cacheFolder(), name);
  if (existsSync(path)) return path;
  using _ = await lock(name);
  if (existsSync(path)) return path;
  const partial = `${path}.partial`;
  // Not with what may be mounted in there.
  await command("rm", ["-rf", "--one-file-system", partial]);
  await make(partial);
  await rename(partial, path);
  return path;
}

/** Held by one process of this machine at a time, and let go of however that process ends. */
export async function lock(name: string): Promise<Disposable> {
  await mkdir(cacheFolder(), { recursive: true });
  // flock(1) locks the open file, which stays open in this process when flock has ended.
  const file = openSync(join(cacheFolder(), `${name}.lock`), "a");
  const waits = setTimeout(() => say(`waiting for another process that makes ${name}`), 1000);
  const child = spawn("flock", ["--exclusive", "3"], { stdio: ["ignore", "ignore", "inherit", file] });
  try {
    await once(child, "exit");
  } finally {
    clearTimeout(waits);
  }
  return { [Symbol.dispose]: () => closeSync(file) };
}
