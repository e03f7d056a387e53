import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { MongoClient } from "mongodb";
import { systemClock } from "../../../src/adapters/clock.ts";
import { openMongodbStore } from "../../../src/adapters/mongodb/store.ts";
import { openRabbitmqBroker } from "../../../src/adapters/rabbitmq/broker.ts";
import { mongodbStore } from "../../contract/mongodb.ts";
import { rabbitmqBroker } from "../../contract/rabbitmq.ts";
import type { BrokerPart, StorePart } from "../../parts/parts.ts";
import { System } from "../system.ts";
import type { Subject } from "./at-work.ts";
import type { KeptBroker, KeptStore } from "./kept.ts";

/** How long a server may take for anything, on a machine that has much else to do. */
const PATIENCE_MS = 300_000;

/** A process for each role, with the broker and the store. */
export async function startReal(parts: {
  readonly broker: BrokerPart;
  readonly store: StorePart;
}): Promise<Subject & AsyncDisposable> {
  const system = await System.start(parts);
  return {
    collectorUrl: system.collectorUrl,
    pids: () => system.pids(),
    settled: () => system.applied(),
    [Symbol.asyncDispose]: () => system[Symbol.asyncDispose](),
  };
}

export async function openMongodbKept({ url }: StorePart): Promise<KeptStore> {
  const world = await mongodbStore(url)();
  const settings = { storePoolSize: 10, storeTimeoutMs: PATIENCE_MS, dedupWindowMs: 86_400_000 };
  const store = openMongodbStore({ ...settings, storeUrl: world.url }, systemClock);
  await store.ready();
  const client = new MongoClient(world.url);
  return {
    store,
    async sizes() {
      const database = client.db();
      const collections = await database.listCollections().toArray();
      const sizes = collections.map(async ({ name }) => {
        const stats = await database.command({ collStats: name });
        return [name, Number(stats["storageSize"]) + Number(stats["totalIndexSize"])] as const;
      });
      return Object.fromEntries(await Promise.all(sizes));
    },
    places: {
      usernames: ["accountName"],
      counts: ["distinctName.total"],
      hour: ["hourlyLog"],
      marks: ["distinctName"],
      claims: ["claim"],
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await store[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

/** Of a RabbitMQ that this run has started, and whose files it may read; undefined for any other. */
export async function rabbitmqFolder(part: BrokerPart): Promise<string | undefined> {
  const pid = part.pids[0];
  if (!part.own || pid === undefined) return undefined;
  const answer = await part.ctl("eval", 'io:format(<<"~ts">>, [rabbit_mnesia:dir()]).');
  const folder = /^(\/\S+?)(?:ok)?$/m.exec(answer)?.[1];
  return folder === undefined ? undefined : join(`/proc/${pid}/root`, folder);
}

export async function openRabbitmqWaiting(part: BrokerPart, folder: string): Promise<KeptBroker> {
  const world = await rabbitmqBroker(part);
  const settings = { brokerUrl: world.brokerUrl, brokerManagementUrl: part.managementUrl };
  const broker = openRabbitmqBroker({ ...settings, confirmTimeoutMs: PATIENCE_MS }, systemClock, () => {});
  await broker.ready();
  return {
    broker,
    size: () => usedBytes(folder),
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    },
  };
}

/** What a folder takes on the disk: files may be longer than what was written of them. */
async function usedBytes(folder: string): Promise<number> {
  const { stdout } = await promisify(execFile)("du", ["-s", "-B1", `${folder}/`]);
  return Number.parseInt(stdout, 10);
}
