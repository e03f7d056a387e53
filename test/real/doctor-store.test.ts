import { MongoClient } from "mongodb";
import { describe, expect, inject, test } from "vitest";
import { clientOf, RESTORE_LEASE } from "../../src/adapters/mongodb/connection.ts";
import { mongodbChecks } from "../../src/adapters/mongodb/doctor.ts";
import { examine, report, type Result } from "../../src/commands/doctor.ts";
import { maskOf } from "../../src/domain/diagnosis.ts";
import { summaryOf } from "../../src/domain/summary.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { startProxy } from "../fault/proxy.ts";
import { freePorts } from "../parts/ports.ts";

const storeAt = inject("store");
const NOW = Date.parse("2096-11-24T12:00:00Z");
const by = (results: readonly Result[], name: string): Result => {
  const found = results.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no result of ${name}`);
  return found;
};

describe.skipIf(storeAt === undefined)("millrace doctor on a MongoDB-wire server", () => {
  const openWorld = mongodbStore(storeAt?.url ?? "");
  const usual = { storePoolSize: 5, sweepIntervalMs: 10_000, now: () => NOW };
  const look = async (storeUrl: string, timeoutMs = 10_000, sweepIntervalMs = usual.sweepIntervalMs) => {
    await using parts = new AsyncDisposableStack();
    const settings = { ...usual, storeUrl, storeTimeoutMs: timeoutMs * 0.8, sweepIntervalMs };
    const { checks } = mongodbChecks(settings, parts);
    const results = await examine(checks, timeoutMs, maskOf([storeUrl]));
    const { password } = new URL(storeUrl);
    if (password !== "") expect(report(results)).not.toContain(password);
    return results;
  };
  const databaseAt = (url: string) => {
    const client = new MongoClient(url, { serverSelectionTimeoutMS: 10_000 });
    return { database: client.db(), [Symbol.asyncDispose]: () => client.close() };
  };

  test("finds no fault in an empty database, and makes nothing in it but the probe", async () => {
    await using world = await openWorld();
    await using at = databaseAt(world.url);
    const results = await look(world.url);
    expect(results.map(({ name, level, problems }) => ({ name, level, problems }))).toEqual(
      ["store", "store schema", "store write", "store upkeep"].map((name) => ({
        name,
        level: "ok",
        problems: [],
      })),
    );
    expect(by(results, "store").found).toMatch(
      /^mongodb:\/\/127.0.0.1:\d+, database 'test-[\w-]+': wire version \d+, answered in \d+ ms$/,
    );
    expect((await at.database.listCollections().toArray()).map(({ name }) => name)).toEqual(["probe"]);
    // The probe of before is nothing of a role's.
    expect(by(await look(world.url), "store schema")).toMatchObject({
      level: "ok",
      found: "nothing is there yet; the next start of a role makes it",
    });
    await at.database.createCollection("claim");
    expect(by(await look(world.url), "store schema")).toMatchObject({
      level: "warning",
      problems: [{ what: expect.stringMatching(/collection hourlyLog, .*: missing/) }],
    });
  });

  test("finds no fault where a role has been, and names what is missing and what is wrong", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    await store.ready();
    expect(by(await look(world.url), "store schema")).toMatchObject({
      level: "ok",
      found: "all collections and indexes are there",
    });
    await using at = databaseAt(world.url);
    await at.database.collection("claim").dropIndex("at");
    await at.database.collection("hourlyLog").dropIndex("last");
    await at.database.collection("hourlyLog").createIndex({ last: -1 }, { name: "last" });
    await at.database.collection("distinctName.fold").drop();
    const schema = by(await look(world.url), "store schema");
    expect(schema).toMatchObject({
      level: "fault",
      problems: [
        {
          level: "fault",
          what: expect.stringMatching(
            /^collection 'hourlyLog' .* has the index 'last' as {"last":-1}; {"last":1} is needed$/,
          ),
          todo: "Drop that index; the right one is made at the next start",
        },
        {
          level: "warning",
          what: expect.stringMatching(/^index at of claim, collection distinctName.fold: missing/),
        },
      ],
    });
    const names = (await at.database.collection("claim").listIndexes().toArray()).map(({ name }) => name);
    expect(names).not.toContain("at");
  });

  test("tells a sweeper that is gone, a compaction that lags and a restore that was cut short", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    await store.acquireLease("sweeper", "one", NOW + 10_000, NOW);
    await store.apply(
      { projection: "distinctName", messageId: "m", counts: [{ day: "2096-11-24", metric: "a", count: 1 }] },
      NOW - 1000,
    );
    expect(by(await look(world.url), "store upkeep")).toMatchObject({
      level: "ok",
      found: expect.stringContaining(
        "a sweeper has the lease until 2096-11-24T12:00:10.000Z; the oldest count",
      ),
    });
    await using at = databaseAt(world.url);
    await at.database.collection("lease").updateOne({ holder: "one" }, { $set: { until: NOW - 3_600_000 } });
    await at.database.collection("distinctName").updateMany({}, { $set: { at: NOW - 3_600_000 } });
    const leases = at.database.collection<{ _id: string; holder: string }>("lease");
    await leases.insertOne({ _id: RESTORE_LEASE, holder: "backup-1" });
    expect(by(await look(world.url), "store upkeep").problems).toMatchObject([
      { level: "fault", what: expect.stringMatching(/^a restore of the backup backup-1/) },
      {
        level: "warning",
        what: expect.stringMatching(/^no sweeper has held the lease since 2096-11-24T11:00/),
      },
      { level: "warning", what: expect.stringMatching(/wait to be added up since 2096-11-24T11:00/) },
    ]);
    expect(by(await look(world.url, 10_000, 3_600_000), "store upkeep").problems).toMatchObject([
      { what: expect.stringMatching(/^a restore/) },
    ]);
  });

  test("tells that there is no sweeper from when something stays that is too old", async () => {
    await using world = await openWorld();
    await using store = await world.open();
    await store.ready();
    await store.acquireLease("sweeper", "one", NOW + 10_000, NOW);
    await store.releaseLease("sweeper", "one");
    const put = async (messageId: string, second: number) => {
      const entry = { second, metric: "a", username: "ann", ...summaryOf(1) };
      // Taken in while it was of use.
      await store.apply({ projection: "hourlyLog", messageId, entries: [entry] }, second * 1000);
    };
    const upkeep = async (sweepIntervalMs?: number) =>
      by(await look(world.url, 10_000, sweepIntervalMs), "store upkeep");
    const LATE_SECONDS = 3600 + 15 * 60;
    await put("on time", NOW / 1000 - LATE_SECONDS + 1);
    expect(await upkeep()).toMatchObject({
      level: "ok",
      found: "no sweeper has the lease; nothing waits to be added up",
    });
    await put("late", NOW / 1000 - LATE_SECONDS);
    expect((await upkeep()).problems).toMatchObject([
      {
        level: "warning",
        what: "no sweeper has the lease, and what is too old stays: the hourly log goes back to 2096-11-24T10:45:00.000Z",
        todo: expect.stringMatching(/^run `millrace sweeper`/),
      },
    ]);
    expect((await upkeep(3_600_000)).level).toBe("ok");
    await using at = databaseAt(world.url);
    const leases = at.database.collection<{ _id: string; holder: string; until: number }>("lease");
    await leases.insertOne({ _id: "sweeper", holder: "one", until: NOW - 7_200_000 });
    expect((await upkeep(3_600_000)).level).toBe("ok");
    expect((await upkeep(3_599_999)).problems).toMatchObject([
      { what: expect.stringMatching(/^no sweeper has held the lease since 2096-11-24T10:00/) },
    ]);
  });

  test("tells a server that is not there, and does not wait for one that does not answer", async () => {
    const [port = 0] = await freePorts(1);
    const gone = await look(`mongodb://ann:pass-word-1@127.0.0.1:${port}/x`, 1500);
    expect(by(gone, "store")).toMatchObject({ level: "fault", found: `mongodb://127.0.0.1:${port}` });
    expect(by(gone, "store write")).toMatchObject({ level: "skipped", found: "not looked at: see store" });
    const real = new URL(storeAt?.url ?? "");
    await using proxy = await startProxy(Number(real.port));
    proxy.stall();
    real.port = String(proxy.port);
    const stalled = await look(real.href, 1000);
    expect(by(stalled, "store").level).toBe("fault");
  });

  test("tells a wrong password", async () => {
    const url = new URL(storeAt?.url ?? "");
    if (url.username === "") url.username = "somebody";
    url.password = "never-the-password";
    const results = await look(url.href);
    expect(by(results, "store")).toMatchObject({
      level: "fault",
      problems: [{ todo: expect.stringContaining("password") }],
    });
  });

  test("is told the server's time", async () => {
    await using parts = new AsyncDisposableStack();
    const settings = { ...usual, storeUrl: storeAt?.url ?? "", storeTimeoutMs: 5000 };
    const source = mongodbChecks(settings, parts).clock;
    const beforeMs = Date.now();
    const told = await source.read(new AbortController().signal);
    // One machine has one clock.
    expect(told?.atMs).toBeGreaterThanOrEqual(beforeMs - 1);
    expect(told?.atMs).toBeLessThanOrEqual(Date.now());
  });

  test("has a client of the same guarantees as the roles", () => {
    const settings = { storeUrl: "mongodb://h/x", storePoolSize: 1, storeTimeoutMs: 100 };
    expect(clientOf(settings).options.writeConcern).toMatchObject({ w: "majority", journal: true });
  });
});
