import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";

export interface Answer {
  readonly code: number | null;
  readonly stdout: string;
  /** Without the lines of the audit log. */
  readonly stderr: string;
}

/** Runs the command as a user would, with nothing to read from and no terminal. */
export function millrace(...words: readonly string[]): Promise<Answer> {
  return millraceReading("", ...words);
}

/** Runs the command with this to read from, and no terminal. */
export async function millraceReading(input: string, ...words: readonly string[]): Promise<Answer> {
  const { audit: _, ...answer } = await millraceAudited(input, ...words);
  return answer;
}

/** The same, with what the audit log has of it. */
export async function millraceAudited(
  input: string,
  ...words: readonly string[]
): Promise<Answer & { readonly audit: readonly Readonly<Record<string, unknown>>[] }> {
  const child = spawn(process.execPath, [millraceBin, ...words], { env: childEnvironment() });
  // One that does not read may end before it was handed all.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [stdout, stderr] = [text(child.stdout), text(child.stderr)];
  const [code] = (await once(child, "close")) as [number | null];
  const lines = (await stderr).split("\n");
  const isAudit = (line: string) => line.startsWith("{") && line.includes('"audit":true');
  return {
    code,
    stdout: await stdout,
    stderr: lines.filter((line) => !isAudit(line)).join("\n"),
    audit: lines.filter(isAudit).map((line) => JSON.parse(line)),
  };
}
