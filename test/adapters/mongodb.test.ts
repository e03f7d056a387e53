import { inspect } from "node:util";
import { MongoClient } from "mongodb";
import { describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openMongodbStore } from "../../src/adapters/mongodb/store.ts";
import type { DayCount } from "../../src/domain/distinct-name.ts";
import type { HourlyEntry } from "../../src/domain/hourly-log.ts";
import type { Change } from "../../src/domain/projection.ts";
import { summaryOf } from "../../src/domain/summary.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Store } from "../../src/ports/store.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { freePorts } from "../parts/ports.ts";

const storeAt = inject("store");
const NOW = Date.parse("2096-11-24T12:00:00Z");
const SECOND = NOW / 1000;
const all = { limit: 10_000, after: undefined };
const byDay = { granularity: "day", from: undefined, to: undefined, page: all } as const;
const everyone = { username: undefined, metric: undefined, page: all };

const hourly = (messageId: string, ...entries: Pick<HourlyEntry, "username" | "metric">[]): Change => ({
  projection: "hourlyLog",
  messageId,
  entries: entries.map((entry) => ({ ...entry, second: SECOND, ...summaryOf(1) })),
});
const daily = (messageId: string, ...counts: DayCount[]): Change => ({
  projection: "distinctName",
  messageId,
  counts,
});
const openAt = (storeUrl: string, storeTimeoutMs = 10_000): Store =>
  openMongodbStore({ storeUrl, storePoolSize: 5, storeTimeoutMs, dedupWindowMs: 86_400_000 }, systemClock);

