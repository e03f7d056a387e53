import type { ChannelModel } from "amqplib";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import { MillraceError } from "../../errors.ts";

/** Where the collector publishes: a copy of each message goes to every worker's queue. */
export const EXCHANGE = "metric-collector";
/** Where dead letters go, by the name of their queue; RabbitMQ itself sends there what passes the delivery limit. */
export const DEAD_EXCHANGE = "metric-collector.dead";
/** The exchange that routes to any queue by its name (AMQP 0-9-1, 3.1.3.1). */
export const DEFAULT_EXCHANGE = "";

/**
 * Waits of a retry, in milliseconds, each a queue whose messages expire into the worker's queue; a wait is rounded up to one of
 * these. A queue expires from its head alone, so messages of different waits must not share one.
 */
const RETRY_WAITS_MS = [1000, 10_000, 60_000] as const;

/**
 * The worker gives a delivery up long before, with a reason; this ends what takes the worker down before it can. Always given:
 * RabbitMQ 4 would else drop a message after 20 deliveries, and 3.x never.
 */
const DELIVERY_LIMIT = 10_000;
/** Looking at dead letters counts as delivering them, and must not lose them. The greatest value that every version takes. */
const NO_LIMIT = 2 ** 31 - 1;

export function deadQueueOf(queue: ProjectionName): string {
  return `${queue}.dead`;
}
export function retryQueuesOf(queue: ProjectionName): readonly string[] {
  return RETRY_WAITS_MS.map((waitMs) => retryQueue(queue, waitMs));
}
/** The queue in which a retry waits at least so long, or a minute where that is less. */
export function retryQueueFor(queue: ProjectionName, afterMs: number): string {
  return retryQueue(queue, RETRY_WAITS_MS.find((waitMs) => waitMs >= afterMs) ?? RETRY_WAITS_MS[2]);
}
function retryQueue(queue: ProjectionName, waitMs: number): string {
  return `${queue}.retry.${waitMs / 1000}s`;
}

export interface DeclaredQueue {
  readonly name: string;
  readonly arguments: Readonly<Record<string, string | number>>;
}

/** Dead letters are moved at least once, which RabbitMQ does only for queues that refuse what is too much. */
const deadLettering = (exchange: string, routingKey: string) => ({
  "x-dead-letter-exchange": exchange,
  "x-dead-letter-routing-key": routingKey,
  "x-dead-letter-strategy": "at-least-once",
  "x-overflow": "reject-publish",
});

/** Of a projection: its own, and those of its dead letters and retries. */
export function queuesOf(queue: ProjectionName): readonly DeclaredQueue[] {
  const quorum = { "x-queue-type": "quorum" };
  return [
    { name: deadQueueOf(queue), arguments: { ...quorum, "x-delivery-limit": NO_LIMIT } },
    {
      name: queue,
      arguments: { ...quorum, ...deadLettering(DEAD_EXCHANGE, queue), "x-delivery-limit": DELIVERY_LIMIT },
    },
    ...RETRY_WAITS_MS.map((waitMs) => ({
      name: retryQueue(queue, waitMs),
      arguments: {
        ...quorum,
        ...deadLettering(DEFAULT_EXCHANGE, queue),
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-message-ttl": waitMs,
      },
    })),
  ];
}

/**
 * Declares exchanges, queues and bindings; what is there already is left as it is.
 * @throws MillraceError BROKER_MISMATCH where the server is too old, or something of that name is there and is different.
 */
export async function declareTopology(model: ChannelModel): Promise<void> {
  checkVersion(model.connection.serverProperties);
  const channel = await model.createChannel();
  // The failed declaration rejects with the same error.
  channel.on("error", () => {});
  try {
    await channel.assertExchange(EXCHANGE, "fanout", { durable: true });
    await channel.assertExchange(DEAD_EXCHANGE, "direct", { durable: true });
    for (const queue of projectionNames) {
      for (const { name, arguments: wanted } of queuesOf(queue)) {
        await channel.assertQueue(name, { durable: true, arguments: wanted });
      }
      await channel.bindQueue(deadQueueOf(queue), DEAD_EXCHANGE, queue);
      await channel.bindQueue(queue, EXCHANGE, "");
    }
  } catch (error) {
    throw mismatchOf(error) ?? error;
  }
  await channel.close();
}

const inequivalent =
  /inequivalent arg '([^']+)' for (queue|exchange) '([^']+)'.*: received (.+) but current is (.+?)"?$/;

/** A refused declaration in words, or undefined for any other error. */
export function mismatchOf(error: unknown): MillraceError | undefined {
  const found = error instanceof Error ? inequivalent.exec(error.message) : null;
  if (found === null) return undefined;
  const [, argument, kind, name, ...values] = found;
  const [wanted, present] = values.map((value) => value?.replace(/^the value (.*) of type '\w+'$/, "$1"));
  const remedy =
    kind === "queue"
      ? "let its consumers empty it, then delete it, and Millrace makes it anew; or give Millrace a virtual host of its own"
      : "delete it, and Millrace makes it anew; or give Millrace a virtual host of its own";
  return new MillraceError(
    "BROKER_MISMATCH",
    `${kind} '${name}' is there with ${argument} ${present}, where Millrace declares ${wanted}: ${remedy}`,
    { cause: error },
  );
}

/** Quorum queues have message TTL and at-least-once dead letters from this version on. */
const OLDEST = [3, 10] as const;

/** @throws MillraceError BROKER_MISMATCH */
export function checkVersion({
  product,
  version,
}: {
  readonly product: string;
  readonly version: string;
}): void {
  if (product !== "RabbitMQ") return;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  throw new MillraceError(
    "BROKER_MISMATCH",
    `RabbitMQ ${version} lacks at-least-once dead letters and message expiry in quorum queues; 3.10 is the first to have them`,
  );
}
