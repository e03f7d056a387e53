import { BSON, MongoClient } from "mongodb";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openMongodbStore } from "../../src/adapters/mongodb/store.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent, Envelope } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Store } from "../../src/ports/store.ts";
import { mongodbStore } from "../contract/mongodb.ts";

interface Written {
  readonly messages: readonly {
    readonly id: string;
    readonly events: readonly (Omit<AcceptedEvent, "id"> & { readonly id?: string })[];
  }[];
  readonly documents: Readonly<Record<string, readonly BSON.Document[]>>;
}
const file = resolve(import.meta.dirname, "../fixtures/version-1/mongodb.json");
const written = BSON.EJSON.parse(readFileSync(file, "utf8")) as Written;
const envelopes: readonly Envelope[] = written.messages.map(({ id, events }) => ({
  id,
  events: events.map((event) => ({ ...event, id: event.id })),
}));
/** Far ahead, so that no server's clean-up of what is out of date takes it. */
const NOW = Date.parse("2096-11-24T12:00:01.250Z");
const page = { limit: 100, after: undefined };
const periods = (granularity: "day" | "month") =>
  ({ granularity, from: undefined, to: undefined, page }) as const;

const server = inject("store");

describe.skipIf(server === undefined)("a MongoDB of version 1", () => {
  const openWorld = mongodbStore(server?.url ?? "");

  const viewsOf = async (store: Store) => ({
    days: await store.distinctNames(periods("day")),
    months: await store.distinctNames(periods("month")),
    users: await store.hourlyPerUser({ username: undefined, metric: undefined, page }, NOW),
    totals: await store.hourlyTotals(page, NOW),
    accounts: await store.accounts({ sinceMs: undefined, page }),
  });

  test("is read as it was, knows what it has counted, and is folded on", async () => {
    await using world = await openWorld();
    await using client = new MongoClient(world.url);
    for (const [name, documents] of Object.entries(written.documents)) {
      expect([name, documents.length > 0]).toEqual([name, true]);
      await client
        .db()
        .collection(name)
        .insertMany(documents.map((one) => ({ ...one })));
    }
    await using store = openMongodbStore(
      // A server that has much else to do makes a database's tables slowly.
      { storeUrl: world.url, storePoolSize: 5, storeTimeoutMs: 60_000, dedupWindowMs: 86_400_000 },
      systemClock,
    );
    const before = await viewsOf(store);
    expect(before.users.map(({ username, metric, count }) => [username, metric, count])).toEqual([
      ["ann", "reads", 2],
      ["bob", "writes", 1],
      ["cid", "reads", 1],
    ]);
    expect(before.months).toEqual([
      { period: "1970-01", metric: 'naïve "quoted"\n', count: 1 },
      { period: "2096-11", metric: "reads", count: 3 },
      { period: "2096-11", metric: "writes", count: 1 },
    ]);
    expect(before.accounts.map(({ username }) => username).toSorted()).toEqual([
      "Zoë 🦊",
      "ann",
      "bob",
      "cid",
    ]);
    // Delivered again, as after a crash during the update.
    for (const envelope of envelopes) {
      for (const projection of [accountName, distinctName, hourlyLog]) {
        await store.apply(projection.fold(envelope), NOW);
      }
    }
    const claim = { projection: "hourlyLog", messageId: "another", eventIds: ["id:7", "id:8"] } as const;
    expect(await store.claim(claim, NOW)).toEqual(new Set(["id:7"]));
    expect(await viewsOf(store)).toEqual(before);
    // This version goes on with the folds of that one.
    await store.mergeMonths("2096-10-25", NOW);
    expect(await viewsOf(store)).toEqual(before);
    expect(await store.unmergedSince()).toBeUndefined();
  });
});