describe.skipIf(storeAt === undefined)("the mongodb store", () => {
  const openWorld = mongodbStore(storeAt?.url ?? "");

  test("refuses one bad document among 200 applied at once, and that one alone", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    const changes = Array.from({ length: 200 }, (_, i) => {
      // Larger than any document may be.
      const metric = i === 123 ? "x".repeat(17 * 1024 * 1024) : "reads";
      return [
        hourly(`m${i}`, { username: "ann", metric }),
        daily(`m${i}`, { day: "2096-11-24", metric, count: 1 }),
      ];
    });
    const outcomes = await Promise.allSettled(changes.flat().map((change) => store.apply(change, NOW)));
    const refused = outcomes.flatMap((one, i) =>
      one.status === "rejected" ? [{ i, code: one.reason.code }] : [],
    );
    expect(refused).toEqual([
      { i: 246, code: "CHANGE_REFUSED" },
      { i: 247, code: "CHANGE_REFUSED" },
    ]);
    expect((await store.hourlyTotals(all, NOW))[0]?.count).toBe(199);
    expect(await store.distinctNames(byDay)).toEqual([{ period: "2096-11-24", metric: "reads", count: 199 }]);
  });

  test("takes every name of an hour's worth of usernames, though one be longer than an index may hold", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    // Text that no database can make shorter.
    const long = Array.from({ length: 9000 }, (_, i) =>
      String.fromCodePoint(33 + ((i * i * 7919) % 90)),
    ).join("");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, (_, i) => {
        const sightings = [{ username: i === 77 ? long : `user ${i}`, firstSeenMs: NOW }];
        return store.apply({ projection: "accountName", messageId: `m${i}`, sightings }, NOW);
      }),
    );
    const accounts = await store.accounts({ sinceMs: undefined, page: all });
    // MongoDB has no such limit, FerretDB has.
    const refused = outcomes.filter((one) => one.status === "rejected");
    expect(refused.every(({ reason }) => reason.code === "CHANGE_REFUSED")).toBe(true);
    expect(refused.length).toBeLessThanOrEqual(1);
    expect(accounts).toHaveLength(200 - refused.length);
  });

  test.for([
    [Number.NaN, "CHANGE_REFUSED"],
    [0.5, "CHANGE_REFUSED"],
    [2 ** 53, "CHANGE_REFUSED"],
    [Number.POSITIVE_INFINITY, "CHANGE_REFUSED"],
  ] as const)("refuses %d as a count, for good", async ([count, code]) => {
    await using world = await openWorld();
    await using store = await world.open();
    await expect(
      store.apply(daily("m1", { day: "2096-11-24", metric: "reads", count }), NOW),
    ).rejects.toMatchObject({
      code,
    });
    await expect(store.distinctNames(byDay)).resolves.toEqual([]);
  });

  test("counts a message of more rows than a document holds once, also where only a part of it was written before", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    const counts = Array.from({ length: 12_000 }, (_, i) => ({
      day: "2096-11-24",
      metric: `metric ${i % 4000}`,
      count: 1,
    }));
    const entries = Array.from({ length: 12_000 }, (_, i) => ({ username: `user ${i}`, metric: "reads" }));
    // Its first document alone, as after a crash between two commands.
    await store.apply(daily("m1", ...counts.slice(0, 5000)), NOW);
    await Promise.all([1, 2, 3].map(() => store.apply(daily("m1", ...counts), NOW)));
    await Promise.all([1, 2, 3].map(() => store.apply(hourly("m1", ...entries), NOW)));
    const days = await store.distinctNames(byDay);
    expect(days).toHaveLength(4000);
    expect(days.every(({ count }) => count === 3)).toBe(true);
    expect((await store.hourlyTotals(all, NOW))[0]?.count).toBe(12_000);
    expect(
      await store.hourlyPerUser({ ...everyone, page: { limit: 7, after: undefined } }, NOW),
    ).toHaveLength(7);
  });

  test("keeps claims of ids that are longer than an index may hold apart", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    const long = `id:${"x".repeat(4000)}`;
    const claim = (messageId: string, ...eventIds: string[]) =>
      store.claim({ projection: "hourlyLog", messageId, eventIds }, NOW);
    expect(await claim("m1", long, `${long}y`)).toEqual(new Set());
    expect(await claim("m1", long)).toEqual(new Set());
    expect(await claim("m2", long, `${long}z`)).toEqual(new Set([long]));
  });

  test("pages days and months in the order of code points, from totals and open parts alike", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    const metrics = ["z", "Ω", "\uFFFD", "👩‍🚀", "a", "ab", "a b", "\uE000", "𐀀", "a-"];
    for (const [i, metric] of metrics.entries()) {
      for (const day of ["2096-09-24", "2096-11-23", "2096-11-24"]) {
        await store.apply(daily(`${i} ${day}`, { day, metric, count: i + 1 }), NOW);
      }
      // Half of them in totals, some of those in months, and half of them not.
      if (i === 4) await store.mergeMonths("2096-10-25", NOW);
      if (i % 2 === 0) {
        await store.apply(
          daily(`${i} more`, { day: "2096-09-25", metric: metrics[0] ?? "", count: 100 }),
          NOW,
        );
      }
    }
    for (const granularity of ["day", "month"] as const) {
      const filter = { granularity, from: undefined, to: undefined };
      const whole = await store.distinctNames({ ...filter, page: all });
      const keys = whole.map(({ period, metric }) => Buffer.from(`${period} ${metric}`));
      expect(keys).toEqual(keys.toSorted((a, b) => Buffer.compare(a, b)));
      expect(whole).toHaveLength(granularity === "month" ? 20 : 26);
      for (const limit of [1, 3, 7]) {
        const paged: (typeof whole)[number][] = [];
        for (;;) {
          const after = paged.at(-1);
          const rows = await store.distinctNames({ ...filter, page: { limit, after } });
          paged.push(...rows);
          if (rows.length < limit) break;
        }
        expect(paged).toEqual(whole);
      }
      const some = whole.filter(({ period }) => period.startsWith("2096-09"));
      const to = granularity === "day" ? "2096-09-30" : "2096-09";
      expect(await store.distinctNames({ ...filter, from: to.replace("30", "01"), to, page: all })).toEqual(
        some,
      );
    }
  });

  test("is at its end with STORE_MISMATCH in words where an index of its own is another", async () => {
    await using world = await openWorld();
    await using client = new MongoClient(world.url);
    await client.db().collection("hourlyLog").createIndex({ last: -1 }, { name: "last" });
    await using store = await world.open();
    await expect(store.ended).rejects.toMatchObject({
      code: "STORE_MISMATCH",
      detail: expect.stringMatching(
        /^collection 'hourlyLog' of database 'test-[^']+' has the index 'last' as \{"last":-1\}; \{"last":1\} is needed\. Drop that index/,
      ),
    });
    // What waits for the store is told the same, but as what may be mended: no delivery is given up for it.
    await expect(store.apply(hourly("m1", { username: "ann", metric: "reads" }), NOW)).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      detail: expect.stringContaining("has the index 'last'"),
    });
  });

  test("has version 1 once it is opened, also where several do that at once", async () => {
    await using world = await openWorld();
    await using client = new MongoClient(world.url);
    const stores = await Promise.all(Array.from({ length: 4 }, () => world.open()));
    await Promise.all(stores.map((store) => store.ready()));
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
    expect(await client.db().collection("schema").find().toArray()).toEqual([{ _id: "store", version: 1 }]);
  });

  test("is at its end with STORE_MISMATCH where the database is of a later version, and leaves that alone", async () => {
    await using world = await openWorld();
    await using client = new MongoClient(world.url);
    const schema = client.db().collection<{ _id: string; version: number }>("schema");
    await schema.insertOne({ _id: "store", version: 2 });
    await using store = await world.open();
    await expect(store.ended).rejects.toMatchObject({
      code: "STORE_MISMATCH",
      detail: expect.stringMatching(
        /^database 'test-[^']+' is of version 2, and this Millrace knows version 1\. Run the Millrace that wrote it/,
      ),
    });
    expect((await client.db().listCollections().toArray()).map(({ name }) => name)).toEqual(["schema"]);
  });

  test.for([
    ["another time to live", { expiresAt: 1 }, { name: "expiresAt", expireAfterSeconds: 60 }],
    ["the same keys under another name, but unique", { last: 1 }, { name: "mine", unique: true }],
  ] as const)("is at its end where an index has %s", async ([, keys, options]) => {
    await using world = await openWorld();
    await using client = new MongoClient(world.url);
    await client.db().collection("hourlyLog").createIndex(keys, options);
    await using store = await world.open();
    await expect(store.ended).rejects.toMatchObject({ code: "STORE_MISMATCH" });
  });

  test("takes an index of the right keys under another name for its own, and leaves others be", async () => {
    await using world = await openWorld();
    await using client = new MongoClient(world.url);
    const collection = client.db().collection("hourlyLog");
    await collection.createIndex({ last: 1 }, { name: "theirs" });
    await collection.createIndex({ users: 1 }, { name: "other" });
    await using store = await world.open();
    await store.ready();
    const names = (await collection.listIndexes().toArray()).map(({ name }) => name);
    expect(new Set(names)).toEqual(new Set(["_id_", "expiresAt", "other", "theirs"]));
  });

  test("is opened by many at once on an empty database", async () => {
    await using world = await openWorld();
    const stores = await Promise.all(Array.from({ length: 6 }, () => world.open()));
    await expect(Promise.all(stores.map((store) => store.ready()))).resolves.toHaveLength(6);
    await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
  });
});

