import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { accountName, type Sighting } from "../../src/domain/account-name.ts";
import { type DayCount, distinctName } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent, Envelope } from "../../src/domain/envelope.ts";
import { type HourlyEntry, hourlyLog } from "../../src/domain/hourly-log.ts";
import { instantOf } from "../../src/domain/instant.ts";
import type { Change } from "../../src/domain/projection.ts";
import { merge } from "../../src/domain/summary.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 10, 24, 6);

/** Few names and instants, so that events meet in one group; the odd name tries keys that join names. */
const name = fc.constantFrom(
  "a",
  "b",
  "a b",
  "b a",
  "1",
  "__proto__",
  "constructor",
  "é",
  "e\u0301",
  "\u{1f600}",
);
const atMs = fc.oneof(
  fc.integer({ min: NOW_MS - 3000, max: NOW_MS }),
  fc.integer({ min: NOW_MS - 3 * DAY_MS, max: NOW_MS }),
  fc.integer({ min: 0, max: NOW_MS }),
);
const event: fc.Arbitrary<AcceptedEvent> = fc.record({
  username: name,
  metric: name,
  count: fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -2, max: 2 })),
  atMs,
  id: fc.constant(undefined),
});
const events = fc.array(event, { maxLength: 60 });
/** Some events, and each of them put in one of two parts. */
const parted = fc.array(fc.tuple(event, fc.boolean()), { maxLength: 60 });

const envelopeOf = (all: readonly AcceptedEvent[]): Envelope => ({ id: "message-1", events: all });
type Of<P extends Change["projection"]> = Extract<Change, { projection: P }>;
const sightingsOf = (all: readonly AcceptedEvent[]) =>
  (accountName.fold(envelopeOf(all)) as Of<"accountName">).sightings;
const countsOf = (all: readonly AcceptedEvent[]) =>
  (distinctName.fold(envelopeOf(all)) as Of<"distinctName">).counts;
const entriesOf = (all: readonly AcceptedEvent[]) =>
  (hourlyLog.fold(envelopeOf(all)) as Of<"hourlyLog">).entries;

/** Groups merged by key, as a store merges the changes of messages. Fails where one change has a key twice. */
function merged<T>(changes: readonly (readonly T[])[], keyOf: (one: T) => string, join: (a: T, b: T) => T) {
  const groups = new Map<string, T>();
  for (const change of changes) {
    expect(new Set(change.map(keyOf)).size).toBe(change.length);
    for (const one of change) {
      const known = groups.get(keyOf(one));
      groups.set(keyOf(one), known === undefined ? one : join(known, one));
    }
  }
  return groups;
}
const account = (...changes: (readonly Sighting[])[]) =>
  merged(
    changes,
    (one) => one.username,
    (a, b) => (a.firstSeenMs <= b.firstSeenMs ? a : b),
  );
const days = (...changes: (readonly DayCount[])[]) =>
  merged(
    changes,
    (one) => JSON.stringify([one.day, one.metric]),
    (a, b) => ({ ...a, count: a.count + b.count }),
  );
const hourly = (...changes: (readonly HourlyEntry[])[]) =>
  merged(
    changes,
    (one) => JSON.stringify([one.second, one.metric, one.username]),
    (a, b) => ({ ...a, ...merge(a, b) }),
  );

const part = (all: readonly (readonly [AcceptedEvent, boolean])[], which: boolean) =>
  all.filter(([, of]) => of === which).map(([one]) => one);

describe("an envelope folded in two parts and merged is the envelope folded whole:", () => {
  test("accountName", () => {
    fc.assert(
      fc.property(parted, (all) => {
        const whole = sightingsOf(all.map(([one]) => one));
        expect(account(sightingsOf(part(all, true)), sightingsOf(part(all, false)))).toEqual(account(whole));
      }),
    );
  });

  test("distinctName", () => {
    fc.assert(
      fc.property(parted, (all) => {
        const whole = countsOf(all.map(([one]) => one));
        expect(days(countsOf(part(all, true)), countsOf(part(all, false)))).toEqual(days(whole));
      }),
    );
  });

  test("hourlyLog", () => {
    fc.assert(
      fc.property(parted, (all) => {
        const whole = entriesOf(all.map(([one]) => one));
        expect(hourly(entriesOf(part(all, true)), entriesOf(part(all, false)))).toEqual(hourly(whole));
      }),
    );
  });
});

