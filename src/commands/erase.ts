import { setTimeout as sleep } from "node:timers/promises";
import type { About } from "../domain/audit.ts";
import {
  countErased,
  type Erased,
  erasedAlso,
  erasedKinds,
  formsOf,
  FORGOTTEN_WITHIN_MS,
  nothingErased,
} from "../domain/erasure.ts";
import type { Erasure } from "../ports/erasure.ts";
import { aligned } from "./aligned.ts";

export interface EraseReport {
  readonly erased: Erased;
  readonly rounds: number;
  /** Whether the last round found nothing any more. */
  readonly complete: boolean;
  /** Deliveries that were still in the hands of workers at the end. */
  readonly inHand: number;
  /** Files, or queues and collections, that hold the name all the same. */
  readonly holding: readonly string[];
  /** What it means that there are none. */
  readonly proof: string;
  /** What was not in the command's power, in sentences. */
  readonly left: readonly string[];
}

/** Longest wait of a round for the deliveries in hand, and of the files for those who read them, in milliseconds. */
const WAIT_MS = 30_000;
/** Beyond what a worker needs to forget: it looks before each change, and its clock is read in milliseconds. */
const FORGETTING_MS = 2 * FORGOTTEN_WITHIN_MS;

/**
 * Erases a user in rounds until one finds nothing, so that what was in flight meanwhile is found, too; begins no round after
 * `limitMs`. Then takes what was erased out of the files, and reads them all.
 */
export async function erase(
  erasure: Erasure,
  { username, limitMs }: { readonly username: string; readonly limitMs: number },
  about: About,
): Promise<EraseReport> {
  const until = performance.now() + limitMs;
  let erased = nothingErased;
  let rounds = 0;
  for (;;) {
    const round = await erasure.round(username, WAIT_MS);
    rounds += 1;
    erased = erasedAlso(erased, round.erased);
    about.settled = countErased(erased);
    // No further round could do more to messages of a later version.
    const isLast = countErased(round.erased) === 0 && round.inHand === round.tooNew;
    if (!isLast && performance.now() < until) {
      await sleep(FORGETTING_MS);
      continue;
    }
    const complete = isLast && round.inHand === 0;
    const purged = await erasure.purge(WAIT_MS);
    const left = round.tooNew > 0 ? [tooNewText(round.tooNew), ...purged] : purged;
    const holding = await erasure.holding(formsOf(username));
    return { erased, rounds, complete, inHand: round.inHand, holding, proof: erasure.proof, left };
  }
}

const tooNewText = (tooNew: number): string =>
  `${tooNew} messages of a later version may hold the name, and stay as they are: erase with that version of Millrace`;

export const isProven = ({ complete, holding }: EraseReport): boolean => complete && holding.length === 0;

const words: Readonly<Record<keyof Erased, string>> = {
  accounts: "accounts",
  hourlyRows: "rows of the hourly log",
  claims: "event ids that held the name, kept as digests",
  events: "events in messages that waited or were dead letters",
  deadLetters: "dead letters deleted, or without their reason",
  unreadable: "messages and letters deleted that could not be read and held the name",
};

/** Never tells the name: what a command prints is kept in logs. */
export function eraseText(report: EraseReport): string {
  const { erased, rounds, complete, inHand, holding } = report;
  const lines = [`erased in ${rounds} ${rounds === 1 ? "round" : "rounds"}:`];
  lines.push(aligned(erasedKinds.map((kind) => [String(erased[kind]), words[kind]])));
  if (!complete) {
    const why =
      inHand > 0
        ? `${inHand} deliveries are still in the hands of others, or had to stay as they are`
        : "more has come in";
    lines.push(`not complete: ${why}. Run it again.`);
  }
  for (const place of holding)
    lines.push(
      `${place} holds the bytes of the name: as part of a longer text, or of an event that came since`,
    );
  if (isProven(report)) lines.push(report.proof);
  lines.push(...report.left);
  return lines.join("\n");
}
