import { randomUUIDv7 } from "node:crypto";
import { type AnyBulkWriteOperation, type Db, type Document, MongoClient } from "mongodb";
import { openStore } from "../../src/backends.ts";
import { readConfig } from "../../src/config.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Store } from "../../src/ports/store.ts";
import { batchBodies, bodiesFor } from "./bodies.ts";
import type { InsertLoad, LoadResult } from "./load.ts";
import { eventsOf } from "./messages.ts";
import { quantilesOf } from "./quantiles.ts";

/** A document as it is in the store. */
interface Stored extends Document {
  readonly _id: string;
}
/** What the workers write for some messages: a document of each kind for each, and every username once. */
interface Sample {
  readonly hourlyLog: readonly Stored[];
  readonly distinctName: readonly Stored[];
  readonly accountName: readonly Stored[];
}
interface Inserts {
  readonly collection: string;
  readonly documents: readonly Stored[];
  /** Documents of one command, and commands under way at a time: what gave the most of some that were tried. */
  readonly perCommand: number;
  readonly commands: number;
}
/** Carries a command out, and notes how long it took. */
type Timed = (command: () => Promise<unknown>) => Promise<void>;

const UPSERTS_PER_COMMAND = 1000;

/**
 * Writes what the workers write for so many events (the same documents, to collections with the same indexes, with the
 * same durability) with nothing but the driver. All three kinds at once, as the three workers do.
 */
export async function insertLoad({ sampleUrl, url, batch, events }: InsertLoad): Promise<LoadResult> {
  const sample = await sampleOf(sampleUrl, batch);
  // Only for the collections and their indexes.
  await withStore(url, (store) => store.ready());
  await using client = new MongoClient(url, { writeConcern: { w: "majority", journal: true } });
  const database = client.db();
  await database.command({ ping: 1 });

  const latencies: number[] = [];
  const timed: Timed = async (command) => {
    const at = performance.now();
    await command();
    latencies.push(performance.now() - at);
  };
  const messages = Math.ceil(events / batch);
  const begun = performance.now();
  await Promise.all([
    insertAll(database, messages, timed, {
      collection: "hourlyLog",
      documents: sample.hourlyLog,
      perCommand: 8,
      commands: 2,
    }),
    insertAll(database, messages, timed, {
      collection: "distinctName",
      documents: sample.distinctName,
      perCommand: 64,
      commands: 1,
    }),
    upsertAll(database, timed, sample.accountName),
  ]);
  return {
    seconds: (performance.now() - begun) / 1000,
    requests: latencies.length,
    events: messages * batch,
    ...quantilesOf(latencies),
    refusals: {},
  };
}

/** Lets the store's own adapter write some messages, and reads what it wrote. */
async function sampleOf(url: string, batch: number): Promise<Sample> {
  await withStore(url, async (store) => {
    for (const body of batchBodies(bodiesFor(batch), batch)) {
      const envelope = { id: randomUUIDv7(), events: eventsOf(body, Date.now()) };
      for (const projection of [accountName, distinctName, hourlyLog]) {
        await store.apply(projection.fold(envelope), Date.now());
      }
    }
  });
  await using client = new MongoClient(url);
  const read = (collection: string) => client.db().collection<Stored>(collection).find().toArray();
  return {
    hourlyLog: await read("hourlyLog"),
    distinctName: await read("distinctName"),
    accountName: await read("accountName"),
  };
}

async function withStore(url: string, work: (store: Store) => Promise<void>): Promise<void> {
  await using store = await openStore(readConfig({ MILLRACE_STORE_URL: url }, {}), () => {});
  await work(store);
}

/** So many documents: those of the sample again and again, with ids of their own. */
async function insertAll(
  database: Db,
  count: number,
  timed: Timed,
  { collection, documents, perCommand, commands }: Inserts,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: commands }, async () => {
      while (next < count) {
        const size = Math.min(perCommand, count - next);
        const some = Array.from({ length: size }, (_, index) => ({
          ...documents[(next + index) % documents.length],
          _id: randomUUIDv7(),
        }));
        next += size;
        await timed(() => database.collection<Stored>(collection).insertMany(some, { ordered: false }));
      }
    }),
  );
}

async function upsertAll(database: Db, timed: Timed, accounts: readonly Stored[]): Promise<void> {
  const upserts = accounts.map(
    ({ _id, ...rest }): AnyBulkWriteOperation<Stored> => ({
      updateOne: { filter: { _id }, update: { $min: rest }, upsert: true },
    }),
  );
  for (let i = 0; i < upserts.length; i += UPSERTS_PER_COMMAND) {
    const some = upserts.slice(i, i + UPSERTS_PER_COMMAND);
    await timed(() => database.collection<Stored>("accountName").bulkWrite(some, { ordered: false }));
  }
}
