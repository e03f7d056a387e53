import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { distinctName } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Store, UpkeepStore } from "../../src/ports/store.ts";
import type { Emit, SignalName, Signals } from "../../src/signals.ts";
import { runSweeper, sweep, type SweeperParts, type SweeperSettings } from "../../src/sweeper/sweeper.ts";
import { embeddedStore } from "../contract/embedded.ts";
import type { StoreWorld } from "../contract/store.ts";

const NOW = Date.parse("2026-11-24T12:00:00.500Z");
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** How long a lease is held that is not renewed. */
const LEASE = 10_000;
const settings: SweeperSettings = {
  sweepIntervalMs: 10_000,
  dedupWindowMs: DAY,
  keepDays: 30,
  keepMonths: 0,
};
/** Wakes a sweeper from its pause, whatever part of it chance has added. */
const PAUSE = 12_500;

/** Time that passes when the test says so. */
class SimulatedClock implements Clock {
  #nowMs = NOW;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();
  #asleep = Promise.withResolvers<void>();

  now(): number {
    return this.#nowMs;
  }
  async sleep(ms: number, stop?: AbortSignal): Promise<void> {
    if (stop?.aborted) return;
    const woken = Promise.withResolvers<void>();
    const sleeper = { untilMs: this.#nowMs + ms, wake: woken.resolve };
    this.#sleepers.add(sleeper);
    stop?.addEventListener("abort", () => woken.resolve(), { once: true });
    this.#asleep.resolve();
    await woken.promise;
    this.#sleepers.delete(sleeper);
  }
  /** Resolves once someone sleeps. */
  async asleep(): Promise<void> {
    if (this.#sleepers.size === 0) await this.#asleep.promise;
  }
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#asleep = Promise.withResolvers<void>();
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > this.#nowMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

let world: StoreWorld;
let store: Store;
let clock: SimulatedClock;
beforeEach(async () => {
  world = await embeddedStore();
  store = await world.open();
  clock = new SimulatedClock();
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** The parts of a sweeper, and what it has told. */
function sweeperOf(holder: string, upkeep: UpkeepStore = store) {
  const told: { readonly name: SignalName; readonly fact: unknown }[] = [];
  const emit: Emit = (name, fact) => void told.push({ name, fact });
  const parts: SweeperParts = { store: upkeep, clock, holder, emit };
  const all = <K extends SignalName>(name: K) =>
    told.filter((one) => one.name === name).map((one) => one.fact as Signals[K]);
  const go = new AbortController().signal;
  return {
    parts,
    all,
    sweep: (stop: AbortSignal = go, changed: Partial<SweeperSettings> = {}) =>
      sweep(parts, { ...settings, ...changed }, stop),
  };
}

/** The store, but for the methods given. */
const storeWith = (changed: Partial<UpkeepStore>): UpkeepStore => ({
  acquireLease: (...args) => store.acquireLease(...args),
  releaseLease: (...args) => store.releaseLease(...args),
  expireHourlyLog: (...args) => store.expireHourlyLog(...args),
  expireMarks: (...args) => store.expireMarks(...args),
  mergeMonths: (...args) => store.mergeMonths(...args),
  discardMonths: (...args) => store.discardMonths(...args),
  serverTime: () => store.serverTime(),
  unmergedSince: () => store.unmergedSince(),
  ...changed,
});

const event = (atMs: number, username = "ann", metric = "reads"): AcceptedEvent => ({
  username,
  metric,
  count: 1,
  atMs,
  id: undefined,
});
const gone = (): Promise<never> => Promise.reject(new Error("gone"));
let messages = 0;
const nextId = () => `m${(messages += 1)}`;
const log = (...events: readonly AcceptedEvent[]) =>
  store.apply(hourlyLog.fold({ id: nextId(), events }), clock.now());
const countDays = (...events: readonly AcceptedEvent[]) =>
  store.apply(distinctName.fold({ id: nextId(), events }), clock.now());
const periods = async (granularity: "day" | "month"): Promise<readonly string[]> => {
  const page = { limit: 1000, after: undefined };
  const rows = await store.distinctNames({ granularity, from: undefined, to: undefined, page });
  return rows.map(({ period, metric, count }) => `${period} ${metric} ${count}`);
};

describe("a sweep", () => {
  test("takes its cutoffs anew from the clock", async () => {
    await log(event(NOW), event(NOW + 30 * MINUTE));
    await store.claim({ projection: "hourlyLog", messageId: "m", eventIds: ["e1", "e2"] }, NOW);
    await countDays(event(NOW - 30 * DAY));
    const { sweep: sweepOnce, all } = sweeperOf("a");
    await sweepOnce();
    clock.advance(HOUR - 1000);
    await sweepOnce();
    clock.advance(1000);
    await sweepOnce();
    clock.advance(30 * MINUTE);
    await sweepOnce();
    clock.advance(DAY - 90 * MINUTE + 1);
    await sweepOnce();
    expect(
      all("sweep.finished").map(({ expired, forgotten, merged }) => [expired, forgotten, merged]),
    ).toEqual([
      [0, 0, 0],
      [0, 0, 0],
      [1, 0, 0],
      [1, 0, 0],
      // Two claims, and the marks of two messages; a day later one more day is too old.
      [0, 4, 1],
    ]);
  });

  test("merges days into months that are there and into months that are not, and changes no total", async () => {
    const old = [
      event(Date.parse("2026-09-30T23:59:59.999Z")),
      event(Date.parse("2026-10-01T00:00:00Z")),
      event(Date.parse("2026-10-24T00:00:00Z")),
      event(Date.parse("2026-10-24T00:00:00Z"), "bob", "writes"),
      event(Date.parse("2026-10-25T00:00:00Z")),
      event(NOW),
    ];
    await countDays(...old);
    const before = await periods("month");
    const sweeper = sweeperOf("a");
    await sweeper.sweep();
    expect(await periods("day")).toEqual(["2026-10-25 reads 1", "2026-11-24 reads 1"]);
    expect(await periods("month")).toEqual(before);
    expect(before).toEqual(["2026-09 reads 1", "2026-10 reads 3", "2026-10 writes 1", "2026-11 reads 1"]);
    // A late event of a month that is there, and one of a metric that has no row in it yet.
    await countDays(event(Date.parse("2026-10-02T00:00:00Z")), event(old[1]?.atMs ?? 0, "bob", "scans"));
    await sweeper.sweep();
    await sweeper.sweep();
    expect(await periods("month")).toEqual([
      "2026-09 reads 1",
      "2026-10 reads 4",
      "2026-10 scans 1",
      "2026-10 writes 1",
      "2026-11 reads 1",
    ]);
    expect(sweeper.all("sweep.finished").map(({ merged }) => merged)).toEqual([4, 2, 0]);
  });

  test("discards the months beyond those that are kept, as they become it, and tells how many", async () => {
    await countDays(
      event(Date.parse("2026-08-31T23:59:59.999Z")),
      event(Date.parse("2026-09-01T00:00:00Z")),
      event(Date.parse("2026-09-30T00:00:00Z"), "bob", "writes"),
      event(Date.parse("2026-10-31T00:00:00Z")),
      event(NOW),
    );
    const sweeper = sweeperOf("a");
    const go = new AbortController().signal;
    await sweeper.sweep();
    expect(sweeper.all("months.discarded")).toEqual([]);
    await sweeper.sweep(go, { keepMonths: 2 });
    expect(await periods("month")).toEqual([
      "2026-09 reads 1",
      "2026-09 writes 1",
      "2026-10 reads 1",
      "2026-11 reads 1",
    ]);
    await sweeper.sweep(go, { keepMonths: 2 });
    // Into the next month, in which September is one too many.
    clock.advance(7 * DAY);
    await sweeper.sweep(go, { keepMonths: 2 });
    // October is beyond one month, but has a day that is still kept as a day.
    await sweeper.sweep(go, { keepMonths: 1, keepDays: 60 });
    expect(await periods("month")).toEqual(["2026-10 reads 1", "2026-11 reads 1"]);
    expect(sweeper.all("months.discarded")).toEqual([
      { counts: 1, before: "2026-09" },
      { counts: 2, before: "2026-10" },
    ]);
    expect(sweeper.all("sweep.finished").map(({ discarded }) => discarded)).toEqual([0, 1, 0, 2, 0]);
  });

  test("that fails after it has decided what goes for good tells of it all the same, once", async () => {
    await countDays(event(Date.parse("2026-08-31T00:00:00Z")), event(NOW));
    const go = new AbortController().signal;
    const failing = sweeperOf(
      "a",
      storeWith({
        async discardMonths(...args) {
          await store.discardMonths(...args);
          return gone();
        },
      }),
    );
    await expect(failing.sweep(go, { keepMonths: 2 })).rejects.toThrow("gone");
    expect(failing.all("months.discarded")).toEqual([{ counts: 1, before: "2026-09" }]);
    const next = sweeperOf("a");
    await next.sweep(go, { keepMonths: 2 });
    expect(next.all("months.discarded")).toEqual([]);
  });

  test.for([
    ["ahead of", 1],
    ["behind", -1],
  ] as const)(
    "whose clock is more than a day %s the store's discards no month, and says so",
    async ([, sign]) => {
      await countDays(event(Date.parse("2026-08-31T00:00:00Z")), event(NOW));
      const go = new AbortController().signal;
      const apart = (ms: number) =>
        sweeperOf("a", storeWith({ serverTime: async () => clock.now() - sign * ms }));
      const wrong = apart(DAY + 1000);
      await wrong.sweep(go, { keepMonths: 2 });
      expect(wrong.all("months.spared")).toEqual([{ before: "2026-09", aheadSeconds: sign * 86_401 }]);
      expect(wrong.all("sweep.finished")).toMatchObject([{ discarded: 0 }]);
      expect(await periods("month")).toContain("2026-08 reads 1");
      const right = apart(DAY);
      await right.sweep(go, { keepMonths: 2 });
      expect(right.all("months.spared")).toEqual([]);
      expect(right.all("months.discarded")).toEqual([{ counts: 1, before: "2026-09" }]);
    },
  );

  test("cut short by stop ends early, and the next sweep does the rest", async () => {
    const users = Array.from({ length: 4000 }, (_, i) => `user ${i}`);
    for (const second of [0, 1, 2])
      await log(...users.map((username) => event(NOW + second * 1000, username)));
    clock.advance(2 * HOUR);
    const stop = new AbortController();
    const first = sweeperOf(
      "a",
      storeWith({
        async expireHourlyLog(...args) {
          const rows = await store.expireHourlyLog(...args);
          stop.abort();
          return rows;
        },
      }),
    );
    await first.sweep(stop.signal);
    const second = sweeperOf("a");
    await second.sweep();
    await second.sweep();
    const expired = [first, second].flatMap((one) => one.all("sweep.finished").map((fact) => fact.expired));
    expect(expired).toEqual([5000, 7000, 0]);
  });

  test("ends when its lease is lost on the way, and leaves the rest to the new holder", async () => {
    const users = Array.from({ length: 3000 }, (_, i) => `user ${i}`);
    for (const second of [0, 1]) await log(...users.map((username) => event(NOW + second * 1000, username)));
    await countDays(event(NOW - 40 * DAY));
    clock.advance(2 * HOUR);
    const slow = sweeperOf(
      "a",
      storeWith({
        async expireHourlyLog(...args) {
          const rows = await store.expireHourlyLog(...args);
          clock.advance(LEASE);
          expect(await store.acquireLease("sweeper", "b", clock.now() + LEASE, clock.now())).toBe(true);
          return rows;
        },
      }),
    );
    await slow.sweep();
    expect(slow.all("sweep.finished")).toMatchObject([{ expired: 5000, merged: 0 }]);
    const other = sweeperOf("b");
    expect(await other.sweep()).toBe(true);
    expect(other.all("sweep.finished")).toMatchObject([{ expired: 1000, merged: 1 }]);
  });
});

describe("of two sweepers", () => {
  test("only one works at a time, and goes on for as long as it renews its lease", async () => {
    const [a, b] = [sweeperOf("a"), sweeperOf("b")];
    const had = await Promise.all([a.sweep(), b.sweep()]);
    expect(had.filter(Boolean)).toHaveLength(1);
    const [holder, other] = had[0] ? [a, b] : [b, a];
    for (let i = 0; i < 5; i += 1) {
      clock.advance(LEASE - 1);
      expect([await other.sweep(), await holder.sweep()]).toEqual([false, true]);
    }
    expect(holder.all("sweep.finished")).toHaveLength(6);
    expect(other.all("sweep.finished")).toEqual([]);
  });

  test("one takes the lease of a dead one when it ends, and not before", async () => {
    await log(event(NOW));
    const [dead, next] = [sweeperOf("a"), sweeperOf("b")];
    expect(await dead.sweep()).toBe(true);
    clock.advance(LEASE - 1);
    expect(await next.sweep()).toBe(false);
    clock.advance(1);
    expect(await next.sweep()).toBe(true);
    expect(await dead.sweep()).toBe(false);
  });

  test("one that is stopped gives its lease back at once", async () => {
    const first = sweeperOf("a");
    const stop = new AbortController();
    const ended = runSweeper(first.parts, settings, stop.signal);
    await clock.asleep();
    const second = sweeperOf("b");
    expect(await second.sweep()).toBe(false);
    stop.abort();
    await ended;
    expect(await second.sweep()).toBe(true);
  });

  test("one that never had the lease takes none away when it is stopped", async () => {
    expect(await sweeperOf("a").sweep()).toBe(true);
    const stop = new AbortController();
    const ended = runSweeper(sweeperOf("b").parts, settings, stop.signal);
    await clock.asleep();
    stop.abort();
    await ended;
    expect(await sweeperOf("c").sweep()).toBe(false);
  });
});

describe("the loop", () => {
  test("sweeps, pauses and sweeps again until it is stopped", async () => {
    const sweeper = sweeperOf("a");
    const stop = new AbortController();
    const ended = runSweeper(sweeper.parts, settings, stop.signal);
    for (let rounds = 1; rounds <= 3; rounds += 1) {
      await clock.asleep();
      expect(sweeper.all("sweep.finished")).toHaveLength(rounds);
      clock.advance(PAUSE);
    }
    await clock.asleep();
    stop.abort();
    await ended;
    expect(sweeper.all("sweep.finished")).toHaveLength(4);
  });

  test("tells of a sweep that failed and goes on with the next", async () => {
    await log(event(NOW));
    clock.advance(2 * HOUR);
    let fails = 2;
    const sweeper = sweeperOf(
      "a",
      storeWith({
        async expireHourlyLog(...args) {
          fails -= 1;
          if (fails >= 0) throw new Error("disk full");
          return store.expireHourlyLog(...args);
        },
      }),
    );
    const stop = new AbortController();
    const ended = runSweeper(sweeper.parts, settings, stop.signal);
    for (let rounds = 0; rounds < 2; rounds += 1) {
      await clock.asleep();
      clock.advance(PAUSE);
    }
    await clock.asleep();
    expect(sweeper.all("sweep.failed")).toMatchObject([
      { error: new Error("disk full") },
      { error: new Error("disk full") },
    ]);
    expect(sweeper.all("sweep.finished")).toMatchObject([{ expired: 1 }]);
    stop.abort();
    await ended;
  });

  test("ends when it is stopped though the store is gone", async () => {
    const sweeper = sweeperOf("a", storeWith({ acquireLease: gone, releaseLease: gone }));
    const stop = new AbortController();
    const ended = runSweeper(sweeper.parts, settings, stop.signal);
    await clock.asleep();
    stop.abort();
    await expect(ended).resolves.toBeUndefined();
    expect(sweeper.all("sweep.failed")).toHaveLength(1);
  });
});
