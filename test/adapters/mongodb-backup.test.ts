import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedBackup } from "../../src/adapters/embedded/backup.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { openMongodbBackup } from "../../src/adapters/mongodb/backup.ts";
import { databaseOf } from "../../src/adapters/mongodb/connection.ts";
import { openMongodbRestore } from "../../src/adapters/mongodb/restore.ts";
import { openMongodbStore } from "../../src/adapters/mongodb/store.ts";
import { backup, restore } from "../../src/commands/backup.ts";
import type { AcceptedEvent } from "../../src/domain/envelope.ts";
import type { Store } from "../../src/ports/store.ts";
import { sweep } from "../../src/sweeper/sweeper.ts";
import { answersOf, applyMessage, eventsOf, NOW } from "../commands/store-answers.ts";
import { type MongodbWorld, mongodbStore } from "../contract/mongodb.ts";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";

const server = inject("store");
const newWorld = mongodbStore(server?.url ?? "");
const shown = { terminal: process.stderr, environment: { CI: "true" } };
const settingsOf = ({ url: storeUrl }: MongodbWorld) => ({
  storeUrl,
  storePoolSize: 10,
  // A server that has much to do makes a database's tables slowly.
  storeTimeoutMs: 60_000,
  dedupWindowMs: 86_400_000,
});

const openStore = (world: MongodbWorld): Store => openMongodbStore(settingsOf(world), systemClock);

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-backup-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const newFile = (): string => join(folder, `${(files += 1)}.backup`);

async function backupOf(world: MongodbWorld): Promise<string> {
  const path = newFile();
  await using source = openMongodbBackup(settingsOf(world), systemClock);
  await backup(source, { path, millrace: "0.1.0", nowMs: NOW }, shown);
  return path;
}
const restoreInto = (world: MongodbWorld, path: string): Promise<string> =>
  restore(async () => openMongodbRestore(settingsOf(world), systemClock), path, shown);

/** More rows of the hourly log than one document holds. */
const LARGE = 5200;
/** A message of its own metric. Each event has an id; of a large one, whose events are of two users, the first three. */
const messageOf = (number: number, events: number): readonly AcceptedEvent[] =>
  Array.from({ length: events }, (_, i) => ({
    username: `user ${number}-${i % 2}`,
    metric: `metric ${number}`,
    count: i,
    atMs: NOW - 1000 * (1 + (i >> 1)),
    id: events < LARGE || i < 3 ? `id:${number}-${i}` : undefined,
  }));
const withIds = (events: readonly AcceptedEvent[]) => events.filter(({ id }) => id !== undefined);

/** Events of each metric that a view counts. */
async function countsIn(store: Store): Promise<readonly ReadonlyMap<string, number>[]> {
  const all = { limit: 10_000, after: undefined };
  const days = await store.distinctNames({ granularity: "day", from: undefined, to: undefined, page: all });
  const totals = await store.hourlyTotals(all, NOW);
  return [days, totals].map((rows) => new Map(rows.map(({ metric, count }) => [metric, count])));
}

