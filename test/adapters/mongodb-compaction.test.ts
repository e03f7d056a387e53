import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { compact, discardMonths } from "../../src/adapters/mongodb/compaction.ts";
import { Connection, type Runner } from "../../src/adapters/mongodb/connection.ts";
import { FoldLog } from "../../src/adapters/mongodb/fold-log.ts";
import { periodCounts } from "../../src/adapters/mongodb/period-counts.ts";
import type { Collections } from "../../src/adapters/mongodb/schema.ts";
import { DAY_MS, dayOf, monthOf } from "../../src/domain/distinct-name.ts";
import type { Store } from "../../src/ports/store.ts";
import { mongodbStore, type MongodbWorld } from "../contract/mongodb.ts";

const storeAt = inject("store");
const NOW = Date.parse("2096-11-24T12:00:00Z");
const FIRST_DAY_KEPT = dayOf(NOW - 30 * DAY_MS);
/** One of the months that are counted below is older. */
const FIRST_MONTH_KEPT = "2096-09";
const all = { from: undefined, to: undefined, page: { limit: 1000, after: undefined } };

/** What a compactor does at one of its operations: how its run ends there, or what it waits for before it goes on. */
type Fate = (operation: number, act: () => Promise<unknown>) => Promise<unknown>;

/** A connection whose operations are numbered from 1, with a fate for each. */
class Fated implements Runner {
  readonly bound = { maxTimeMS: 10_000 };
  operations = 0;
  readonly #runner: Runner;
  readonly #fate: Fate;