test("the order of events in an envelope changes no fold", () => {
  fc.assert(
    fc.property(events, (all) => {
      const reversed = all.toReversed();
      expect(account(sightingsOf(reversed))).toEqual(account(sightingsOf(all)));
      expect(days(countsOf(reversed))).toEqual(days(countsOf(all)));
      expect(hourly(entriesOf(reversed))).toEqual(hourly(entriesOf(all)));
    }),
  );
});

test("a change names its projection and its message", () => {
  for (const projection of [accountName, distinctName, hourlyLog]) {
    expect(projection.fold(envelopeOf([]))).toMatchObject({
      projection: projection.name,
      messageId: "message-1",
    });
  }
});

test("only what changes nothing when it is done twice goes without event ids", () => {
  expect([accountName, distinctName, hourlyLog].map((one) => one.claimsEventIds)).toEqual([
    false,
    true,
    true,
  ]);
});

describe("accountName", () => {
  test("sees each username once, at its earliest instant", () => {
    fc.assert(
      fc.property(events, (all) => {
        const sightings = sightingsOf(all);
        expect(new Set(sightings.map((one) => one.username))).toEqual(
          new Set(all.map((one) => one.username)),
        );
        for (const { username, firstSeenMs } of sightings) {
          const own = all.filter((one) => one.username === username).map((one) => one.atMs);
          expect(firstSeenMs).toBe(Math.min(...own));
        }
      }),
    );
  });
});

describe("distinctName", () => {
  test("counts every event once, on its UTC day, whatever its count", () => {
    fc.assert(
      fc.property(events, (all) => {
        for (const { day, metric, count } of countsOf(all)) {
          const startMs = Date.parse(`${day}T00:00:00Z`);
          const own = all.filter(
            (one) => one.metric === metric && one.atMs >= startMs && one.atMs < startMs + DAY_MS,
          );
          expect(count).toBe(own.length);
        }
        expect(countsOf(all).reduce((sum, { count }) => sum + count, 0)).toBe(all.length);
      }),
    );
  });

  test.each([
    ["2026-10-31T23:59:59.999Z", "2026-10-31"],
    ["2026-11-01T00:00:00.000Z", "2026-11-01"],
    ["2026-11-01T01:00:00.000+02:00", "2026-10-31"],
    ["2024-02-29T12:00:00.000Z", "2024-02-29"],
    ["1970-01-01T00:00:00.000Z", "1970-01-01"],
  ])("counts an event at %s on %s", (at, day) => {
    const one = { username: "u", metric: "m", count: -5, atMs: Date.parse(at), id: undefined };
    expect(countsOf([one, one])).toEqual([{ day, metric: "m", count: 2 }]);
  });

  test("writes the day of every instant that an event may have as YYYY-MM-DD", () => {
    const number = fc.oneof(fc.integer({ min: 1e11, max: 8.64e15 }), fc.integer({ min: 1e11, max: NOW_MS }));
    fc.assert(
      fc.property(number, (given) => {
        const at = instantOf(given);
        fc.pre(at !== undefined);
        const one = { username: "u", metric: "m", count: 1, atMs: at, id: undefined };
        for (const { day } of countsOf([one])) expect(day).toMatch(/^\d{4}-\d{2}-\d{2}$/);
      }),
    );
  });
});

describe("hourlyLog", () => {
  test("sums every event up in its second, exactly", () => {
    fc.assert(
      fc.property(events, (all) => {
        for (const entry of entriesOf(all)) {
          const own = all.filter(
            (one) =>
              one.metric === entry.metric &&
              one.username === entry.username &&
              one.atMs >= entry.second * 1000 &&
              one.atMs < entry.second * 1000 + 1000,
          );
          const of = own.map((one) => one.count);
          expect(entry).toMatchObject({
            count: own.length,
            minimum: Math.min(...of),
            maximum: Math.max(...of),
          });
          expect(BigInt(entry.sumHigh) * 2n ** 26n + BigInt(entry.sumLow)).toBe(
            of.reduce((sum, one) => sum + BigInt(one), 0n),
          );
        }
        expect(entriesOf(all).reduce((sum, { count }) => sum + count, 0)).toBe(all.length);
      }),
    );
  });

  test.each([
    ["the last millisecond of a second", 999, 0],
    ["the first of the next", 1000, 1],
  ])("puts %s where it belongs", (_, ms, second) => {
    const one = { username: "u", metric: "m", count: 1, atMs: NOW_MS + ms, id: undefined };
    expect(entriesOf([one])).toMatchObject([{ second: NOW_MS / 1000 + second, count: 1 }]);
  });
});
