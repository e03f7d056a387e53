import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { MongoClient } from "mongodb";
import { mongodbStore } from "../../contract/mongodb.ts";
import { rabbitmqBroker } from "../../contract/rabbitmq.ts";
import type { BrokerPart, StorePart } from "../../parts/parts.ts";
import { System } from "../system.ts";
import type { Subject } from "./at-work.ts";
import type { KeptBroker, KeptStore } from "./kept.ts";

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
  const store = await world.open();
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
  const broker = await world.open();
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
