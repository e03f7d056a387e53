import type { Channel, ConsumeMessage } from "amqplib";
import { once } from "node:events";
import type { ProjectionName } from "../../domain/projection.ts";
import type { Delivery, Outcome, Subscription } from "../../ports/broker.ts";
import type { Connection } from "./connection.ts";
import { Intake } from "./intake.ts";
import { type ConnectionParts, Link } from "./link.ts";
import { attemptOf, deadHeaders, messageOf, retryHeaders } from "./message.ts";
import type { ConfirmingPublisher, Route } from "./publisher.ts";
import { DEAD_EXCHANGE, DEFAULT_EXCHANGE, declareTopology, retryQueueFor } from "./topology.ts";

/** Upper bound of the wait before a settlement that could not be published is tried again, in milliseconds. */
const SETTLE_RETRY_MS = 1000;
/** Longest wait for the broker's word that it sends no more, in milliseconds, before the connection is closed anyway. */
const CANCEL_TIMEOUT_MS = 2000;

export interface ConsumerParts extends ConnectionParts {
  readonly publisher: ConfirmingPublisher;
}
/** A channel that delivers. */
interface Session {
  readonly channel: Channel;
  consumerTag: string;
  prefetch: number;
  /** Then all that came over it and is not settled comes again. */
  ended: boolean;
}
interface Delivered {
  readonly session: Session;
  readonly amqpMessage: ConsumeMessage;
}

/** One subscription, on a connection of its own. */
export class QueueConsumer {
  readonly #parts: ConsumerParts;
  readonly #queue: ProjectionName;
  readonly #take: (delivery: Delivery) => Promise<void>;
  readonly #link: Link<Session>;
  readonly #intake: Intake<Delivered>;
  readonly #running = new Set<Promise<void>>();
  readonly #failed = Promise.withResolvers<never>();
  #stopping = false;

  constructor(
    parts: ConsumerParts,
    { queue, prefetch }: Subscription,
    take: (delivery: Delivery) => Promise<void>,
  ) {
    this.#parts = parts;
    this.#queue = queue;
    this.#take = take;
    this.#failed.promise.catch(() => {});
    this.#intake = new Intake(prefetch, (delivered) => this.#deliver(delivered));
    this.#link = new Link({
      ...parts,
      purpose: `consume ${queue}`,
      setUp: (connection) => this.#subscribe(connection),
      onMismatch: (error) => {
        this.#failed.reject(error);
        parts.onMismatch(error);
      },
    });
  }

  /** Resolves after `stop`, once every delivery in hand has been dealt with; rejects when one cannot be. */
  async run(stop: AbortSignal): Promise<void> {
    try {
      if (!stop.aborted) await Promise.race([once(stop, "abort"), this.#failed.promise]);
      this.#stopping = true;
      this.#intake.keep(() => false);
      await this.#cancel();
      while (this.#running.size > 0) {
        await Promise.race([Promise.all(this.#running), this.#failed.promise]);
      }
    } finally {
      this.#stopping = true;
      this.#intake.keep(() => false);
      // What is unsettled goes back to the queue.
      await this.#link.close();
    }
  }

  /** Resolves when deliveries come in now. */
  async ready(): Promise<void> {
    await this.#link.session(0);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  async #subscribe(connection: Connection): Promise<Session> {
    await declareTopology(connection.model);
    const channel = await connection.channel();
    const session: Session = { channel, consumerTag: "", prefetch: this.#intake.prefetch(), ended: false };
    channel.on("close", () => {
      session.ended = true;
      this.#intake.keep((delivered) => delivered.session !== session);
    });
    await this.#consume(session, connection);
    return session;
  }

  async #consume(session: Session, connection: Connection): Promise<void> {
    const { channel, prefetch } = session;
    await channel.prefetch(prefetch);
    const { consumerTag } = await channel.consume(this.#queue, (amqpMessage) => {
      // RabbitMQ cancels the consumer of a queue that is deleted or has lost its leader.
      if (amqpMessage === null) return connection.lose(new Error("RabbitMQ cancelled the consumer"));
      if (this.#stopping) return;
      this.#intake.add({ session, amqpMessage }, amqpMessage.content.length);
      this.#adapt(session, connection);
    });
    session.consumerTag = consumerTag;
  }

  /** The prefetch of a consumer cannot be changed: another takes its place, and what is in hand stays there. */
  #adapt(session: Session, connection: Connection): void {
    const prefetch = this.#intake.prefetch(session.prefetch);
    const { channel, consumerTag } = session;
    // Without its tag it is still being made.
    if (prefetch === session.prefetch || consumerTag === "") return;
    Object.assign(session, { prefetch, consumerTag: "" });
    channel
      .cancel(consumerTag)
      .then(() => this.#consume(session, connection))
      .catch((error: Error) => connection.lose(error));
  }

  /** Never rejects: a delivery that cannot be dealt with ends the subscription. */
  async #deliver({ session, amqpMessage }: Delivered): Promise<void> {
    const delivery: Delivery = {
      message: messageOf(amqpMessage),
      attempt: attemptOf(amqpMessage),
      settle: (outcome) => this.#settle(session, amqpMessage, delivery, outcome),
    };
    const taken = this.#take(delivery).catch(this.#failed.reject);
    this.#running.add(taken);
    await taken;
    this.#running.delete(taken);
  }

  /** A delivery whose channel has ended comes again, whatever is said of it. */
  async #settle(
    session: Session,
    amqpMessage: ConsumeMessage,
    delivery: Delivery,
    outcome: Outcome,
  ): Promise<void> {
    const route = this.#routeOf(delivery, outcome);
    if (route !== undefined && !(await this.#moved(session, delivery, route))) return;
    try {
      if (!session.ended) session.channel.ack(amqpMessage);
    } catch {
      // amqplib throws while the connection is being closed.
    }
  }

  /** Tries until the message is where it is to go. False where it stays in its queue: the channel has ended, or is about to. */
  async #moved(session: Session, { message }: Delivery, route: Route): Promise<boolean> {
    const { publisher, clock, emit } = this.#parts;
    while (!session.ended) {
      try {
        await publisher.publish(message, route);
        return true;
      } catch (error) {
        if (this.#stopping) break;
        emit("settlement.waiting", { queue: this.#queue, error });
        await clock.sleep(Math.random() * SETTLE_RETRY_MS);
      }
    }
    return false;
  }

  /** Where a delivery goes before its queue is told to forget it; a crash in between leaves two of one id, which count once. */
  #routeOf({ attempt }: Delivery, outcome: Outcome): Route | undefined {
    if (outcome.kind === "ack") return undefined;
    if (outcome.kind === "retry") {
      const routingKey = retryQueueFor(this.#queue, outcome.afterMs);
      return { exchange: DEFAULT_EXCHANGE, routingKey, headers: retryHeaders(attempt) };
    }
    const headers = deadHeaders(outcome.reason, attempt, this.#parts.clock.now());
    return { exchange: DEAD_EXCHANGE, routingKey: this.#queue, headers };
  }

  async #cancel(): Promise<void> {
    const session = await this.#link.session(0).catch(() => undefined);
    if (session === undefined) return;
    const cancelled = session.channel.cancel(session.consumerTag).then(
      () => undefined,
      () => undefined,
    );
    await Promise.race([cancelled, this.#parts.clock.sleep(CANCEL_TIMEOUT_MS)]);
  }
}
