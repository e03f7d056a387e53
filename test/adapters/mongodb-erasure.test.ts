import * as fc from "fast-check";
import { MongoClient } from "mongodb";
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openMongodbErasure } from "../../src/adapters/mongodb/erasure.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent } from "../../src/domain/envelope.ts";
import { formsOf } from "../../src/domain/erasure.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import type { ViewErasure } from "../../src/ports/erasure.ts";
import type { Store } from "../../src/ports/store.ts";
import { mongodbStore, type MongodbWorld } from "../contract/mongodb.ts";

const storeAt = inject("store");
const NAME = "väl-of-the-erased";
/** Far ahead: no time-to-live takes anything away by the real clock. */
const NOW = Date.parse("2096-11-24T12:00:00.500Z");
const page = { limit: 100_000, after: undefined };
const event = (username: string, metric = "reads", count = 1, id?: string): AcceptedEvent => ({
  username,
  metric,
  count,
  atMs: NOW - 1000,
  id,
});

describe.skipIf(storeAt === undefined)("the erasure of a user from MongoDB", { timeout: 600_000 }, () => {
  let world: MongodbWorld;
  let store: Store;
  let erasure: ViewErasure;
  beforeEach(async () => {
    world = await mongodbStore(storeAt?.url ?? "")();
    store = await world.open();
    erasure = openMongodbErasure(
      { storeUrl: world.url, storePoolSize: 5, storeTimeoutMs: 30_000 },
      systemClock,
    );
  });
  afterEach(async () => {
    await erasure[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  const apply = async (id: string, events: readonly AcceptedEvent[]): Promise<void> => {
    for (const projection of [accountName, distinctName, hourlyLog])
      await store.apply(projection.fold({ id, events }), NOW);
  };
  const views = async () => ({
    accounts: (await store.accounts({ sinceMs: undefined, page })).map(({ username }) => username).toSorted(),
    perUser: (await store.hourlyPerUser({ username: undefined, metric: undefined, page }, NOW)).map(
      ({ username, metric, count, minimum, maximum }) =>
        `${username} ${metric} ${count} ${minimum} ${maximum}`,
    ),
    totals: (await store.hourlyTotals(page, NOW)).map(({ metric, count }) => `${metric} ${count}`),
    distinct: (await store.distinctNames({ granularity: "day", from: undefined, to: undefined, page })).map(
      ({ metric, count }) => `${metric} ${count}`,
    ),
  });

  test("leaves of every other user and of every sum what it was, for any messages of any users", async () => {
    let run = 0;
    const name = fc.constantFrom("ann", "bob", NAME, `${NAME}r`, "$pull", "a.b");
    const events = fc.array(fc.tuple(name, fc.constantFrom("reads", "writes"), fc.integer()), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(events, { minLength: 1, maxLength: 5 }), name, async (messages, username) => {
        run += 1;
        const mine = `of-run-${run}`;
        const own = (user: string): string => `${user} ${run}`;
        for (const [index, rows] of messages.entries())
          await apply(
            `${run} ${index}`,
            rows.map(([user, metric, count]) => event(own(user), `${metric} ${mine}`, count)),
          );
        const before = await views();
        const erased = await erasure.erase(own(username));
        const after = await views();
        const others = (row: string): boolean => !row.startsWith(`${own(username)} `);
        expect(after).toEqual({
          ...before,
          accounts: before.accounts.filter((one) => one !== own(username)),
          perUser: before.perUser.filter(others),
        });
        const rows = new Set(
          messages.flatMap((message, index) =>
            message.filter(([user]) => user === username).map(([, metric]) => `${index} ${metric}`),
          ),
        );
        expect(erased.hourlyRows).toBe(rows.size);
        // What comes again is known: its document is its mark.
        for (const [index, some] of messages.entries())
          await store.apply(
            hourlyLog.fold({
              id: `${run} ${index}`,
              events: some.map(([user, metric, count]) => event(own(user), `${metric} ${mine}`, count)),
            }),
            NOW,
          );
        expect((await views()).perUser).toEqual(after.perUser);
      }),
      // A failed run leaves its rows.
      { numRuns: 8, endOnFailure: true },
    );
  });

  test("an event id that holds the name is still counted once, by the message that had it, and by no other", async () => {
    const ids = [`id:of ${NAME}`, `ce:/of/${encodeURIComponent(NAME)} 1`, "id:other"];
    const claim = (messageId: string) =>
      store.claim({ projection: "hourlyLog", messageId, eventIds: ids }, NOW);
    await claim("m1");
    expect(await erasure.holding(formsOf(NAME))).toEqual(["the collection claim"]);
    expect(await erasure.erase(NAME)).toMatchObject({ claims: 2 });
    expect(await erasure.holding(formsOf(NAME))).toEqual([]);
    expect(await claim("m1")).toEqual(new Set());
    expect(await claim("m2")).toEqual(new Set(ids));
    // What the later ones claimed is in the way of nobody, and goes with the next erasure.
    await erasure.erase(NAME);
    expect(await erasure.holding(formsOf(NAME))).toEqual([]);
    expect((await erasure.erase(NAME)).claims).toBe(0);
    expect(await claim("m1")).toEqual(new Set());
    expect(await claim("m3")).toEqual(new Set(ids));
    expect(await store.claim({ projection: "distinctName", messageId: "m3", eventIds: ids }, NOW)).toEqual(
      new Set(),
    );
  });

  test("while an erasure is at work, one message alone gets an event id that holds the name", async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = `id:${NAME} ${round}`;
      const erasing = Promise.all([erasure.erase(NAME), erasure.erase(NAME)]);
      const claims = await Promise.all(
        Array.from({ length: 8 }, async (_, index) => {
          const claim = { projection: "hourlyLog", messageId: `${round} ${index}`, eventIds: [id] } as const;
          return (await store.claim(claim, NOW)).size;
        }),
      );
      await erasing;
      expect(claims.filter((elsewhere) => elsewhere === 0)).toHaveLength(1);
    }
  });

  test("each erasure has workers forget the names that they know", async () => {
    const before = await store.erasures();
    await apply("m1", [event(NAME)]);
    await erasure.erase(NAME);
    expect(await store.erasures()).not.toBe(before);
  });

  test("a message of many documents is begun while some of them are missing, and is not once all or none are there", async () => {
    const events = Array.from({ length: 12_000 }, (_, index) => event(`u${index}`, `m${index}`));
    const message = { id: "large", events: events.length };
    const begun = () => Promise.all(projectionNames.map(async (queue) => erasure.isBegun(queue, message)));
    expect(await begun()).toEqual([false, false, false]);
    await apply("large", events);
    expect(await begun()).toEqual([false, false, false]);
    await using client = new MongoClient(world.url);
    for (const name of ["distinctName", "hourlyLog"]) {
      const collection = client.db().collection<{ readonly _id: string }>(name);
      expect(await collection.countDocuments()).toBe(3);
      await collection.deleteOne({ _id: "large" });
    }
    expect(await begun()).toEqual([false, true, true]);
    expect(await erasure.isBegun("hourlyLog", { id: "another", events: 12_000 })).toBe(false);
  });

  test("what is there of the name in others' texts is told by its collection", async () => {
    await apply("m1", [event("ann", `of ${NAME}`), event(NAME)]);
    await erasure.erase(NAME);
    expect(await erasure.holding(formsOf(NAME))).toEqual([
      "the collection hourlyLog",
      "the collection distinctName",
    ]);
    expect(await erasure.holding(["of"])).not.toEqual([]);
    expect(await erasure.holding(["ead"])).toEqual([]);
  });

  test("the store is asked to compact what it has, and the report says what is beyond that", async () => {
    await apply("m1", [event(NAME)]);
    await erasure.erase(NAME);
    const left = await erasure.purge();
    expect(left.at(-1)).toMatch(/^the database server's own files keep/);
    console.info(left);
  });
});
