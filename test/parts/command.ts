import { spawn } from "node:child_process";

export interface CommandOptions {
  /** Instead of this process's own. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly folder?: string;
}

const KEEP = 4000;

/** Tells what takes its time, on stderr: the tests' own report is on stdout. */
export function say(text: string): void {
  process.stderr.write(`parts: ${text}\n`);
}

/**
 * Runs a program to its end and resolves with its standard output. Rejects with the end of all that it wrote when its
 * exit code is not 0, or when there is no such program. It is told to end when this process does, where that can be arranged: on Linux.
 */
export async function command(
  program: string,
  words: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const linux = process.platform === "linux";
  const [first, ...rest] = linux
    ? (["setpriv", "--pdeathsig", "TERM", program, ...words] as const)
    : [program, ...words];
  const child = spawn(first, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: options.environment ?? process.env,
    cwd: options.folder,
  });
  let output = "";
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    written = (written + text).slice(-KEEP);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    written = (written + text).slice(-KEEP);
  });
  const code = await new Promise<number | NodeJS.Signals | null>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exit, signal) => done(exit ?? signal));
  });
  if (code !== 0) throw new Error(`${program} ended with ${code}; the end of what it wrote:\n${written}`);
  return output;
}
