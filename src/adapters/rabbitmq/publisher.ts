import type { ConfirmChannel } from "amqplib";
import type { Message } from "../../domain/envelope.ts";
import { MillraceError } from "../../errors.ts";
import type { Emit } from "../../signals.ts";
import type { Connection } from "./connection.ts";
import { type ConnectionParts, Link } from "./link.ts";
import { propertiesOf } from "./message.ts";
import { declareTopology } from "./topology.ts";

export interface PublisherSettings {
  readonly confirmTimeoutMs: number;
}
/** Where a message is to go, and what headers it carries. */
export interface Route {
  readonly exchange: string;
  readonly routingKey: string;
  readonly headers?: Readonly<Record<string, unknown>>;
}

interface Unconfirmed {
  readonly messageId: string;
  reject(error: MillraceError): void;
}
interface Session {
  readonly channel: ConfirmChannel;
  /** Why the broker takes nothing, such as "low on memory"; undefined while it does. */
  blocked: string | undefined;
}

/** Publishes on a connection of its own: a broker that blocks publishers must not hold up the acknowledgements of consumers. */
export class ConfirmingPublisher {
  readonly #link: Link<Session>;
  readonly #confirmTimeoutMs: number;
  readonly #emit: Emit;
  readonly #unconfirmed = new Set<Unconfirmed>();

  constructor({ confirmTimeoutMs }: PublisherSettings, parts: ConnectionParts) {
    this.#confirmTimeoutMs = confirmTimeoutMs;
    this.#emit = parts.emit;
    this.#link = new Link({
      ...parts,
      purpose: "publish",
      setUp: (connection) => this.#setUp(connection),
    });
  }

  /**
   * Resolves once the broker has confirmed that every queue on the route has the message. Rejects as Publisher.publish does. What
   * waits to be sent is bounded by the caller: the collector's `unconfirmedMaxBytes`, a worker's prefetch.
   */
  async publish(message: Message, { exchange, routingKey, headers }: Route): Promise<void> {
    const { channel } = await this.#open(this.#confirmTimeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const unconfirmed: Unconfirmed = { messageId: message.id, reject };
    const timer = setTimeout(
      () => reject(new MillraceError("PUBLISH_UNCONFIRMED", `within ${this.#confirmTimeoutMs} ms`)),
      this.#confirmTimeoutMs,
    );
    this.#unconfirmed.add(unconfirmed);
    const options = propertiesOf(message, headers);
    try {
      channel.publish(exchange, routingKey, bufferOf(message.body), options, (error: unknown) => {
        if (error === null) resolve();
        else reject(refusalOf(error));
      });
      await promise;
    } catch (error) {
      throw error instanceof MillraceError ? error : lostBeforeConfirm(error);
    } finally {
      clearTimeout(timer);
      this.#unconfirmed.delete(unconfirmed);
    }
  }

  /** Resolves when the broker takes messages now. */
  async ready(): Promise<void> {
    await this.#open(this.#confirmTimeoutMs);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async #open(waitMs: number): Promise<Session> {
    const session = await this.#link.session(waitMs);
    if (session.blocked !== undefined) throw blockedBy(session.blocked);
    return session;
  }

  async #setUp(connection: Connection): Promise<Session> {
    const { model } = connection;
    await declareTopology(model);
    const channel = await connection.confirmChannel();
    const session: Session = { channel, blocked: undefined };
    // RabbitMQ sends the return before the confirm of the same message.
    channel.on("return", ({ properties }) => {
      const error = new MillraceError("BROKER_UNAVAILABLE", "no queue takes the message");
      for (const one of this.#unconfirmed) if (one.messageId === properties.messageId) one.reject(error);
    });
    model.on("blocked", (reason: string) => {
      session.blocked = reason;
      this.#emit("broker.blocked", { reason });
      // What has been sent stays unread until the alarm is over: nobody is served by waiting for its confirm.
      for (const one of this.#unconfirmed) one.reject(blockedBy(reason));
    });
    model.on("unblocked", () => {
      session.blocked = undefined;
      this.#emit("broker.unblocked", {});
    });
    return session;
  }
}

function blockedBy(reason: string): MillraceError {
  return new MillraceError("BROKER_UNAVAILABLE", `RabbitMQ takes no messages now: ${reason}`);
}

function refusalOf(error: unknown): MillraceError {
  // amqplib's words for a negative confirm, and for a channel that ended before there was one.
  if (error instanceof Error && error.message === "message nacked") {
    return new MillraceError("BROKER_FULL", "RabbitMQ refused the message: a queue is at its length limit");
  }
  return lostBeforeConfirm(error);
}

function lostBeforeConfirm(cause: unknown): MillraceError {
  return new MillraceError("BROKER_UNAVAILABLE", "the connection was lost before the confirm", { cause });
}

/** The same bytes as amqplib wants them. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
