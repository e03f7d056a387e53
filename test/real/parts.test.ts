import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect as connectTcp, createServer } from "node:net";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "amqplib";
import { MongoClient } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { askBroker, askStore } from "../parts/ask.ts";
import {
  type BrokerPart,
  type Part,
  type StorePart,
  startBrokerPart,
  startStorePart,
} from "../parts/parts.ts";

const ownMissing = inject("ownPartsMissing") !== undefined;
/** A cold start of another test run may be obtaining them just now. */
const OBTAIN_MS = 600_000;
const QUEUE_SETTLES_MS = 3000;

const expiring = { database: `parts-${process.pid}`, collection: "expiring" } as const;

describe("the shared parts", () => {
  beforeAll(async () => {
    const store = inject("store");
    if (store === undefined) return;
    await using client = new MongoClient(store.url);
    const collection = client.db(expiring.database).collection(expiring.collection);
    await collection.createIndex({ at: 1 }, { expireAfterSeconds: 1 });
    await collection.insertOne({ at: new Date(0) });
  });
  test.skipIf(inject("broker") === undefined)("have a RabbitMQ 4 that answers", async () => {
    const broker = inject("broker");
    expect(broker?.version).toMatch(/^RabbitMQ 4\./);
    expect(await askBroker(broker?.url ?? "")).toBe(broker?.version);
  });
  test.skipIf(inject("store") === undefined)("have a store that answers", async () => {
    const store = inject("store");
    expect(store?.version).toMatch(/^(FerretDB 2|MongoDB [78])\./);
    expect(await askStore(store?.url ?? "")).toBe(store?.version);
  });
});

describe.skipIf(ownMissing)("a broker part", () => {
  let part: BrokerPart;
  beforeAll(async () => {
    part = await startBrokerPart({ configuration: ["channel_max = 77"] });
  }, OBTAIN_MS);
  afterAll(() => part[Symbol.asyncDispose]());

  test("is set up by further lines of rabbitmq.conf, and told things by rabbitmqctl", async () => {
    expect(await part.ctl("environment")).toMatch(/channel_max,77/);
  });
  test("lives beside another one", async () => {
    await using other = await startBrokerPart();
    expect(other.url).not.toBe(part.url);
    await other.kill();
    expect(await askBroker(part.url)).toBe(part.version);
  });
  lifeOf(() => part, askBroker, publishAndRead);
});

describe.skipIf(ownMissing)("a store part", () => {
  let part: StorePart;
  beforeAll(async () => {
    part = await startStorePart();
  }, OBTAIN_MS);
  afterAll(() => part[Symbol.asyncDispose]());
  lifeOf(() => part, askStore, insertAndRead);
});

