import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { MillraceError } from "../../src/errors.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import { openMongodbStore } from "../../src/adapters/mongodb/store.ts";
import type { Change } from "../../src/domain/projection.ts";
import { summaryOf } from "../../src/domain/summary.ts";
import type { Store } from "../../src/ports/store.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { startProxy } from "../fault/proxy.ts";
import { startStorePart, type StorePart } from "../parts/parts.ts";

const NOW = Date.parse("2096-11-24T12:00:00Z");
const DAY = "2096-11-24";
const all = { limit: 10_000, after: undefined };
const byDay = { granularity: "day", from: undefined, to: undefined, page: all } as const;

const changesOf = (messageId: string): readonly Change[] => [
  { projection: "distinctName", messageId, counts: [{ day: DAY, metric: "reads", count: 1 }] },
  {
    projection: "hourlyLog",
    messageId,
    entries: [{ second: NOW / 1000, metric: "reads", username: "ann", ...summaryOf(1) }],
  },
  {
    projection: "accountName",
    messageId,
    sightings: [{ username: `user of ${messageId}`, firstSeenMs: NOW }],
  },
];

describe.skipIf(inject("ownPartsMissing") !== undefined)(
  "while its server comes and goes, the mongodb store",
  () => {
    let part: StorePart;
    beforeAll(async () => {
      part = await startStorePart();
    });
    afterAll(async () => {
      await part?.[Symbol.asyncDispose]();
    });
    const openAt = (storeUrl: string, storeTimeoutMs: number): Store =>
      openMongodbStore(
        { storeUrl, storePoolSize: 10, storeTimeoutMs, dedupWindowMs: 86_400_000 },
        systemClock,
      );

    /** As a worker does: until it is applied. Resolves to how often it was tried. */
    const applyAtLast = async (store: Store, change: Change): Promise<number> => {
      for (let tries = 1; ; tries += 1) {
        try {
          await store.apply(change, NOW);
          return tries;
        } catch (error) {
          if (!(error instanceof MillraceError) || error.code !== "STORE_UNAVAILABLE") throw error;
          await sleep(50);
        }
      }
    };

    test("opens once the server is there, without being asked again", async () => {
      await using world = await mongodbStore(part.url)();
      await part.kill();
      await using store = openAt(world.url, 1000);
      await expect(store.ready()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
      await part.start();
      await expect.poll(() => store.ready().then(() => "ready"), { timeout: 20_000 }).toBe("ready");
    });

    test("loses nothing acknowledged and counts nothing twice through kill -9, with compaction and reads going on", async () => {
      await using world = await mongodbStore(part.url)();
      await using store = openAt(world.url, 5000);
      await store.ready();
      let acknowledged = 0;
      let asked = 0;
      let retried = 0;
      const stop = new AbortController();
      const writers = Array.from({ length: 32 }, async () => {
        while (!stop.signal.aborted) {
          const messageId = `m${asked++}`;
          for (const change of changesOf(messageId)) {
            const tries = await applyAtLast(store, change);
            retried += tries - 1;
            // Delivered again, as after a crash of the worker.
            if (asked % 10 === 0) await applyAtLast(store, change);
          }
          acknowledged += 1;
        }
      });
      const compactor = (async () => {
        while (!stop.signal.aborted) {
          await store.mergeMonths("2096-10-25", NOW).catch(() => {});
          await sleep(20);
        }
      })();
      let reads = 0;
      const reader = (async () => {
        while (!stop.signal.aborted) {
          const before = acknowledged;
          const rows = await store.distinctNames(byDay).catch(() => undefined);
          if (rows === undefined) continue;
          reads += 1;
          const count = rows[0]?.count ?? 0;
          expect(count).toBeGreaterThanOrEqual(before);
          expect(count).toBeLessThanOrEqual(asked);
        }
      })();
      for (let round = 0; round < 3; round += 1) {
        await sleep(1500);
        await part.kill();
        // The first time for longer than the store waits for its server.
        await sleep(round === 0 ? 6000 : 300);
        await part.start();
      }
      await sleep(1000);
      stop.abort();
      await Promise.all([...writers, compactor, reader]);
      expect(acknowledged).toBe(asked);
      await store.mergeMonths("2096-10-25", NOW);
      expect(await store.distinctNames(byDay)).toEqual([{ period: DAY, metric: "reads", count: asked }]);
      expect((await store.hourlyTotals(all, NOW))[0]?.count).toBe(asked);
      let accounts = 0;
      for (let page = await store.accounts({ sinceMs: undefined, page: all }); page.length > 0; ) {
        accounts += page.length;
        page = await store.accounts({ sinceMs: undefined, page: { limit: 10_000, after: page.at(-1) } });
      }
      expect(accounts).toBe(asked);
      console.log(`${asked} messages through 3 kills: ${retried} tries failed, ${reads} reads`);
      expect(retried).toBeGreaterThan(0);
    }, 120_000);

    test("rejects in time while the server answers nothing, and goes on when it does", async () => {
      await using world = await mongodbStore(part.url)();
      await using store = openAt(world.url, 1000);
      await store.ready();
      const [change] = changesOf("m1");
      if (change === undefined) return;
      await part.pause();
      try {
        const startedAt = performance.now();
        const outcomes = await Promise.allSettled([
          store.apply(change, NOW),
          store.distinctNames(byDay),
          store.claim({ projection: "hourlyLog", messageId: "m1", eventIds: ["e1"] }, NOW),
          store.ready(),
        ]);
        for (const outcome of outcomes) {
          expect(outcome).toMatchObject({ status: "rejected", reason: { code: "STORE_UNAVAILABLE" } });
        }
        expect(performance.now() - startedAt).toBeLessThan(3000);
      } finally {
        await part.resume();
      }
      await expect.poll(() => store.ready().then(() => "ready"), { timeout: 20_000 }).toBe("ready");
      await applyAtLast(store, change);
      expect(await store.distinctNames(byDay)).toEqual([{ period: DAY, metric: "reads", count: 1 }]);
    });

    test("comes back by itself however often all of its connections are told that they have ended", async () => {
      await using proxy = await startProxy(Number(new URL(part.url).port));
      const store = openAt(`mongodb://127.0.0.1:${proxy.port}/half-closed?directConnection=true`, 2000);
      await store.ready();
      const stop = new AbortController();
      const reading = Array.from({ length: 8 }, async () => {
        while (!stop.signal.aborted) {
          await store.account("ann").catch(() => sleep(50));
          await sleep(Math.random() * 5);
        }
      });
      try {
        for (let times = 0; times < 4; times += 1) {
          await sleep(500);
          expect(proxy.halfClose("near")).toBeGreaterThan(0);
          await expect
            .poll(() => store.ready().then(() => true, String), { timeout: 40_000, interval: 200 })
            .toBe(true);
        }
      } finally {
        stop.abort();
        await Promise.all(reading);
        await store[Symbol.asyncDispose]();
      }
    }, 180_000);
  },
);
