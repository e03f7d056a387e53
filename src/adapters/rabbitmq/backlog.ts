import { get as plainGet } from "node:http";
import { get, type RequestOptions } from "node:https";
import { text } from "node:stream/consumers";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import { MillraceError } from "../../errors.ts";
import type { Backlog } from "../../ports/broker.ts";
import type { Address } from "./connection.ts";
import { deadQueueOf, retryQueuesOf } from "./topology.ts";

/** Longest wait for the management API, in milliseconds. */
const TIMEOUT_MS = 5000;

/** The part of an answer of `GET /api/queues/{vhost}` that is asked for; a queue that was just made has no figures yet. */
interface QueueFigures {
  readonly name: string;
  readonly messages?: number;
  readonly messages_ready?: number;
  readonly messages_unacknowledged?: number;
}

/** Where the management API is, and as whom it is asked. */
export interface Management {
  /** Without credentials. */
  readonly url: URL;
  readonly authorization: string;
  readonly vhost: string;
  readonly certificates: Address["certificates"];
}

/** By default on its usual port of the broker's host, with the broker's credentials; those in `managementUrl` win. */
export function managementOf({ url: brokerUrl, certificates }: Address, managementUrl: string): Management {
  const broker = new URL(brokerUrl);
  const secure = broker.protocol === "amqps:";
  const base = secure ? `https://${broker.hostname}:15671` : `http://${broker.hostname}:15672`;
  const url = new URL(managementUrl === "" ? base : managementUrl);
  const { username, password } = url.username === "" ? broker : url;
  const credentials = [username || "guest", password || "guest"].map(decodeURIComponent).join(":");
  url.username = url.password = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return {
    url,
    authorization: `Basic ${Buffer.from(credentials).toString("base64")}`,
    vhost: decodeURIComponent(broker.pathname.slice(1)) || "/",
    certificates,
  };
}

/**
 * AMQP itself tells only what is ready; what is unsettled, RabbitMQ's management tells, some seconds late. Who asks while an answer
 * is on its way gets that one. The function rejects with BROKER_UNAVAILABLE.
 */
export function backlogsIn(management: Management): (queue: ProjectionName) => Promise<Backlog> {
  let asked: ReturnType<typeof figuresOf> | undefined;
  return async (queue) => {
    asked ??= figuresOf(management).finally(() => {
      asked = undefined;
    });
    const queues = await asked;
    const of = (name: string, figure: keyof Omit<QueueFigures, "name">) => queues.get(name)?.[figure] ?? 0;
    return {
      ready:
        of(queue, "messages_ready") +
        retryQueuesOf(queue).reduce((sum, name) => sum + of(name, "messages"), 0),
      unsettled: of(queue, "messages_unacknowledged"),
      deadLetters: of(deadQueueOf(queue), "messages"),
    };
  };
}

export interface InHandFigures {
  readonly count: number;
  /** Of these it is not known: they were just made, or RabbitMQ keeps no statistics. */
  readonly unknown: readonly string[];
}

/**
 * What is in anybody's hands, and what is in the queues of retries, by figures that are some seconds old. The function rejects with
 * BROKER_UNAVAILABLE.
 */
export function inHandIn(management: Management): () => Promise<InHandFigures> {
  return async () => {
    const queues = await figuresOf(management);
    const sum = (names: readonly string[], figure: keyof Omit<QueueFigures, "name">) =>
      names.reduce((total, name) => total + (queues.get(name)?.[figure] ?? 0), 0);
    const retries = projectionNames.flatMap(retryQueuesOf);
    const others = projectionNames.flatMap((queue) => [queue, deadQueueOf(queue)]);
    return {
      count: sum(retries, "messages") + sum(others, "messages_unacknowledged"),
      unknown: others.filter((name) => queues.get(name)?.messages_unacknowledged === undefined),
    };
  };
}

async function figuresOf({
  url,
  authorization,
  vhost,
  certificates,
}: Management): Promise<ReadonlyMap<string, QueueFigures>> {
  const columns = "name,messages,messages_ready,messages_unacknowledged";
  const at = new URL(`api/queues/${encodeURIComponent(vhost)}?columns=${columns}`, url);
  const unavailable = (detail: string, cause?: unknown) =>
    new MillraceError("BROKER_UNAVAILABLE", `the management API at ${url.origin} ${detail}`, { cause });
  const options = {
    ...certificates?.(),
    headers: { authorization },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  };
  const { status, body } = await answerOf(at, options).catch((error: unknown) => {
    throw unavailable("does not answer", error);
  });
  if (status !== 200) throw unavailable(`answers ${status}`);
  const queues = JSON.parse(body) as readonly QueueFigures[];
  return new Map(queues.map((one) => [one.name, one]));
}

export interface ManagementAnswer {
  readonly status: number | undefined;
  readonly body: string;
  /** The header in which it tells its time. */
  readonly date: string | undefined;
}

/** By node's own client: fetch takes no certificates. */
export async function answerOf(at: URL, options: RequestOptions): Promise<ManagementAnswer> {
  return new Promise((resolve, reject) => {
    const asked = (at.protocol === "https:" ? get : plainGet)(at, options, (answer) => {
      const { statusCode: status, headers } = answer;
      text(answer).then((body) => resolve({ status, body, date: headers.date }), reject);
    });
    asked.once("error", reject);
  });
}
