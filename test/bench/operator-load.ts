import { type ChannelModel, type ConsumeMessage, connect } from "amqplib";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiServerPart } from "../parts/api-server.ts";
import { deploymentsOf } from "../real/kubernetes-cluster.ts";
import { makeReady, NAMESPACE, nameOf } from "./operator-world.ts";

/** Messages that are published to each busy queue in a second. */
export const RATE = 15;
const TICK_MS = 50;
/** What a pod takes for a message; it has the next in hand meanwhile. */
export const WORK_MS = 100;
const PREFETCH = 2;
/** From when a pod is asked for until it is ready and consumes. */
const STARTUP_MS = 3000;

/** Publishers, and pods that consume. */
export interface Load extends AsyncDisposable {
  /** From now on, messages come to these queues. */
  publishTo(queues: readonly string[]): void;
  /** From now on, so many pods consume the queue. */
  consume(queue: string, pods: number): Promise<void>;
}

export async function startLoad(url: string): Promise<Load> {
  const connection = await connect(url);
  connection.on("error", () => {});
  const publisher = await connection.createChannel();
  const podsOf = new Map<string, Pod[]>();
  let queues: readonly string[] = [];
  const ended = new AbortController();

  let sent = 0;
  const begunMs = performance.now();
  const timer = setInterval(() => {
    for (const wanted = ((performance.now() - begunMs) / 1000) * RATE; sent < wanted; sent += 1) {
      for (const queue of queues) publisher.sendToQueue(queue, Buffer.from("x"), { persistent: true });
    }
  }, TICK_MS);
  return {
    publishTo(those) {
      queues = those;
    },
    async consume(queue, count) {
      const pods = podsOf.get(queue) ?? [];
      podsOf.set(queue, pods);
      while (pods.length < count && !ended.signal.aborted) pods.push(await startPod(connection, queue));
      while (pods.length > count) await pods.pop()?.stop();
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      clearInterval(timer);
      await Promise.all(Array.from(podsOf.values()).flatMap((pods) => pods.map((pod) => pod.stop())));
      await connection.close();
    },
  };
}

interface Pod {
  stop(): Promise<void>;
}

/** Works on one message after the other, and gives back what it has in hand when it is stopped. */
async function startPod(connection: ChannelModel, queue: string): Promise<Pod> {
  const channel = await connection.createChannel();
  channel.on("error", () => {});
  await channel.prefetch(PREFETCH);
  let last = Promise.resolve();
  let [stopped, closed] = [false, false];
  channel.once("close", () => {
    closed = true;
  });
  const work = async (message: ConsumeMessage | null): Promise<void> => {
    await sleep(WORK_MS);
    if (message !== null && !stopped && !closed) channel.ack(message);
  };
  await channel.consume(queue, (message) => {
    last = last.then(() => work(message));
  });
  return {
    async stop() {
      stopped = true;
      if (!closed) await channel.close();
    },
  };
}

export interface ScaleWrite {
  readonly name: string;
  readonly replicas: number;
  /** By `performance.now()`. */
  readonly atMs: number;
}

/** Stands in for the controller of Deployments: pods come after a time and go at once. Tells each change of a number. */
export function startController(
  api: ApiServerPart,
  load: Load,
  changed: (write: ScaleWrite) => void,
): Disposable {
  const stop = new AbortController();
  const wanted = new Map<string, number>();
  const settle = async (name: string): Promise<void> => {
    const replicas = wanted.get(name) ?? 0;
    await Promise.all([makeReady(api, name, replicas), load.consume(name, replicas)]);
  };
  const take = (line: string): void => {
    const { object } = JSON.parse(line) as WatchLine;
    const { name } = object.metadata;
    const { replicas } = object.spec;
    const before = wanted.get(name) ?? 0;
    if (before === replicas) return;
    wanted.set(name, replicas);
    changed({ name, replicas, atMs: performance.now() });
    const delayMs = replicas > before ? STARTUP_MS : 0;
    void sleep(delayMs, undefined, { signal: stop.signal })
      .then(() => settle(name))
      .catch(() => {});
  };
  void watch(api, stop.signal, take);
  return { [Symbol.dispose]: () => stop.abort() };
}

interface WatchLine {
  readonly object: {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly replicas: number };
  };
}

/** Begins anew with all of them whenever the API server ends it. */
async function watch(api: ApiServerPart, stop: AbortSignal, take: (line: string) => void): Promise<void> {
  const kubeConfig = JSON.parse(api.kubeConfig()) as KubeConfig;
  const token = kubeConfig.users[0]?.user.token ?? "";
  const ca = Buffer.from(kubeConfig.clusters[0]?.cluster["certificate-authority-data"] ?? "", "base64");
  while (!stop.aborted) {
    try {
      const question = request(`${api.url}${deploymentsOf(NAMESPACE)}?watch=true`, {
        ca,
        signal: stop,
        headers: { authorization: `Bearer ${token}` },
      });
      question.end();
      const [answer] = (await once(question, "response")) as [IncomingMessage];
      for await (const line of createInterface({ input: answer })) take(line);
    } catch {
      await sleep(100);
    }
  }
}

interface KubeConfig {
  readonly users: readonly { readonly user: { readonly token: string } }[];
  readonly clusters: readonly { readonly cluster: { readonly "certificate-authority-data": string } }[];
}

/** Publishes so many messages to each of the queues, and resolves to when the first was sent to each, by `performance.now()`. */
export async function burst(
  url: string,
  numbers: readonly number[],
  messages: number,
): Promise<ReadonlyMap<string, number>> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  const begunMs = new Map<string, number>();
  for (const name of numbers.map(nameOf)) {
    begunMs.set(name, performance.now());
    for (let i = 0; i < messages; i += 1) channel.sendToQueue(name, Buffer.from("x"), { persistent: true });
  }
  await channel.waitForConfirms();
  await connection.close();
  return begunMs;
}