  constructor(runner: Runner, fate: Fate) {
    this.#runner = runner;
    this.#fate = fate;
  }
  async pause(): Promise<void> {}
  async run<T>(operation: (collections: Collections) => Promise<T>): Promise<T> {
    this.operations += 1;
    return (await this.#fate(this.operations, () => this.#runner.run(operation))) as T;
  }
}
class Killed extends Error {}

const goesOn: Fate = (_, act) => act();
const killedBefore =
  (k: number): Fate =>
  (operation, act) =>
    operation === k ? Promise.reject(new Killed()) : act();
const killedAfter =
  (k: number): Fate =>
  async (operation, act) => {
    const result = await act();
    if (operation === k) throw new Killed();
    return result;
  };

describe.skipIf(storeAt === undefined)("a compactor", () => {
  let world: MongodbWorld;
  let store: Store;
  let connection: Connection;
  /** What was applied, by day and metric. */
  const applied = new Map<string, number>();
  let messages = 0;

  beforeAll(async () => {
    world = await mongodbStore(storeAt?.url ?? "")();
    store = await world.open();
    connection = new Connection(
      { storeUrl: world.url, storePoolSize: 5, storeTimeoutMs: 10_000 },
      systemClock,
    );
  });
  afterAll(async () => {
    await connection[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  const apply = async () => {
    for (const [daysAgo, metric] of [
      [0, "reads"],
      [0, "writes"],
      [31, "reads"],
      [33, "reads"],
      [40, "writes"],
      [100, "reads"],
    ] as const) {
      const day = dayOf(NOW - daysAgo * DAY_MS);
      const count = 1 + (messages % 3);
      await store.apply(
        { projection: "distinctName", messageId: `m${messages++}`, counts: [{ day, metric, count }] },
        NOW,
      );
      applied.set(`${day} ${metric}`, (applied.get(`${day} ${metric}`) ?? 0) + count);
    }
  };
  const compactBy = (fate: Fate) => {
    const runner = new Fated(connection, fate);
    return { runner, done: compact(runner, new FoldLog(runner, systemClock), FIRST_DAY_KEPT, NOW) };
  };
  const discardBy = (fate: Fate) => {
    const runner = new Fated(connection, fate);
    const log = new FoldLog(runner, systemClock);
    let told = 0;
    const discarded = (counts: number): void => void (told += counts);
    const done = discardMonths(runner, log, { firstMonthKept: FIRST_MONTH_KEPT, discarded }, NOW);
    return { runner, done: done.then(() => told), told: () => told };
  };
  /** What was applied and is discarded. */
  const forget = () => {
    for (const key of applied.keys()) if (key < FIRST_MONTH_KEPT) applied.delete(key);
  };
  const months = async () => {
    const rows = await store.distinctNames({ granularity: "month", ...all });
    return new Map(rows.map(({ period, metric, count }) => [`${period} ${metric}`, count]));
  };
  const expectExact = async () => {
    const expected = new Map<string, number>();
    for (const [key, count] of applied) {
      const [day = "", metric] = key.split(" ");
      const month = `${monthOf(day)} ${metric}`;
      expected.set(month, (expected.get(month) ?? 0) + count);
    }
    expect(await months()).toEqual(expected);
    // An older day may be in its month already, or on its way.
    const days = await store.distinctNames({ granularity: "day", ...all, from: FIRST_DAY_KEPT });
    const kept = Array.from(applied).filter(([key]) => key >= FIRST_DAY_KEPT);
    expect(new Map(days.map((row) => [`${row.period} ${row.metric}`, row.count]))).toEqual(new Map(kept));
  };
  const expectFinished = async () => {
    await expectExact();
    const days = await store.distinctNames({ granularity: "day", ...all });
    expect(days.every(({ period }) => period >= FIRST_DAY_KEPT)).toBe(true);
  };

  test.for([
    ["before", killedBefore],
    ["after", killedAfter],
  ] as const)(
    "that is killed %s any of its steps leaves exact answers, and the next one finishes",
    async ([, killed]) => {
      let step = 0;
      for (let reached = true; reached; ) {
        step += 1;
        await apply();
        const { runner, done } = compactBy(killed(step));
        const outcome = await done.catch((error: unknown) => error);
        reached = runner.operations >= step && outcome instanceof Killed;
        expect(typeof outcome).toBe(reached ? "object" : "number");
        await expectExact();
        await compactBy(goesOn).done;
        await expectFinished();
      }
      expect(step).toBeGreaterThan(8);
    },
  );

  test("that goes on late from any of its steps, after others have finished its work and more, changes nothing", async () => {
    let step = 0;
    for (let reached = true; reached; ) {
      step += 1;
      await apply();
      const asleep = Promise.withResolvers<void>();
      const woken = Promise.withResolvers<void>();
      const sleeper = compactBy(async (operation, act) => {
        if (operation === step) {
          asleep.resolve();
          await woken.promise;
        }
        return act();
      });
      reached = await Promise.race([asleep.promise.then(() => true), sleeper.done.then(() => false)]);
      await compactBy(goesOn).done;
      await apply();
      await compactBy(goesOn).done;
      await expectFinished();
      woken.resolve();
      await sleeper.done;
      await expectFinished();
    }
    expect(step).toBeGreaterThan(8);
  });

  test.for(["day", "month"] as const)(
    "that overtakes a reader of %ss at any of its steps changes nothing that it reads",
    async (granularity) => {
      const filter = { granularity, ...all, ...(granularity === "day" ? { from: FIRST_DAY_KEPT } : {}) };
      let step = 0;
      for (let reached = true; reached; ) {
        step += 1;
        await apply();
        const expected = await store.distinctNames(filter);
        const reader = new Fated(connection, async (operation, act) => {
          if (operation === step) await compactBy(goesOn).done;
          return act();
        });
        const read = await periodCounts(reader, new FoldLog(reader, systemClock), filter);
        expect(read).toEqual(expected);
        reached = reader.operations >= step;
        await compactBy(goesOn).done;
      }
      expect(step).toBeGreaterThan(4);
    },
  );

  const kept = (counts: ReadonlyMap<string, number>) =>
    new Map(Array.from(counts).filter(([key]) => key >= FIRST_MONTH_KEPT));
  /** All that was there, or all but the months that are discarded: nothing between. */
  const expectEither = (found: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>) =>
    expect([before, kept(before)]).toContainEqual(found);

  test.for([
    ["before", killedBefore],
    ["after", killedAfter],
  ] as const)(
    "that is killed %s any step of discarding months leaves them whole or gone, and the next one finishes",
    async ([, killed]) => {
      let step = 0;
      for (let reached = true; reached; ) {
        step += 1;
        await apply();
        await compactBy(goesOn).done;
        const before = await months();
        expect(before.size).toBeGreaterThan(kept(before).size);
        const { runner, done, told } = discardBy(killed(step));
        const outcome = await done.catch((error: unknown) => error);
        reached = runner.operations >= step && outcome instanceof Killed;
        const left = await months();
        expectEither(left, before);
        // Whoever adds the fold tells of it, though it fails before it has taken the fold to its end.
        const gone = before.size - left.size;
        expect(killed === killedBefore ? [gone] : [0, gone]).toContain(told());
        await discardBy(goesOn).done;
        forget();
        await expectFinished();
      }
      expect(step).toBeGreaterThan(5);
    },
  );

  test("that goes on late from any step of discarding months takes nothing that is kept, and nothing twice", async () => {
    let step = 0;
    for (let reached = true; reached; ) {
      step += 1;
      await apply();
      await compactBy(goesOn).done;
      const asleep = Promise.withResolvers<void>();
      const woken = Promise.withResolvers<void>();
      const sleeper = discardBy(async (operation, act) => {
        if (operation === step) {
          asleep.resolve();
          await woken.promise;
        }
        return act();
      });
      reached = await Promise.race([asleep.promise.then(() => true), sleeper.done.then(() => false)]);
      await discardBy(goesOn).done;
      forget();
      // Of a month that is gone there may be late ones.
      await apply();
      await compactBy(goesOn).done;
      await expectFinished();
      const before = await months();
      woken.resolve();
      await sleeper.done;
      expectEither(await months(), before);
      await discardBy(goesOn).done;
      forget();
      await expectFinished();
    }
    expect(step).toBeGreaterThan(5);
  });

  test.for(["day", "month"] as const)(
    "that discards months while a reader of %ss is at any of its steps shows them whole or gone",
    async (granularity) => {
      const filter = { granularity, ...all };
      let step = 0;
      for (let reached = true; reached; ) {
        step += 1;
        await apply();
        await compactBy(goesOn).done;
        const before = await store.distinctNames(filter);
        const reader = new Fated(connection, async (operation, act) => {
          if (operation === step) await discardBy(goesOn).done;
          return act();
        });
        const read = await periodCounts(reader, new FoldLog(reader, systemClock), filter);
        expect([before, before.filter(({ period }) => period >= FIRST_MONTH_KEPT)]).toContainEqual(read);
        reached = reader.operations >= step;
        await discardBy(goesOn).done;
        forget();
      }
      expect(step).toBeGreaterThan(4);
    },
  );

  test("that discards months is as good as eight of them at once, beside those that merge", async () => {
    for (let round = 0; round < 5; round += 1) {
      await apply();
      await compactBy(goesOn).done;
      const discarded = await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          if (i % 2 === 0) await compactBy(goesOn).done;
          return discardBy(goesOn).done;
        }),
      );
      expect(discarded.reduce((sum, counts) => sum + counts)).toBe(1);
      forget();
      await expectFinished();
    }
  });

  test("leaves no change open, of which the oldest is told before", async () => {
    await apply();
    expect(await store.unmergedSince()).toBe(NOW);
    await compactBy(goesOn).done;
    expect(await store.unmergedSince()).toBeUndefined();
  });

  test("is as good as eight of them at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      await apply();
      const moved = await Promise.all(Array.from({ length: 8 }, () => compactBy(goesOn).done));
      expect(moved.reduce((sum, days) => sum + days)).toBe(4);
      await expectFinished();
    }
  });

