import type { Message } from "../domain/envelope.ts";
import type { ProjectionName } from "../domain/projection.ts";

/** Exactly one of these ends a delivery. */
export type Outcome =
  | { readonly kind: "ack" }
  | { readonly kind: "retry"; readonly afterMs: number }
  | { readonly kind: "deadLetter"; readonly reason: string };

export interface Publisher {
  /**
   * Resolves once every queue has the message durably (the publisher confirm). Rejects with PUBLISH_UNCONFIRMED,
   * BROKER_UNAVAILABLE or BROKER_FULL; after the first two the message may exist, and publishing it again under the same
   * id is harmless.
   */
  publish(message: Message): Promise<void>;
}

export interface Delivery {
  readonly message: Message;
  /** 1 at first, one more after each retry and each delivery that a crash cut short; survives restarts. */
  readonly attempt: number;
  /** Resolves when the broker has been told; a settlement that a crash undoes leads to a redelivery. */
  settle(outcome: Outcome): Promise<void>;
}

export interface Subscription {
  readonly queue: ProjectionName;
  /** At most this many unsettled deliveries at a time. */
  readonly prefetch: number;
  readonly stop: AbortSignal;
}

export interface Consumer {
  /**
   * Calls `take` for each delivery, oldest first, without waiting for the last one to settle. A delivery that `take` leaves
   * unsettled is redelivered once this consumer has ended. Outlives reconnects. Ends after `stop`, once every `take` has
   * returned; rejects when it cannot go on.
   */
  consume(from: Subscription, take: (delivery: Delivery) => Promise<void>): Promise<void>;
}

/** Messages in a queue: waiting (for a worker, or for the end of a retry's delay), and delivered but not settled. */
export interface Backlog {
  readonly ready: number;
  readonly unsettled: number;
  readonly deadLetters: number;
}

export interface DeadLetter {
  /** Names this dead letter in `replay` and `drop`. */
  readonly id: string;
  readonly queue: ProjectionName;
  readonly message: Message;
  readonly reason: string;
  readonly attempts: number;
  /** When it was dead-lettered, in milliseconds since 1970. */
  readonly deadAtMs: number;
}

/**
 * Which dead letter to delete. An id may be that of several, as of a message that died again after it was replayed: the time
 * tells them apart.
 */
export type Drop = Pick<DeadLetter, "id" | "deadAtMs">;

/** A dead letter to put back: as it was, or as `repaired` under the message id that it had. */
export interface Replay {
  readonly id: string;
  readonly repaired: Pick<Message, "contentType" | "body"> | undefined;
}

export interface DeadLetters {
  /** Oldest first. Leaves them where they are; a reader beside this one may not see them until it has ended. */
  list(queue: ProjectionName): AsyncIterable<DeadLetter>;
  /** Puts them back into their queue as attempt 1. Resolves to how many; an id that is not there is passed over. */
  replay(queue: ProjectionName, letters: readonly Replay[]): Promise<number>;
  /** Deletes them for good, and never more than are given. Resolves to how many; one that is not there is passed over. */
  drop(queue: ProjectionName, letters: readonly Drop[]): Promise<number>;
}

export interface Broker extends Publisher, Consumer, AsyncDisposable {
  readonly deadLetters: DeadLetters;
  /** May be some seconds old. Rejects with BROKER_UNAVAILABLE. */
  backlog(queue: ProjectionName): Promise<Backlog>;
  /** Resolves when the broker can take a message now; rejects with the reason why not. */
  ready(): Promise<void>;
  /**
   * Rejects once the broker is closed or has failed for good, such as with BROKER_MISMATCH: a process that needs it must then
   * end. Never resolves.
   */
  readonly ended: Promise<never>;
}
