import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../src/adapters/clock.ts";
import { openEmbeddedBroker } from "../../../src/adapters/embedded/broker.ts";
import { openEmbeddedStore } from "../../../src/adapters/embedded/store.ts";
import { startStandalone } from "../../flow/standalone.ts";
import { drained } from "../settle.ts";
import type { Progress } from "../rounds.ts";
import type { Subject } from "./at-work.ts";
import type { KeptBroker, KeptStore } from "./kept.ts";

/** One process with all of it. */
export async function startEmbedded(progress: Progress): Promise<Subject & AsyncDisposable> {
  const standalone = await startStandalone();
  return {
    collectorUrl: standalone.collectorUrl,
    pids: () => ({ standalone: [standalone.pid] }),
    settled: async () => void (await drained(standalone.queryUrl, progress)),
    [Symbol.asyncDispose]: () => standalone[Symbol.asyncDispose](),
  };
}

export async function openEmbeddedKept(): Promise<KeptStore> {
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-sizing-"));
  const store = await openEmbeddedStore(dataDir);
  return {
    store,
    sizes: async () => sizesIn(join(dataDir, "store.sqlite")),
    places: {
      usernames: ["account"],
      counts: ["distinct_name"],
      hour: ["hourly_log", "hourly_total"],
      marks: ["applied"],
      claims: ["claim"],
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export async function openEmbeddedWaiting(): Promise<KeptBroker> {
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-sizing-"));
  const settings = { dataDir, backlogMaxBytes: 2 ** 32, confirmTimeoutMs: 60_000 };
  const broker = openEmbeddedBroker(settings, systemClock);
  await broker.ready();
  return {
    broker,
    size: async () =>
      Object.values(sizesIn(join(dataDir, "broker.sqlite"))).reduce((sum, bytes) => sum + bytes, 0),
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Bytes of the pages of each table and its indexes, also of those that are in the write-ahead log yet. */
function sizesIn(file: string): Readonly<Record<string, number>> {
  using database = new DatabaseSync(file, { readOnly: true });
  const rows = database
    .prepare(
      "SELECT tbl_name AS name, sum(pgsize) AS bytes FROM dbstat JOIN sqlite_schema USING (name) GROUP BY 1",
    )
    .all();
  return Object.fromEntries(rows.map(({ name, bytes }) => [String(name), Number(bytes)]));
}