describe("a store that cannot be reached", () => {
  test("rejects within its time, says why, and keeps the password to itself", async () => {
    const [port = 0] = await freePorts(1);
    await using store = openAt(`mongodb://ann:s3cret@127.0.0.1:${port}/`, 300);
    const startedAt = performance.now();
    const outcomes = await Promise.allSettled([
      store.ready(),
      store.apply(hourly("m1", { username: "ann", metric: "reads" }), NOW),
      store.claim({ projection: "hourlyLog", messageId: "m1", eventIds: ["e1"] }, NOW),
      store.distinctNames(byDay),
      store.acquireLease("sweeper", "a", NOW, NOW),
    ]);
    expect(performance.now() - startedAt).toBeLessThan(2000);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "STORE_UNAVAILABLE" } });
    }
    // Once the first search for a server has ended, its reason is known.
    await expect(store.ready()).rejects.toThrow(/ECONNREFUSED|not been reached/);
    expect(inspect(outcomes, { depth: null, showHidden: true })).not.toContain("s3cret");
    await store[Symbol.asyncDispose]();
    await expect(store.ended).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", detail: "it is closed" });
  });

  test("is closed at once, and so are the calls that wait for it", async () => {
    const [port = 0] = await freePorts(1);
    const store = openAt(`mongodb://127.0.0.1:${port}/`, 60_000);
    const waiting = store.ready();
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", detail: "it is closed" }),
      store[Symbol.asyncDispose](),
    ]);
  }, 10_000);

  test.for([
    "mongodb://ann:s3cret@",
    "mongodb://ann:s3/cret@host/",
    "mongodb://ann:s3cret@host/?noSuchOption=1",
    "mongodb://ann:s3cret@host:port/",
    "mongodb://ann:s3@cret@host/",
    "mongodb+srv://ann:s3cret@a,b/",
  ])("is an invalid setting where its URL cannot be read (%#)", (url) => {
    let thrown: unknown;
    try {
      openAt(url);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(MillraceError);
    expect(thrown).toMatchObject({ code: "INVALID_SETTING" });
    expect(inspect(thrown, { depth: null, showHidden: true })).not.toMatch(/s3|cret/);
  });
});
