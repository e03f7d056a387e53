import type { Erased } from "../domain/erasure.ts";
import type { ProjectionName } from "../domain/projection.ts";

/** What one round has come to. */
export interface Round {
  readonly erased: Erased;
  /** Deliveries that hold the name, or may, and are still in the hands of others: what they come to will be there after this. */
  readonly inHand: number;
  /** How many of these are messages of a later version, which stay as they are. */
  readonly tooNew: number;
}

/** Where the traces of a user are. Each step is safe to cut short and to repeat. */
export interface Erasure extends AsyncDisposable {
  /**
   * Erases what holds the username now, while events go on coming in, and waits up to `waitMs` for deliveries that were in a
   * worker's hands meanwhile. Whatever was accepted before it began, and is not in hand, is erased by it.
   */
  round(username: string, waitMs: number): Promise<Round>;
  /**
   * Takes what was erased out of the raw files, too. Resolves to what is not in its power, in sentences. Rejects with
   * STORE_UNAVAILABLE when others keep it from it for `waitMs`.
   */
  purge(waitMs: number): Promise<readonly string[]>;
  /** The files, or the queues and collections, that hold one of these texts, which are the forms of the name. */
  holding(texts: readonly string[]): Promise<readonly string[]>;
  /** What it means that nothing holds the name, in a sentence. */
  readonly proof: string;
}

/** Whether a store holds some of what a message does to a view, and not all: it must then be applied as it is. */
export type IsBegun = (
  queue: ProjectionName,
  message: { readonly id: string; readonly events: number },
) => Promise<boolean>;

/** Of a broker that is a service of its own. */
export interface QueueErasure extends AsyncDisposable {
  /** As `Erasure.round`, of what waits and what is dead. Rejects with BROKER_UNAVAILABLE where workers are at work for `waitMs`. */
  round(username: string, waitMs: number, isBegun: IsBegun): Promise<Round>;
  /** The queues that held a form of the name when the last round had gone through them. */
  holding(): readonly string[];
}

/** Of a store that is a service of its own. */
export interface ViewErasure extends AsyncDisposable {
  /** Erases a user from the views, and the name from claims. */
  erase(username: string): Promise<Erased>;
  readonly isBegun: IsBegun;
  purge(): Promise<readonly string[]>;
  holding(texts: readonly string[]): Promise<readonly string[]>;
}
