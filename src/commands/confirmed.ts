import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { MillraceError } from "../errors.ts";

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/**
 * Asks before anything is moved or deleted. An end of the input is a no.
 * @throws MillraceError INVALID_SETTING where there is nobody to ask and `--yes` was not given.
 */
export async function confirmed(question: string, terminal: Terminal): Promise<boolean> {
  // A terminal that the letters were read from has come to its end.
  if (terminal.input.isTTY !== true || !terminal.input.readable) {
    throw new MillraceError("INVALID_SETTING", `${question} There is no terminal to ask on: say --yes`);
  }
  const lines = createInterface({ input: terminal.input, output: terminal.output });
  const ended = once(lines, "close").then(() => "");
  try {
    const answer = lines.question(`${question} [y/N] `).catch(() => "");
    return /^y(es)?$/i.test((await Promise.race([answer, ended])).trim());
  } finally {
    lines.close();
  }
}
