import { printable } from "../domain/printable.ts";
import { type ProjectionName, projectionNames } from "../domain/projection.ts";
import type { DeadLetter, DeadLetters, Replay } from "../ports/broker.ts";
import { aligned } from "./aligned.ts";
import { confirmed, type Terminal } from "./confirmed.ts";

/**
 * Which dead letters: of one queue or all, whose reason or body holds `match`, dead for
 * some time, at most `limit`, oldest first.
 */
export interface Selection {
  readonly queue: ProjectionName | undefined;
  readonly match: string | undefined;
  readonly deadBeforeMs: number | undefined;
  readonly limit: number;
  /** As `list` prints them, `queue:id`; with any, the others narrow these. */
  readonly ids: ReadonlySet<string>;
}

/** Reads each queue once, and no further than it must. */
export async function* select(deadLetters: DeadLetters, selection: Selection): AsyncGenerator<DeadLetter> {
  let left = selection.limit;
  for (const queue of projectionNames.filter((name) => mayHold(name, selection))) {
    for await (const letter of deadLetters.list(queue)) {
      if (!matches(letter, selection)) continue;
      yield letter;
      left -= 1;
      if (left <= 0) return;
    }
  }
}

function mayHold(name: ProjectionName, { ids, queue }: Selection): boolean {
  if (queue !== undefined && queue !== name) return false;
  return ids.size === 0 || ids.values().some((id) => queueAndId(id)?.queue === name);
}

function matches(letter: DeadLetter, { ids, match, deadBeforeMs }: Selection): boolean {
  if (ids.size > 0 && !ids.has(nameOf(letter))) return false;
  if (deadBeforeMs !== undefined && !diedBefore(letter, deadBeforeMs)) return false;
  if (match === undefined) return true;
  const text = match.toLowerCase();
  return letter.reason.toLowerCase().includes(text) || bodyOf(letter).toLowerCase().includes(text);
}

/** False where nothing tells when it died, as of what others have put into a queue of dead letters: its time is 0. */
function diedBefore({ deadAtMs }: DeadLetter, instantMs: number): boolean {
  return deadAtMs > 0 && deadAtMs < instantMs;
}

/** What a letter is called on the command line. */
export const nameOf = ({ queue, id }: Pick<DeadLetter, "queue" | "id">): string => `${queue}:${id}`;

/** The parts of a name; an id may hold any characters. Undefined where no letter can be called so. */
export function queueAndId(
  name: string,
): { readonly queue: ProjectionName; readonly id: string } | undefined {
  const queue = projectionNames.find((one) => name.startsWith(`${one}:`));
  const id = name.slice((queue?.length ?? 0) + 1);
  return queue === undefined || id === "" ? undefined : { queue, id };
}

const bodyOf = (letter: DeadLetter): string => Buffer.from(letter.message.body).toString();

const onOneLine = (text: string): string => printable(text).replaceAll("\n", String.raw`\u000a`);

/** A letter without its message: the bodies of all that a queue holds may be more than a process has memory for. */
export interface Listed extends Omit<DeadLetter, "message"> {
  readonly bytes: number;
}

/** Keeps no body. */
export function listedOf({ id, queue, reason, attempts, deadAtMs, message }: DeadLetter): Listed {
  return { id, queue, reason, attempts, deadAtMs, bytes: message.body.byteLength };
}

/** One line each: what it is called, since when, after how many attempts, how large, and why. */
export function listText(letters: readonly Listed[]): string {
  if (letters.length === 0) return "no dead letters";
  const rows = letters.map((letter) => [
    nameOf(letter),
    new Date(letter.deadAtMs).toISOString(),
    String(letter.attempts),
    `${letter.bytes} B`,
    letter.reason,
  ]);
  return aligned([
    ["ID", "DEAD SINCE", "ATTEMPTS", "SIZE", "REASON"],
    ...rows.map((row) => row.map(onOneLine)),
  ]);
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
      ]
        .map(onOneLine)
        .concat("", printable(bodyOf(letter)))
        .join("\n"),
    )
    .join("\n\n");
}

/** With `repaired`, what a replay puts back instead of what died. */
export interface ToSettle extends Listed, Partial<Pick<Replay, "repaired">> {}

export interface Settling {
  readonly action: "replay" | "drop";
  readonly deadLetters: DeadLetters;
  readonly letters: readonly ToSettle[];
  /** Where to ask first; undefined for not at all. */
  readonly terminal: Terminal | undefined;
}

/** What there is to say of it, and how many letters were put back or deleted. */
export interface Settled {
  readonly text: string;
  readonly settled: number;
}

/** Replays or drops letters, once the user has agreed. */
export async function settle(settling: Settling): Promise<Settled> {
  const { action, letters, terminal } = settling;
  if (letters.length === 0) return { text: "no dead letters match", settled: 0 };
  if (terminal !== undefined) {
    terminal.output.write(`${listText(letters)}\n`);
    const agreed = await confirmed(`${action} these ${letters.length}?`, terminal);
    if (!agreed) return { text: "nothing done", settled: 0 };
  }
  const settled = await settleAll(settling);
  return { text: `${action}: ${settled} of ${letters.length}`, settled };
}

async function settleAll({ action, deadLetters, letters }: Settling): Promise<number> {
  let settled = 0;
  for (const queue of projectionNames) {
    const own = letters.filter((letter) => letter.queue === queue);
    if (own.length === 0) continue;
    settled +=
      action === "drop"
        ? await deadLetters.drop(
            queue,
            own.map(({ id, deadAtMs }) => ({ id, deadAtMs })),
          )
        : await deadLetters.replay(
            queue,
            own.map(({ id, repaired }) => ({ id, repaired })),
          );
  }
  return settled;
}
