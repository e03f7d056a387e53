import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dayOf, monthOf } from "../../src/domain/distinct-name.ts";
import { firstDayKept, firstMonthKept, hourWindow } from "../../src/domain/retention.ts";

const NOON_SECOND = Date.UTC(2026, 10, 24, 12) / 1000;

describe("the hourly log at 12:00:00 shows an event", () => {
  const { after, upTo } = hourWindow(NOON_SECOND * 1000);
  test.each([
    ["of this second", 0, true],
    ["of a second ago", 1, true],
    ["of 59 min 59 s ago", 3599, true],
    ["of an hour ago", 3600, false],
    ["of an hour and a second ago", 3601, false],
    ["of the second to come", -1, false],
  ])("%s (%d s): %s", (_, ageSeconds, shown) => {
    const second = NOON_SECOND - ageSeconds;
    expect(second > after && second <= upTo).toBe(shown);
  });
});

test.each([
  [0, 0],
  [1, 0],
  [999, 0],
  [1000, 1],
  [-1, -1],
])("%d ms past noon the hour ends %d s past noon, and is 3600 s long", (ms, seconds) => {
  const { after, upTo } = hourWindow(NOON_SECOND * 1000 + ms);
  expect(upTo).toBe(NOON_SECOND + seconds);
  expect(upTo - after).toBe(3600);
});

test.each([
  ["2026-11-24T12:00:00.000Z", 30, "2026-10-25"],
  ["2026-11-24T00:00:00.000Z", 30, "2026-10-25"],
  ["2026-11-23T23:59:59.999Z", 30, "2026-10-24"],
  ["2026-11-24T23:59:59.999Z", 30, "2026-10-25"],
  ["2026-03-31T06:00:00.000Z", 30, "2026-03-01"],
  ["2026-03-30T06:00:00.000Z", 30, "2026-02-28"],
  ["2024-03-30T06:00:00.000Z", 30, "2024-02-29"],
  ["2024-03-31T06:00:00.000Z", 30, "2024-03-01"],
  ["2026-03-01T06:00:00.000Z", 1, "2026-02-28"],
  ["2024-03-01T06:00:00.000Z", 1, "2024-02-29"],
  ["2000-03-01T06:00:00.000Z", 1, "2000-02-29"],
  ["2100-03-01T06:00:00.000Z", 1, "2100-02-28"],
  ["2026-01-01T00:00:00.000Z", 1, "2025-12-31"],
  ["2026-01-30T00:00:00.000Z", 30, "2025-12-31"],
  ["2025-01-01T06:00:00.000Z", 366, "2024-01-01"],
  ["2026-01-01T06:00:00.000Z", 365, "2025-01-01"],
  ["2026-11-24T12:00:00.000Z", 3650, "2016-11-26"],
])("at %s, with days kept for %d, the first day kept is %s", (now, keepDays, day) => {
  expect(firstDayKept(Date.parse(now), keepDays)).toBe(day);
});

test.each([
  ["2026-11-24T12:00:00.000Z", 12, 30, "2025-11"],
  ["2026-11-01T00:00:00.000Z", 1, 30, "2026-10"],
  ["2026-10-31T23:59:59.999Z", 1, 30, "2026-09"],
  ["2026-01-31T12:00:00.000Z", 1, 1, "2025-12"],
  ["2024-02-29T12:00:00.000Z", 12, 30, "2023-02"],
  ["2026-03-31T12:00:00.000Z", 1, 1, "2026-02"],
  ["2026-11-24T12:00:00.000Z", 1200, 30, "1926-11"],
  // Days that are still kept as days keep their month.
  ["2026-11-24T12:00:00.000Z", 1, 90, "2026-08"],
  ["2026-11-24T12:00:00.000Z", 12, 3650, "2016-11"],
])(
  "at %s, with months kept for %d and days for %d, the first month kept is %s",
  (now, keepMonths, keepDays, month) => {
    expect(firstMonthKept(Date.parse(now), { keepMonths, keepDays })).toBe(month);
  },
);

test("months that are kept for ever have no first one", () => {
  expect(firstMonthKept(NOON_SECOND * 1000, { keepMonths: 0, keepDays: 30 })).toBeUndefined();
});

test("no month goes that has a day which is kept, nor one of the last so many, nor comes back as time goes on", () => {
  const instant = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2400, 0) });
  const kept = fc.record({
    keepMonths: fc.integer({ min: 1, max: 1200 }),
    keepDays: fc.integer({ min: 1, max: 3650 }),
  });
  fc.assert(
    fc.property(instant, kept, fc.nat(40 * 366 * 86_400_000), (nowMs, settings, laterMs) => {
      const first = firstMonthKept(nowMs, settings) ?? "";
      expect(first <= monthOf(firstDayKept(nowMs, settings.keepDays))).toBe(true);
      const [year = 0, month = 0] = first.split("-").map(Number);
      const now = new Date(nowMs);
      const since = (now.getUTCFullYear() - year) * 12 + now.getUTCMonth() + 1 - month;
      expect(since).toBeGreaterThanOrEqual(settings.keepMonths);
      expect((firstMonthKept(nowMs + laterMs, settings) ?? "") >= first).toBe(true);
    }),
  );
});

test.each([
  ["1970-01-01T00:00:00.000Z", "1970-01-01", "1970-01"],
  ["2026-10-31T23:59:59.999Z", "2026-10-31", "2026-10"],
  ["2026-11-01T00:00:00.000Z", "2026-11-01", "2026-11"],
  ["2024-02-29T23:59:59.999Z", "2024-02-29", "2024-02"],
  ["2024-03-01T00:00:00.000Z", "2024-03-01", "2024-03"],
  ["2026-12-31T23:59:59.999Z", "2026-12-31", "2026-12"],
  ["2016-12-31T23:59:59.999Z", "2016-12-31", "2016-12"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31", "9999-12"],
])("%s is on the UTC day %s of the month %s", (at, day, month) => {
  expect(dayOf(Date.parse(at))).toBe(day);
  expect(monthOf(day)).toBe(month);
});
