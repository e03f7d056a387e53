import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as a user would, with nothing to read from and no terminal. */
export function millrace(...words: readonly string[]): Promise<Answer> {
  return millraceReading("", ...words);
}

/** Runs the command with this to read from, and no terminal. */
export async function millraceReading(input: string, ...words: readonly string[]): Promise<Answer> {
  const child = spawn(process.execPath, [millraceBin, ...words], { env: childEnvironment() });
  // One that does not read may end before it was handed all.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: await stdout, stderr: await stderr };
}