  test("counts nothing again that is delivered again", async () => {
    const before = await months();
    for (let i = 0; i < messages; i += 1) {
      const counts = [{ day: dayOf(NOW), metric: "reads", count: 5 }];
      await store.apply({ projection: "distinctName", messageId: `m${i}`, counts }, NOW);
    }
    await compactBy(goesOn).done;
    expect(await months()).toEqual(before);
  });

  test("goes on from what the totals have taken where the folds are lost, as when a backup left them out", async () => {
    const log = new FoldLog(connection, systemClock);
    const step = () => compact(connection, log, FIRST_DAY_KEPT, NOW);
    await apply();
    await step();
    await connection.run(({ fold }) => fold.deleteMany({}));
    const before = await months();
    await apply();
    await step();
    expect(await months()).not.toEqual(before);
    await expectFinished();
  });

  test("leaves marks and folds that go when their time is over, and empty days with them", async () => {
    await apply();
    await compactBy(goesOn).done;
    const before = await months();
    const countAll = () =>
      connection.run(async ({ total, fold, distinctName }) => ({
        empty: await total.countDocuments({ count: 0 }),
        folds: await fold.countDocuments(),
        marks: await distinctName.countDocuments(),
      }));
    const { empty, folds, marks } = await countAll();
    const { number } = await new FoldLog(connection, systemClock).latest();
    expect([empty, folds, marks].every((count) => count > 0)).toBe(true);
    // As if a thousand more had come and gone: so many are kept however old they are.
    await connection.run(({ fold }) => fold.insertOne({ _id: number + 1000, at: NOW, finished: true }));
    expect(await store.expireMarks(NOW, 10_000)).toBe(0);
    expect(await store.expireMarks(NOW + 1, 10_000)).toBe(folds + marks + empty);
    expect(await countAll()).toEqual({ empty: 0, folds: 1, marks: 0 });
    expect(await months()).toEqual(before);
    await apply();
    await compactBy(goesOn).done;
    await expectFinished();
  });
});
