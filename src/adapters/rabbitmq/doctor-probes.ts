import type { Channel } from "amqplib";
import { projectionNames } from "../../domain/projection.ts";
import type { Connection } from "./connection.ts";
import { DEAD_EXCHANGE, DEFAULT_EXCHANGE, deadQueueOf, EXCHANGE, queuesOf } from "./topology.ts";

export interface Outcome<T> {
  readonly value?: T;
  /** AMQP's reply code where the server refused; 0 for any other failure. */
  readonly code?: number;
  readonly error?: unknown;
}

/** On a channel of its own, which a refusal closes. */
export async function outcomeOf<T>(
  { model }: Connection,
  use: (channel: Channel) => Promise<T>,
): Promise<Outcome<T>> {
  const channel = await model.createChannel();
  channel.on("error", () => {});
  try {
    const value = await use(channel);
    await channel.close();
    return { value };
  } catch (error) {
    return { code: codeOf(error), error };
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const codeOf = (error: unknown): number => Number(/[;:] (\d{3}) \(/.exec(textOf(error))?.[1] ?? 0);

/** Of names that Millrace may use, and never does. */
const NO_EXCHANGE = `${EXCHANGE}.none`;
const NO_KEY = "millrace.none";

/**
 * What the user may not. RabbitMQ looks at a permission before it looks at the rest of a request: each probe is one that it cannot
 * carry out, so that it changes nothing where it is permitted.
 */
export async function missingPermissions(connection: Connection): Promise<readonly string[]> {
  const refusedAt = async (name: string, use: (channel: Channel) => Promise<unknown>): Promise<boolean> => {
    const { code, error } = await outcomeOf(connection, use);
    if (code === undefined || code === 404 || code === 406) return false;
    // Where it is refused at another name, this one was not reached, or was permitted.
    if (code === 403) return textOf(error).includes(`'${name}'`);
    throw error;
  };
  const probes: (readonly [right: string, refused: Promise<boolean>])[] = [];
  const probe = (right: string, name: string, use: (channel: Channel) => Promise<unknown>) =>
    probes.push([`${right} ${name}`, refusedAt(name, use)]);

  for (const name of [EXCHANGE, DEAD_EXCHANGE]) {
    // No exchange has a number as its alternate.
    const impossible = { durable: true, arguments: { "alternate-exchange": 1 } };
    probe("configure", name, (channel) => channel.assertExchange(name, "fanout", impossible));
    probe("write", name, (channel) => channel.bindExchange(name, NO_EXCHANGE, ""));
    probe("read", name, (channel) => channel.bindQueue(`${projectionNames[0]}.none`, name, ""));
  }
  for (const { name } of projectionNames.flatMap(queuesOf)) {
    // No message lives less than no time.
    const impossible = { durable: true, arguments: { "x-queue-type": "quorum", "x-message-ttl": -1 } };
    probe("configure", name, (channel) => channel.assertQueue(name, impossible));
  }
  for (const name of projectionNames.flatMap((queue) => [queue, deadQueueOf(queue)])) {
    probe("write", name, (channel) => channel.bindQueue(name, NO_EXCHANGE, ""));
    // A priority is a number.
    const impossible = { arguments: { "x-priority": "none" } };
    probe("read", name, (channel) => channel.consume(name, () => {}, impossible));
  }
  const all = await Promise.all(probes.map(async ([right, refused]) => [right, await refused] as const));
  return all.filter(([, refused]) => refused).map(([right]) => right);
}

/**
 * Publishes what is routed to nothing, and dropped. Resolves to why RabbitMQ blocks whoever publishes, where it does: it reads no
 * more from the connection then.
 */
export async function publishOutcome(connection: Connection): Promise<Outcome<"published" | "blocked">> {
  const blocked = Promise.withResolvers<Outcome<"blocked">>();
  connection.model.once("blocked", (reason: unknown) =>
    blocked.resolve({ value: "blocked", error: String(reason) }),
  );
  const published = outcomeOf(connection, async (channel) => {
    channel.publish(DEFAULT_EXCHANGE, NO_KEY, Buffer.alloc(0));
    // Answered once what goes before it was looked at.
    await channel.prefetch(1);
    return "published" as const;
  });
  return Promise.race([published, blocked.promise]);
}
