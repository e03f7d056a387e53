import type { MillraceError } from "../errors.ts";
import type { Outcome } from "../ports/broker.ts";

export interface RetrySettings {
  /** The last attempt; one that fails is dead-lettered. */
  readonly maxAttempts: number;
  readonly retryDelayMs: number;
}

const LONGEST_DELAY_MS = 60_000;

/** `failure` is undefined when the store applied the delivery. A last attempt never answers "retry". */
export function outcomeOf(
  failure: MillraceError | undefined,
  attempt: number,
  settings: RetrySettings,
): Outcome {
  if (failure === undefined) return { kind: "ack" };
  const reason = `${failure.code}: ${failure.detail ?? failure.message}`;
  if (failure.facts.retry === "never") return { kind: "deadLetter", reason };
  if (attempt >= settings.maxAttempts)
    return { kind: "deadLetter", reason: `${reason} (attempt ${attempt})` };
  // For a worker of a later version, which a rolling update may take minutes to bring: few and long waits.
  if (failure.code === "MESSAGE_TOO_NEW") return { kind: "retry", afterMs: LONGEST_DELAY_MS };
  return { kind: "retry", afterMs: backoffMs(attempt, settings.retryDelayMs) };
}

/** Doubles with each attempt, from `firstMs` up to a minute. */
export function backoffMs(attempt: number, firstMs: number): number {
  return Math.min(LONGEST_DELAY_MS, firstMs * 2 ** Math.min(attempt - 1, 30));
}