describe.skipIf(ownMissing)("the command that starts both", () => {
  let child: ChildProcess | undefined;
  afterEach(() => child?.kill("SIGKILL"));

  test.for(["SIGINT", "SIGKILL"] as const)(
    "leaves nothing that answers after %s",
    { timeout: OBTAIN_MS },
    async (signal) => {
      child = spawn(process.execPath, [resolve(import.meta.dirname, "../parts/main.ts")], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      child.stdout?.setEncoding("utf8").on("data", (more: string) => (text += more));
      const exited = once(child, "exit");
      const told = vi.waitFor(() => expect(text).toMatch(/Ctrl-C/), { timeout: OBTAIN_MS, interval: 100 });
      await Promise.race([told, exited]);
      const ports = Array.from(text.matchAll(/127\.0\.0\.1:(\d+)/g), ([, port]) => Number(port));
      expect(new Set(ports).size).toBe(3);
      expect(await Promise.all(ports.map(isOpen))).not.toContain(false);
      child.kill(signal);
      await exited;
      await vi.waitFor(async () => expect(await Promise.all(ports.map(isOpen))).not.toContain(true), 5000);
    },
  );
});

describe("the shared store, a minute later", () => {
  test.skipIf(inject("store") === undefined)(
    "has let go of what has expired",
    { timeout: 120_000 },
    async () => {
      await using client = new MongoClient(inject("store")?.url ?? "");
      const database = client.db(expiring.database);
      const left = () => database.collection(expiring.collection).countDocuments();
      await vi.waitFor(async () => expect(await left()).toBe(0), { timeout: 100_000, interval: 500 });
      await database.dropDatabase();
    },
  );
});

/** What holds for any part. `keep` writes a value durably and returns a function that reads it. */
function lifeOf(
  part: () => Part,
  ask: (url: string) => Promise<string>,
  keep: (url: string, value: string) => Promise<() => Promise<string | undefined>>,
): void {
  test("answers once started", async () => {
    expect(await ask(part().url)).toBe(part().version);
    expect(part().own).toBe(true);
    expect(part().pids.length).toBeGreaterThan(0);
  });

  test.for(["kill", "stop"] as const)("keeps what it has confirmed over %s and start", async (end) => {
    const read = await keep(part().url, end);
    await part()[end]();
    expect(part().pids).toEqual([]);
    await expect(ask(part().url)).rejects.toThrow("ECONNREFUSED");
    await part().start();
    expect(await read()).toBe(end);
  });

  test("answers nothing while paused", async () => {
    await part().pause();
    const answer = ask(part().url).then(
      () => "an answer",
      () => "none",
    );
    const late = new Promise((done) => setTimeout(done, 1000, "none"));
    expect(await Promise.race([answer, late])).toBe("none");
    await part().resume();
    await answer;
    await vi.waitFor(async () => expect(await ask(part().url)).toBe(part().version), 5000);
  });

  test("is down after a kill at any moment of its start", async () => {
    for (const afterMs of [0, 5, 40, 300]) {
      await part().kill();
      const started = part()
        .start()
        .then(
          () => "started",
          () => "ended",
        );
      await sleep(afterMs);
      await part().kill();
      expect(await started).toBe("ended");
      expect(part().pids).toEqual([]);
    }
    await part().start();
  });

  test("starts once others have left its port", async () => {
    await part().kill();
    const other = createServer().listen(Number(new URL(part().url).port), "127.0.0.1");
    await once(other, "listening");
    const started = part().start();
    await sleep(1500);
    other.close();
    await started;
    expect(await ask(part().url)).toBe(part().version);
  });

  test("can be killed while paused", async () => {
    await part().pause();
    await part().kill();
    expect(part().pids).toEqual([]);
    await part().start();
  });

  test("leaves no process behind", async () => {
    const { pids, url } = part();
    await part()[Symbol.asyncDispose]();
    expect(pids.filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([]);
    expect(part().pids).toEqual([]);
    expect(await isOpen(Number(new URL(url).port))).toBe(false);
  });
}

async function publishAndRead(url: string, value: string): Promise<() => Promise<string | undefined>> {
  const queue = `parts-${value}`;
  const model = await connect(url);
  model.on("error", () => {});
  const channel = await model.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  channel.sendToQueue(queue, Buffer.from(value), { persistent: true });
  await channel.waitForConfirms();
  await model.close();
  // A trap of RabbitMQ: what is confirmed by a queue that was declared less than a second before a SIGKILL is lost.
  await sleep(QUEUE_SETTLES_MS);
  return async () => {
    const again = await connect(url);
    again.on("error", () => {});
    const reader = await again.createChannel();
    const message = await reader.get(queue, { noAck: true });
    await again.close();
    return message === false ? undefined : message.content.toString();
  };
}

async function insertAndRead(url: string, value: string): Promise<() => Promise<string | undefined>> {
  await using client = new MongoClient(url);
  const options = { writeConcern: { w: "majority" } } as const;
  await client.db("parts").collection<{ _id: string }>("kept", options).insertOne({ _id: value });
  return async () => {
    await using again = new MongoClient(url);
    const found = await again.db("parts").collection<{ _id: string }>("kept").findOne({ _id: value });
    return found === null ? undefined : value;
  };
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connectTcp(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
