import { createInterface } from "node:readline/promises";
import { type ProjectionName, projectionNames } from "../domain/projection.ts";
import { MillraceError } from "../errors.ts";
import type { DeadLetter, DeadLetters } from "../ports/broker.ts";
import { aligned } from "./aligned.ts";

/** Which dead letters: of one queue or all, whose reason or body holds `match`, at most `limit`, oldest first. */
export interface Selection {
  readonly queue: ProjectionName | undefined;
  readonly match: string | undefined;
  readonly limit: number;
  /** As `list` prints them, `queue:id`; with any, `match` and `queue` narrow these. */
  readonly ids: readonly string[];
}
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

const PAGE = 200;

export async function select(deadLetters: DeadLetters, selection: Selection): Promise<readonly DeadLetter[]> {
  const found: DeadLetter[] = [];
  for (const queue of selection.queue === undefined ? projectionNames : [selection.queue]) {
    let after: string | undefined;
    let page: readonly DeadLetter[];
    do {
      page = await deadLetters.list(queue, PAGE, after);
      after = page.at(-1)?.id;
      for (const letter of page) {
        if (found.length >= selection.limit) return found;
        if (matches(letter, selection)) found.push(letter);
      }
    } while (page.length === PAGE);
  }
  return found;
}

function matches(letter: DeadLetter, { ids, match }: Selection): boolean {
  if (ids.length > 0 && !ids.includes(nameOf(letter))) return false;
  if (match === undefined) return true;
  const text = match.toLowerCase();
  return letter.reason.toLowerCase().includes(text) || bodyOf(letter).toLowerCase().includes(text);
}

const nameOf = (letter: DeadLetter): string => `${letter.queue}:${letter.id}`;
const bodyOf = (letter: DeadLetter): string => Buffer.from(letter.message.body).toString();

/** One line each: what it is called, since when, after how many attempts, how large, and why. */
export function listText(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return "no dead letters";
  const rows = letters.map((letter) => [
    nameOf(letter),
    new Date(letter.deadAtMs).toISOString(),
    String(letter.attempts),
    `${letter.message.body.byteLength} B`,
    letter.reason,
  ]);
  return aligned([["ID", "DEAD SINCE", "ATTEMPTS", "SIZE", "REASON"], ...rows]);
}

/** All there is of each, its body last. */
export function showText(letters: readonly DeadLetter[]): string {
  return letters
    .map((letter) =>
      [
        `id:           ${nameOf(letter)}`,
        `message id:   ${letter.message.id}`,
        `content type: ${letter.message.contentType}`,
        `dead since:   ${new Date(letter.deadAtMs).toISOString()}`,
        `attempts:     ${letter.attempts}`,
        `reason:       ${letter.reason}`,
        "",
        bodyOf(letter),
      ].join("\n"),
    )
    .join("\n\n");
}

/** Replays or drops those selected. Resolves to how many. */
export async function settleAll(
  deadLetters: DeadLetters,
  action: "replay" | "drop",
  letters: readonly DeadLetter[],
): Promise<number> {
  let settled = 0;
  for (const queue of projectionNames) {
    const ids = letters.filter((letter) => letter.queue === queue).map((letter) => letter.id);
    if (ids.length > 0) settled += await deadLetters[action](queue, ids);
  }
  return settled;
}

/**
 * Asks before anything is moved or deleted.
 * @throws MillraceError INVALID_SETTING where there is nobody to ask and `--yes` was not given.
 */
export async function confirmed(question: string, terminal: Terminal): Promise<boolean> {
  if (terminal.input.isTTY !== true) {
    throw new MillraceError("INVALID_SETTING", `${question} There is no terminal to ask on: say --yes`);
  }
  const lines = createInterface({ input: terminal.input, output: terminal.output });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}
