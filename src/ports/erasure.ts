import type { Erased } from "../domain/erasure.ts";

/** What one round has come to. */
export interface Round {
  readonly erased: Erased;
  /** Deliveries that hold the name and were still in a worker's hands at the end: what they come to will be there after this. */
  readonly inHand: number;
}

/** Where the traces of a user are. Each step is safe to cut short and to repeat. */
export interface Erasure extends AsyncDisposable {
  /**
   * Erases what holds the username now, while processes go on, and waits up to `waitMs` for deliveries that were in a worker's
   * hands meanwhile. Whatever was accepted before it began, and is not in hand, is erased by it.
   */
  round(username: string, waitMs: number): Promise<Round>;
  /** Takes what was erased out of the raw files, too. Rejects with STORE_UNAVAILABLE when others keep it from it for `waitMs`. */
  purge(waitMs: number): Promise<void>;
  /** The files that hold one of these texts, wherever it stands in them. */
  filesHolding(texts: readonly string[]): Promise<readonly string[]>;
}