describe.skipIf(server === undefined)("a backup of MongoDB", { timeout: 300_000 }, () => {
  test("restored into an empty database gives byte-equal answers, and knows messages and ids again", async () => {
    await using from = await newWorld();
    await using source = openStore(from);
    const numbers = Array.from({ length: 30 }, (_, i) => i);
    const applyAll = (store: Store, some: readonly number[]) =>
      Promise.all(some.map((i) => applyMessage(store, `m${i}`, eventsOf(i))));
    await applyAll(source, numbers.slice(0, 20));
    await source.mergeMonths("2096-10-01", NOW);
    await applyAll(source, numbers.slice(20));
    const large = messageOf(999, LARGE);
    await applyMessage(source, "large", large);
    const path = await backupOf(from);

    await using to = await newWorld();
    expect(await restoreInto(to, path)).toMatch(/^restored: .*, kind mongodb, [^]*\naccountName +\d+\n/);
    await using restored = openStore(to);
    const answers = await answersOf(source);
    expect(answers.length).toBeGreaterThan(2000);
    expect(await answersOf(restored)).toBe(answers);
    await applyAll(restored, numbers);
    await Promise.all(numbers.map((i) => applyMessage(restored, `again ${i}`, withIds(eventsOf(i)))));
    await applyMessage(restored, "large", large);
    await applyMessage(restored, "large again", withIds(large));
    expect(await answersOf(restored)).toBe(answers);
    // Later folds go on where those of the source were.
    await restored.mergeMonths("2096-11-01", NOW);
    await source.mergeMonths("2096-11-01", NOW);
    expect(await answersOf(restored)).toBe(await answersOf(source));
  });

  test("leaves out claims of messages that were not counted yet, and keeps those that were counted and forgotten", async () => {
    await using from = await newWorld();
    await using source = openStore(from);
    const claim = (projection: "hourlyLog" | "distinctName", id: string, nowMs: number) =>
      source.claim({ projection, messageId: `of ${id}`, eventIds: [id] }, nowMs);
    for (const projection of ["hourlyLog", "distinctName"] as const) {
      await claim(projection, "id:in flight", NOW - 1000);
      await claim(projection, "id:long ago", NOW - 3 * 3_600_000);
    }
    const path = await backupOf(from);
    await using to = await newWorld();
    expect(await restoreInto(to, path)).toContain("\nleft out: 3 claims of messages that are not in it");
    await using restored = openStore(to);
    const ids = ["id:in flight", "id:long ago"];
    const taken = (projection: "hourlyLog" | "distinctName") =>
      restored.claim({ projection, messageId: "a retry", eventIds: ids }, NOW);
    expect(await taken("hourlyLog")).toEqual(new Set(["id:long ago"]));
    expect(await taken("distinctName")).toEqual(new Set());
  });

  test("made while workers and sweepers are at work holds each message wholly or not at all, and all that were applied before", async () => {
    await using from = await newWorld();
    await using source = openStore(from);
    const sizes = new Map<number, number>();
    const before = new Set<number>();
    const stop = new AbortController();
    let next = 0;
    const work = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        const number = (next += 1);
        const size = number % 10 === 0 ? LARGE : 1 + (number % 5);
        sizes.set(number, size);
        await applyMessage(source, `m${number}`, messageOf(number, size));
        before.add(number);
      }
    };
    const sweeper = { store: source, clock: systemClock, holder: "a sweeper", emit: () => {} };
    const every = { sweepIntervalMs: 1, dedupWindowMs: 86_400_000, keepDays: 30, keepMonths: 0 };
    const swept = { rounds: 0 };
    const sweeping = (async () => {
      while (!stop.signal.aborted) {
        if (await sweep(sweeper, every, stop.signal)) swept.rounds += 1;
        else await sleep(20);
      }
    })();
    const workers = Array.from({ length: 6 }, work);
    while (before.size < 20 || swept.rounds === 0) await sleep(50);

    const applied = new Set(before);
    const path = await backupOf(from);
    const begun = next;
    const sweptBefore = swept.rounds;
    while (before.size < begun + 10 || swept.rounds === sweptBefore) await sleep(50);
    stop.abort();
    await Promise.all([...workers, sweeping]);
    expect(begun).toBeGreaterThan(applied.size);

    await using to = await newWorld();
    await restoreInto(to, path);
    await using restored = openStore(to);
    const faults: string[] = [];
    const views = await countsIn(restored);
    for (const [view, counts] of views.entries()) {
      for (const [number, size] of sizes) {
        const count = counts.get(`metric ${number}`) ?? 0;
        const may = applied.has(number) ? [size] : number > begun ? [0] : [0, size];
        if (!may.includes(count)) faults.push(`view ${view}: message ${number} of ${size} counts ${count}`);
      }
    }
    expect(faults).toEqual([]);
    // Clients send all again that they can be known by, each event in a message of another id.
    for (const [number, size] of sizes) {
      await applyMessage(restored, `again ${number}`, withIds(messageOf(number, size)));
    }
    for (const [view, counts] of (await countsIn(restored)).entries()) {
      const expected = Array.from(sizes, ([number, size]) => {
        const metric = `metric ${number}`;
        return [metric, views[view]?.get(metric) ?? withIds(messageOf(number, size)).length] as const;
      });
      expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(expected));
    }
    console.info({
      appliedBefore: applied.size,
      begunByItsEnd: begun,
      messages: sizes.size,
      sweeps: swept.rounds,
      restored: views[1]?.size,
    });
    // The source goes on as it was.
    for (const counts of await countsIn(source)) {
      expect(Object.fromEntries(counts)).toEqual(
        Object.fromEntries(Array.from(sizes, ([number, size]) => [`metric ${number}`, size])),
      );
    }
  });

  test("is not restored over anything, beside a sweeper, or into a store of another kind", async () => {
    await using from = await newWorld();
    await using source = openStore(from);
    await applyMessage(source, "m1", messageOf(1, 3));
    const path = await backupOf(from);
    await expect(restoreInto(from, path)).rejects.toMatchObject({
      code: "STORE_NOT_EMPTY",
      detail:
        "there are 2 documents in accountName, 1 documents in hourlyLog, 1 documents in distinctName, 6 documents in claim",
    });
    // It is served as before.
    await using again = openStore(from);
    await again.ready();

    await using to = await newWorld();
    await using store = openStore(to);
    await store.acquireLease("sweeper", "someone", Date.now() + 60_000, Date.now());
    await expect(restoreInto(to, path)).rejects.toMatchObject({
      code: "STORE_NOT_EMPTY",
      detail: "a sweeper is at work on it: stop every process first",
    });

    const dataDir = join(folder, "embedded");
    await (await openEmbeddedStore(dataDir))[Symbol.asyncDispose]();
    const embedded = newFile();
    await using embeddedFiles = openEmbeddedBackup({ dataDir, broker: "embedded" });
    await backup(embeddedFiles, { path: embedded, millrace: "0.1.0", nowMs: NOW }, shown);
    await expect(restoreInto(to, embedded)).rejects.toMatchObject({
      code: "BACKUP_MISMATCH",
      detail: expect.stringContaining("of the kind 'embedded', and the store here is of the kind 'mongodb'"),
    });
  });

  test("whose restore is killed is not served until another has brought it to its end", async () => {
    await using from = await newWorld();
    await using source = openStore(from);
    await applyMessage(source, "m1", messageOf(1, LARGE));
    // Many a page.
    const sightings = Array.from({ length: 6000 }, (_, i) => ({ username: `someone ${i}`, firstSeenMs: i }));
    await source.apply({ projection: "accountName", messageId: "m2", sightings }, NOW);
    const path = await backupOf(from);
    const other = await backupOf(from);

    await using to = await newWorld();
    const child = spawn(process.execPath, [millraceBin, "restore", path], {
      env: childEnvironment({ MILLRACE_STORE_URL: to.url }),
      stdio: "ignore",
    });
    const ended = once(child, "exit");
    await using client = new MongoClient(to.url);
    const accounts = client.db(databaseOf(to.url)).collection("accountName");
    while ((await accounts.estimatedDocumentCount()) === 0 && child.exitCode === null) await sleep(5);
    child.kill("SIGKILL");
    expect(await ended).toEqual([null, "SIGKILL"]);

    const half = openMongodbStore({ ...settingsOf(to), storeTimeoutMs: 1000 }, systemClock);
    await expect(half.ready()).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
      detail: expect.stringContaining("a restore is under way, or was cut short"),
    });
    await expect(restoreInto(to, other)).rejects.toMatchObject({ code: "STORE_NOT_EMPTY" });
    await restoreInto(to, path);
    // The same that was refused, which has gone on asking.
    for (;;) {
      if (
        await half.ready().then(
          () => true,
          () => false,
        )
      )
        break;
      await sleep(100);
    }
    expect(await answersOf(half)).toBe(await answersOf(source));
    await half[Symbol.asyncDispose]();
  });
});
