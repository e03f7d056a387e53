import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { rabbitmqBroker } from "../contract/rabbitmq.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { freePorts } from "../parts/ports.ts";

const brokerAt = inject("broker");
const storeAt = inject("store");
const MESSAGES = 30;
const EVENTS = 10_000;

test.skipIf(brokerAt === undefined || storeAt === undefined)(
  "a backlog of the largest batches does not take a worker down that has the heap of `npm start`",
  async () => {
    await using world = await rabbitmqBroker(brokerAt ?? { url: "", managementUrl: "" });
    await using broker = await world.open();
    await using storeWorld = await mongodbStore(storeAt?.url ?? "")();
    await using store = await storeWorld.open();
    await store.ready();
    const nowMs = Date.now();
    for (let message = 0; message < MESSAGES; message += 1) {
      const events = Array.from({ length: EVENTS }, (_, i) => ({
        username: `user ${i % 1000}`,
        metric: `metric ${i % 20}`,
        count: i,
        atMs: nowMs,
        id: `id:a client's own name for event ${message}-${i}`,
      }));
      await broker.publish(encodeRows(randomUUIDv7(), [rowsOf(events)]));
    }

    const workingDir = await mkdtemp(join(tmpdir(), "millrace-large-"));
    const [adminPort = 0] = await freePorts(1);
    const worker = new SupervisedProcess({
      name: "hourlyLog",
      words: ["worker", "hourlyLog"],
      environment: {
        MILLRACE_BROKER_URL: world.brokerUrl,
        MILLRACE_BROKER_MANAGEMENT_URL: brokerAt?.managementUrl ?? "",
        MILLRACE_STORE_URL: storeWorld.url,
        MILLRACE_ADMIN_PORT: String(adminPort),
      },
      adminPort,
      workingDir,
    });
    try {
      const counted = async () =>
        (await store.hourlyTotals({ limit: 100, after: undefined }, nowMs + 1000)).reduce(
          (sum, { count }) => sum + count,
          0,
        );
      await expect.poll(counted, { timeout: 240_000, interval: 1000 }).toBe(MESSAGES * EVENTS);
      expect(worker.endings).toEqual([]);
    } finally {
      await worker.stop();
      await rm(workingDir, { recursive: true, force: true });
    }
    const empty = { ready: 0, unsettled: 0, deadLetters: 0 };
    await expect.poll(() => broker.backlog("hourlyLog"), { timeout: 20_000 }).toEqual(empty);
  },
  300_000,
);
