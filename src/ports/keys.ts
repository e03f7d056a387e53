import type { StoredKey } from "../domain/key.ts";

/** Where keys are kept: a file, or a Secret of Kubernetes. */
export interface KeyPlace {
  /** None where there is no such place yet. Rejects with INVALID_KEYS where it holds something else. */
  read(): Promise<readonly StoredKey[]>;
  /**
   * Replaces the keys by what `edit` makes of those of now, whole or not at all, and makes the place where it is not there. Changes at
   * the same time, of other processes too, come one after the other: none is lost. `edit` may be called more than once.
   */
  change(edit: (keys: readonly StoredKey[]) => readonly StoredKey[]): Promise<void>;
}
