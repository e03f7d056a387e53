import { type ProjectionName, projectionNames } from "../domain/projection.ts";
import { MillraceError } from "../errors.ts";
import type { DeadLetter, DeadLetters } from "../ports/broker.ts";
import type { DeadLetterRow } from "./snapshot.ts";

/** Lends the dead letters of a broker for one use, and opens it first where it is not open. */
export type LendDeadLetters = <T>(use: (letters: DeadLetters) => Promise<T>) => Promise<T>;

/** Characters of a body and of a reason that are shown. */
const MAX_TEXT = 2000;
/** Longest wait for the broker, in milliseconds. */
const TIMEOUT_MS = 15_000;

/** Dead letters for a page, one list or replay at a time: RabbitMQ hands a letter to one reader alone. */
export class DeadLetterDesk {
  readonly #lend: LendDeadLetters;
  #inHand = false;

  constructor(lend: LendDeadLetters) {
    this.#lend = lend;
  }

  /** The oldest `limit`, of one queue or of all in turn. */
  async list(
    queue: ProjectionName | undefined,
    limit: number,
  ): Promise<{ readonly rows: readonly DeadLetterRow[]; readonly more: boolean }> {
    const rows = await this.#alone(async (letters) => {
      const found: DeadLetterRow[] = [];
      for (const name of queue === undefined ? projectionNames : [queue]) {
        for await (const letter of letters.list(name)) {
          found.push(rowOf(letter));
          if (found.length > limit) return found;
        }
      }
      return found;
    });
    return { rows: rows.slice(0, limit), more: rows.length > limit };
  }

  /** Resolves to how many were put back; where the answer is late, it goes on by itself. */
  async replay(queue: ProjectionName, ids: readonly string[]): Promise<number> {
    const letters = Array.from(new Set(ids), (id) => ({ id, repaired: undefined }));
    return this.#alone((dead) => dead.replay(queue, letters));
  }

  async #alone<T>(use: (letters: DeadLetters) => Promise<T>): Promise<T> {
    if (this.#inHand) throw new MillraceError("OVERLOADED", "dead letters are being listed or replayed");
    this.#inHand = true;
    const used = this.#lend(use).finally(() => {
      this.#inHand = false;
    });
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new MillraceError("BROKER_UNAVAILABLE", `no answer within ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
    try {
      return await Promise.race([used, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function rowOf({ id, queue, message, reason, attempts, deadAtMs }: DeadLetter): DeadLetterRow {
  return {
    id,
    queue,
    reason: shortened(reason),
    attempts,
    deadAt: new Date(deadAtMs).toISOString(),
    contentType: message.contentType,
    // No character has more than four bytes.
    body: shortened(Buffer.from(message.body.subarray(0, MAX_TEXT * 4)).toString()),
  };
}

const shortened = (text: string): string => text.slice(0, MAX_TEXT).toWellFormed();
