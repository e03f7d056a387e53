import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AcceptedEvent } from "../../src/domain/envelope.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName, monthOf } from "../../src/domain/distinct-name.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import { hourWindow } from "../../src/domain/retention.ts";
import type { Store } from "../../src/ports/store.ts";

/** A store's world: what outlives the connection. */
export interface StoreWorld extends AsyncDisposable {
  /** Opens another connection to the same data; the caller closes it. */
  open(): Promise<Store>;
}

/** Far ahead: no time-to-live of a real server takes any of it away by the real clock. */
const NOW = Date.parse("2096-11-24T12:00:00.500Z");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const event = (username: string, metric: string, count: number, atMs = NOW): AcceptedEvent => ({
  username,
  metric,
  count,
  atMs,
  id: undefined,
});
const all = { limit: 1000, after: undefined };
const everyone = { username: undefined, metric: undefined, page: all };
const byDay = { granularity: "day", from: undefined, to: undefined, page: all } as const;
const byMonth = { ...byDay, granularity: "month" } as const;

/** What every store adapter must do. `make` is called once a test; undefined where there is no such store here, which skips all. Time is simulated: the store is told it. */
export function storeContract(name: string, make: (() => Promise<StoreWorld>) | undefined): void {
  describe.skipIf(make === undefined)(`the store contract on ${name}`, () => {
    let world: StoreWorld;
    let store: Store;
    beforeEach(async () => {
      if (make === undefined) throw new Error("skipped");
      world = await make();
      store = await world.open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    });
    const reopen = async () => {
      await store[Symbol.asyncDispose]();
      store = await world.open();
    };
    const applyAll = async (messageId: string, events: readonly AcceptedEvent[], nowMs = NOW) => {
      for (const projection of [accountName, distinctName, hourlyLog]) {
        await store.apply(projection.fold({ id: messageId, events }), nowMs);
      }
    };

    test("a message applied twice, at once or after a restart, counts once in each view", async () => {
      const events = [event("ann", "reads", 5), event("ann", "reads", 7), event("bob", "writes", -3)];
      await Promise.all(Array.from({ length: 8 }, () => applyAll("m1", events)));
      await reopen();
      await applyAll("m1", events);
      expect(await store.hourlyTotals(all, NOW)).toEqual([
        { metric: "reads", minimum: 5, maximum: 7, average: 6, count: 2 },
        { metric: "writes", minimum: -3, maximum: -3, average: -3, count: 1 },
      ]);
      expect(await store.hourlyPerUser(everyone, NOW)).toEqual([
        { username: "ann", metric: "reads", minimum: 5, maximum: 7, average: 6, count: 2 },
        { username: "bob", metric: "writes", minimum: -3, maximum: -3, average: -3, count: 1 },
      ]);
      expect(await store.distinctNames(byDay)).toEqual([
        { period: "2096-11-24", metric: "reads", count: 2 },
        { period: "2096-11-24", metric: "writes", count: 1 },
      ]);
      expect(
        (await store.accounts({ sinceMs: undefined, page: all })).map((account) => account.username),
      ).toEqual(["ann", "bob"]);
    });

    test("an event id belongs to the first message that claims it, in each projection by itself", async () => {
      const claim = (projection: "distinctName" | "hourlyLog", messageId: string, ...eventIds: string[]) =>
        store.claim({ projection, messageId, eventIds }, NOW);
      expect(await claim("hourlyLog", "m1", "e1", "e2")).toEqual(new Set());
      expect(await claim("hourlyLog", "m1", "e1", "e2")).toEqual(new Set());
      expect(await claim("hourlyLog", "m2", "e2", "e3")).toEqual(new Set(["e2"]));
      expect(await claim("distinctName", "m2", "e2")).toEqual(new Set());
      await reopen();
      expect(await claim("hourlyLog", "m3", "e1", "e2", "e3", "e4")).toEqual(new Set(["e1", "e2", "e3"]));
    });

    test("of messages that race for the same event ids each id goes to exactly one", async () => {
      const eventIds = Array.from({ length: 50 }, (_, i) => `event ${i}`);
      const held = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          store.claim({ projection: "hourlyLog", messageId: `m${i}`, eventIds }, NOW),
        ),
      );
      const winners = eventIds.map((id) => held.filter((others) => !others.has(id)).length);
      expect(winners).toEqual(eventIds.map(() => 1));
    });

    test("a username keeps its earliest sight, whatever the order", async () => {
      await applyAll("m1", [event("ann", "reads", 1, NOW - 1000)]);
      await applyAll("m2", [event("ann", "reads", 1, NOW - 5000), event("bob", "reads", 1, NOW)]);
      await applyAll("m3", [event("ann", "reads", 1, NOW - 2000)]);
      expect(await store.account("ann")).toEqual({ username: "ann", firstSeenMs: NOW - 5000 });
      expect(await store.account("nobody")).toBeUndefined();
      expect(await store.accounts({ sinceMs: NOW - 4999, page: all })).toEqual([
        { username: "bob", firstSeenMs: NOW },
      ]);
    });

    test("names that mean something to a database or to JavaScript are names like others", async () => {
      const names = [
        "__proto__",
        "constructor",
        "$set",
        "a.b",
        "'; DROP TABLE account; --",
        "Ω",
        "👩‍🚀",
        " ",
        "toString",
      ];
      await applyAll(
        "m1",
        names.map((username, i) => event(username, username, i)),
      );
      const rows = await store.hourlyPerUser(everyone, NOW);
      expect(rows.map((row) => row.username).toSorted()).toEqual(names.toSorted());
      for (const username of names) expect((await store.account(username))?.username).toBe(username);
      expect((await store.distinctNames(byDay)).map((row) => row.metric).toSorted()).toEqual(
        names.toSorted(),
      );
    });

    test("the hour is exact to the second on read, with nothing swept", async () => {
      const second = Math.floor(NOW / 1000) * 1000;
      await applyAll("m1", [
        event("ann", "out", 1, second - HOUR),
        event("ann", "last", 1, second - HOUR + 1000),
        event("ann", "now", 1, second),
        event("ann", "ahead", 1, second + 1000),
      ]);
      const metricsAt = async (nowMs: number) =>
        (await store.hourlyTotals(all, nowMs)).map((total) => total.metric);
      expect(await metricsAt(second)).toEqual(["last", "now"]);
      expect(await metricsAt(second + 999)).toEqual(["last", "now"]);
      expect(await metricsAt(second + 1000)).toEqual(["ahead", "now"]);
      const users = await store.hourlyPerUser(everyone, second + HOUR);
      expect(users.map((row) => row.metric)).toEqual(["ahead"]);
      expect(await metricsAt(second + HOUR + 1000)).toEqual([]);
    });

    test("what is to be merged is told by when it was applied, and no longer once it is merged", async () => {
      expect(await store.unmergedSince()).toBeUndefined();
      await applyAll("m1", [event("ann", "reads", 5)], NOW);
      await applyAll("m2", [event("ann", "reads", 5)], NOW + 1000);
      // A store that merges as it applies has nothing left.
      expect(await store.unmergedSince()).toBeOneOf([undefined, NOW]);
      await store.mergeMonths("2096-10-25", NOW);
      expect(await store.unmergedSince()).toBeUndefined();
    });

    test("sums stay exact at the ends of the safe integers", async () => {
      const [least, greatest] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
      await applyAll(
        "m1",
        Array.from({ length: 2000 }, () => event("ann", "big", greatest)),
      );
      await applyAll("m2", [
        ...Array.from({ length: 1999 }, () => event("ann", "big", least)),
        event("ann", "big", 4000),
      ]);
      const summary = {
        metric: "big",
        minimum: least,
        maximum: greatest,
        average: Number(9_007_199_254_744_991n / 4000n) + 991 / 4000, // (2^53 + 3999) / 4000, which no double holds before the division.
        count: 4000,
      };
      expect(await store.hourlyTotals(all, NOW)).toEqual([summary]);
      expect(await store.hourlyPerUser(everyone, NOW)).toEqual([{ username: "ann", ...summary }]);
    });

    test("per-user rows are filtered by user and metric, and paged without a gap or an overlap", async () => {
      const events = ["ann", "bob", "cleo", "Ω"].flatMap((user) =>
        ["r", "w", "x"].map((metric) => event(user, metric, 1)),
      );
      await applyAll("m1", events);
      const whole = await store.hourlyPerUser(everyone, NOW);
      expect(whole).toHaveLength(12);
      const paged: (typeof whole)[number][] = [];
      for (;;) {
        const after = paged.at(-1);
        const rows = await store.hourlyPerUser({ ...everyone, page: { limit: 5, after } }, NOW);
        paged.push(...rows);
        if (rows.length < 5) break;
      }
      expect(paged).toEqual(whole);
      const one = await store.hourlyPerUser({ username: "bob", metric: "w", page: all }, NOW);
      expect(one.map((row) => [row.username, row.metric])).toEqual([["bob", "w"]]);
      const writes = await store.hourlyPerUser({ username: undefined, metric: "w", page: all }, NOW);
      expect(writes.map((row) => row.username)).toEqual(["ann", "bob", "cleo", "Ω"]);
    });

    test("totals are paged by metric", async () => {
      await applyAll(
        "m1",
        ["r", "w", "x"].map((metric) => event("ann", metric, 1)),
      );
      const [first] = await store.hourlyTotals({ limit: 1, after: undefined }, NOW);
      const rest = await store.hourlyTotals({ limit: 5, after: first }, NOW);
      expect([first, ...rest].map((row) => row?.metric)).toEqual(["r", "w", "x"]);
    });

    test("totals by number of events begin with the most, and among equals with the first metric", async () => {
      const events = [
        ["b", 2],
        ["a", 1],
        ["d", 3],
        ["c", 2],
      ] as const;
      for (const [metric, times] of events) {
        const one = event("ann", metric, 60 / times);
        await applyAll(
          `m-${metric}`,
          Array.from({ length: times }, () => one),
        );
      }
      await applyAll("m-old", [event("ann", "old", 1, NOW - 2 * HOUR)]);
      // One metric of two messages and two users.
      await applyAll("m-more", [event("bob", "a", 7), event("bob", "a", 7), event("bob", "a", 7)]);
      const rows = await store.hourlyTotalsByCount(10, NOW);
      expect(rows.map(({ metric, count }) => [metric, count])).toEqual([
        ["a", 4],
        ["d", 3],
        ["b", 2],
        ["c", 2],
      ]);
      expect(rows[0]).toEqual({ metric: "a", minimum: 7, maximum: 60, average: 20.25, count: 4 });
      expect(await store.hourlyTotalsByCount(2, NOW)).toEqual(rows.slice(0, 2));
      expect(await store.hourlyTotalsByCount(10, NOW + HOUR)).toEqual([]);
    });

    test("days are told apart in UTC, filtered and paged", async () => {
      const midnight = Date.parse("2096-11-24T00:00:00Z");
      await applyAll("m1", [
        event("ann", "reads", 1, midnight - 1),
        event("ann", "reads", 1, midnight),
        event("ann", "writes", 1, midnight),
        event("ann", "reads", 1, midnight + DAY - 1),
      ]);
      const rows = [
        { period: "2096-11-23", metric: "reads", count: 1 },
        { period: "2096-11-24", metric: "reads", count: 2 },
        { period: "2096-11-24", metric: "writes", count: 1 },
      ];
      expect(await store.distinctNames(byDay)).toEqual(rows);
      expect(await store.distinctNames({ ...byDay, from: "2096-11-24" })).toEqual(rows.slice(1));
      expect(await store.distinctNames({ ...byDay, to: "2096-11-23" })).toEqual(rows.slice(0, 1));
      expect(await store.distinctNames({ ...byDay, page: { limit: 1, after: rows[0] } })).toEqual(
        rows.slice(1, 2),
      );
    });

    test("six months of days merge into months to the last event, also a month that has no row yet, and late ones", async () => {
      const expected = new Map<string, number>();
      for (let day = 0; day < 180; day += 1) {
        const atMs = NOW - day * DAY;
        const month = new Date(atMs).toISOString().slice(0, 7);
        await store.apply(
          distinctName.fold({ id: `m${day}`, events: [event("ann", "reads", 1, atMs)] }),
          NOW,
        );
        expected.set(month, (expected.get(month) ?? 0) + 1);
        // Sweeps come in between, as they do.
        if (day % 50 === 0) await store.mergeMonths("2096-10-25", NOW);
      }
      await Promise.all([store.mergeMonths("2096-10-25", NOW), store.mergeMonths("2096-10-25", NOW)]);
      const late = event("bob", "reads", 1, NOW - 100 * DAY);
      await store.apply(distinctName.fold({ id: "late", events: [late] }), NOW);
      await store.mergeMonths("2096-10-25", NOW);
      expect(await store.mergeMonths("2096-10-25", NOW)).toBe(0);
      const lateMonth = new Date(late.atMs).toISOString().slice(0, 7);
      expected.set(lateMonth, (expected.get(lateMonth) ?? 0) + 1);
      await reopen();
      const months = await store.distinctNames(byMonth);
      expect(new Map(months.map((row) => [row.period, row.count]))).toEqual(expected);
      const days = await store.distinctNames(byDay);
      expect(days[0]?.period).toBe("2096-10-25");
      expect(days).toHaveLength(31);
      expect(await store.distinctNames({ ...byMonth, from: "2096-11", to: "2096-11" })).toEqual([
        { period: "2096-11", metric: "reads", count: 24 },
      ]);
    });

    /** How many counts are told to go. */
    const discard = async (firstMonthKept: string): Promise<number> => {
      let told = 0;
      await store.discardMonths(firstMonthKept, NOW, (counts) => {
        told += counts;
      });
      return told;
    };

    test("its own clock, where it has one, is that of this machine here", async () => {
      const beforeMs = Date.now();
      const atMs = await store.serverTime();
      if (atMs === undefined) return;
      expect(atMs).toBeGreaterThanOrEqual(beforeMs - 1);
      expect(atMs).toBeLessThanOrEqual(Date.now() + 1);
    });

    test("months before the first that is kept are discarded, with nothing else, and late ones again", async () => {
      const count = (messageId: string, metric: string, daysAgo: number) =>
        store.apply(
          distinctName.fold({ id: messageId, events: [event("ann", metric, 1, NOW - daysAgo * DAY)] }),
          NOW,
        );
      // Of 2096-11 and 2096-10 as days, of 2096-10, 2096-09 and 2095-11 as months.
      for (const [i, daysAgo] of [0, 30, 31, 60, 365].entries()) await count(`m${i}`, "reads", daysAgo);
      await count("writes", "writes", 365);
      expect(await discard("2096-10")).toBe(0);
      await store.mergeMonths("2096-10-25", NOW);
      const raced = await Promise.all([discard("2096-10"), discard("2096-10")]);
      expect(raced.toSorted((a, b) => a - b)).toEqual([0, 3]);
      await reopen();
      const left = [
        { period: "2096-10", metric: "reads", count: 2 },
        { period: "2096-11", metric: "reads", count: 1 },
      ];
      expect(await store.distinctNames(byMonth)).toEqual(left);
      expect((await store.distinctNames(byDay)).map(({ period }) => period)).toEqual([
        "2096-10-25",
        "2096-11-24",
      ]);
      // A redelivery of what has gone with its month counts nothing; an event that comes late is there until it goes, too.
      await count("m4", "reads", 365);
      await count("late", "reads", 365);
      await store.mergeMonths("2096-10-25", NOW);
      expect(await store.distinctNames({ ...byMonth, to: "2096-09" })).toEqual([
        { period: "2095-11", metric: "reads", count: 1 },
      ]);
      expect(await discard("2096-10")).toBe(1);
      expect(await discard("2096-10")).toBe(0);
      expect(await store.distinctNames(byMonth)).toEqual(left);
      // What is forgotten of them later changes nothing either.
      await store.expireMarks(NOW + 1, 1000);
      expect(await store.distinctNames(byMonth)).toEqual(left);
    });

    test("days and months are what was counted, merged and discarded, in whatever order", async () => {
      const daysAgo = fc.integer({ min: 0, max: 400 });
      const step = fc.record({
        kind: fc.constantFrom(
          "count" as const,
          "count" as const,
          "count" as const,
          "merge" as const,
          "discard" as const,
        ),
        metric: fc.constantFrom("r", "w"),
        daysAgo,
      });
      // The store is one for all runs, and so is what it must hold.
      const days = new Map<string, number>();
      const months = new Map<string, number>();
      const add = (to: Map<string, number>, key: string, count: number) =>
        void to.set(key, (to.get(key) ?? 0) + count);
      const take = (from: Map<string, number>, before: string) => {
        const taken = Array.from(from).filter(([key]) => key < before);
        for (const [key] of taken) from.delete(key);
        return taken;
      };
      let messages = 0;
      /** Does it in both, and answers how many counts each says that it has moved. */
      const both = async (kind: "count" | "merge" | "discard", metric: string, day: string) => {
        if (kind === "count") {
          messages += 1;
          const counts = [{ day, metric, count: messages }];
          await store.apply({ projection: "distinctName", messageId: `m${messages}`, counts }, NOW);
          add(days, `${day} ${metric}`, messages);
          return { told: 0, expected: 0 };
        }
        if (kind === "discard") {
          const expected = take(months, monthOf(day)).length;
          return { told: await discard(monthOf(day)), expected };
        }
        const merged = take(days, day);
        for (const [key, count] of merged) add(months, monthKey(key), count);
        return { told: await store.mergeMonths(day, NOW), expected: merged.length };
      };
      const monthKey = (key: string): string => `${monthOf(key.slice(0, 10))}${key.slice(10)}`;
      const shown = async (filter: typeof byDay | typeof byMonth) =>
        new Map(
          (await store.distinctNames(filter)).map(({ period, metric, count }) => [
            `${period} ${metric}`,
            count,
          ]),
        );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
          for (const { kind, metric, daysAgo: ago } of steps) {
            const day = new Date(NOW - ago * DAY).toISOString().slice(0, 10);
            const { told, expected } = await both(kind, metric, day);
            expect(told).toBe(expected);
          }
          expect(await shown(byDay)).toEqual(days);
          const byMonths = new Map(months);
          for (const [key, count] of days) add(byMonths, monthKey(key), count);
          expect(await shown(byMonth)).toEqual(byMonths);
        }),
        { numRuns: 12, endOnFailure: true },
      );
    });

    test("a lease has one holder at a time, who may renew it and give it back", async () => {
      const acquire = (holder: string, nowMs: number) =>
        store.acquireLease("sweeper", holder, nowMs + 30_000, nowMs);
      expect(await acquire("a", NOW)).toBe(true);
      expect(await acquire("b", NOW + 1)).toBe(false);
      expect(await acquire("a", NOW + 20_000)).toBe(true);
      expect(await acquire("b", NOW + 49_999)).toBe(false);
      expect(await acquire("b", NOW + 50_000)).toBe(true);
      await store.releaseLease("sweeper", "a");
      expect(await acquire("a", NOW + 50_001)).toBe(false);
      await store.releaseLease("sweeper", "b");
      const race = await Promise.all(["a", "b", "c", "d"].map((holder) => acquire(holder, NOW + 50_002)));
      expect(race.filter(Boolean)).toHaveLength(1);
    });

    test("expiry takes what the hour no longer shows, at most so much a step, and nothing else", async () => {
      for (let i = 0; i < 10; i += 1) {
        await applyAll(`old ${i}`, [event(`user ${i}`, "old", 1, NOW - HOUR + 5000)]);
      }
      await applyAll("new", [event("ann", "new", 1, NOW)]);
      const { after } = hourWindow(NOW + 6000);
      expect(await store.expireHourlyLog(after, 4)).toBe(4);
      expect(await store.expireHourlyLog(after, 4)).toBe(4);
      expect(await store.expireHourlyLog(after, 4)).toBe(2);
      expect(await store.expireHourlyLog(after, 4)).toBe(0);
      expect((await store.hourlyTotals(all, NOW + 6000)).map((total) => total.metric)).toEqual(["new"]);
      expect(await store.hourlyPerUser(everyone, NOW + 6000)).toHaveLength(1);
      expect(await store.distinctNames(byDay)).toHaveLength(2);
    });

    test("ids are forgotten only once they are older than the window", async () => {
      const claim = (messageId: string, nowMs: number) =>
        store.claim({ projection: "hourlyLog", messageId, eventIds: ["e1"] }, nowMs);
      await claim("m1", NOW);
      await applyAll("m1", [event("ann", "reads", 1)]);
      expect(await store.expireMarks(NOW, 100)).toBe(0);
      expect(await claim("m2", NOW)).toEqual(new Set(["e1"]));
      expect(await store.expireMarks(NOW + 1, 100)).toBeGreaterThan(0);
      expect(await claim("m2", NOW + 1)).toEqual(new Set());
      expect(await store.hourlyTotals(all, NOW)).toHaveLength(1);
    });

    test("an answer holds everything applied before it was asked, over any connection", async () => {
      await using other = await world.open();
      for (let i = 1; i <= 20; i += 1) {
        await applyAll(`m${i}`, [event("ann", "reads", 1)]);
        expect((await other.hourlyTotals(all, NOW))[0]?.count).toBe(i);
        expect((await other.distinctNames(byDay))[0]?.count).toBe(i);
      }
    });

    test("a change that the store will never take is refused for good, and takes no other down with it", async () => {
      const good = hourlyLog.fold({ id: "good", events: [event("ann", "reads", 1)] });
      const bad = {
        ...good,
        messageId: "bad",
        entries: [{ ...event("ann", "reads", 1), second: Number.NaN } as never],
      };
      const [refused, ...applied] = await Promise.allSettled([
        store.apply(bad as typeof good, NOW),
        store.apply(good, NOW),
        store.apply(distinctName.fold({ id: "good", events: [event("ann", "reads", 1)] }), NOW),
      ]);
      expect(refused).toMatchObject({ status: "rejected", reason: { code: "CHANGE_REFUSED" } });
      expect(applied.map((one) => one.status)).toEqual(["fulfilled", "fulfilled"]);
      expect((await store.hourlyTotals(all, NOW))[0]?.count).toBe(1);
    });

    test("a store that is closed refuses, with a code", async () => {
      const other = await world.open();
      await other[Symbol.asyncDispose]();
      await expect(other.ready()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      await expect(other.hourlyTotals(all, NOW)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      await expect(store.ready()).resolves.toBeUndefined();
    });
  });
}
