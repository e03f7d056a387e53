import { describe, expect, test } from "vitest";
import { type ErrorCode, errorTable, MillraceError } from "../../src/errors.ts";
import { backoffMs, outcomeOf } from "../../src/worker/outcome.ts";

const settings = { maxAttempts: 4, retryDelayMs: 1000 };
const passing = new MillraceError("INTERNAL", "no room");
const lasting = new MillraceError("CHANGE_REFUSED", "too wide");
const bare = new MillraceError("MESSAGE_UNREADABLE");
const tooNew = new MillraceError("MESSAGE_TOO_NEW", "version 2");
const retry = (afterMs: number) => ({ kind: "retry", afterMs });
const dead = (reason: string) => ({ kind: "deadLetter", reason });

describe("the outcome of a delivery", () => {
  test.for([
    ["what was applied is acknowledged", undefined, 1, { kind: "ack" }],
    ["what was applied at last is acknowledged", undefined, 4, { kind: "ack" }],
    ["what was applied beyond the last attempt is acknowledged", undefined, 9, { kind: "ack" }],
    ["a failure that may pass is tried again after the delay", passing, 1, retry(1000)],
    ["the second wait is twice the first", passing, 2, retry(2000)],
    ["the third wait is four times the first", passing, 3, retry(4000)],
    ["a failure on the last attempt is dead-lettered", passing, 4, dead("INTERNAL: no room (attempt 4)")],
    ["a failure beyond the last attempt is dead-lettered", passing, 5, dead("INTERNAL: no room (attempt 5)")],
    ["what a later version wrote waits a minute", tooNew, 1, retry(60_000)],
    ["what a later version wrote waits a minute again", tooNew, 3, retry(60_000)],
    [
      "what a later version wrote is no longer waited for after the last attempt",
      tooNew,
      4,
      dead("MESSAGE_TOO_NEW: version 2 (attempt 4)"),
    ],
    ["a failure for good is dead-lettered at once", lasting, 1, dead("CHANGE_REFUSED: too wide")],
    ["a failure for good on the last attempt says no more", lasting, 4, dead("CHANGE_REFUSED: too wide")],
    [
      "a failure without a detail gives its title as the reason",
      bare,
      1,
      dead("MESSAGE_UNREADABLE: The message is not an envelope of events"),
    ],
  ] as const)("%s", ([, failure, attempt, outcome]) => {
    expect(outcomeOf(failure, attempt, settings)).toEqual(outcome);
  });

  test.for(Object.keys(errorTable) as ErrorCode[])("%s on a last attempt is never tried again", (code) => {
    expect(outcomeOf(new MillraceError(code, "why"), 4, settings)).toMatchObject({
      kind: "deadLetter",
      reason: expect.stringContaining(`${code}: why`),
    });
  });

  test("where only one attempt is allowed, the first is the last", () => {
    expect(outcomeOf(passing, 1, { ...settings, maxAttempts: 1 }).kind).toBe("deadLetter");
  });
});

describe("the wait before the next attempt", () => {
  test.for([
    [1, 250, 250],
    [2, 250, 500],
    [8, 250, 32_000],
    [9, 250, 60_000],
    [1000, 250, 60_000],
    [1000, 1, 60_000],
    [1, 3_600_000, 60_000],
  ] as const)("after attempt %i with a first wait of %i ms it is %i ms", ([attempt, firstMs, waitMs]) => {
    expect(backoffMs(attempt, firstMs)).toBe(waitMs);
  });
});
