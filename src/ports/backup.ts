import type { StoreKind } from "../domain/backup-rows.ts";

/** Some rows of one section, as JSON holds them: see domain/backup-rows.ts. */
export interface Rows {
  readonly section: string;
  readonly rows: readonly unknown[];
}

/** All that a store keeps, to be written to a backup. */
export interface BackupSource extends AsyncDisposable {
  readonly kind: StoreKind;
  /**
   * Every row, section by section in their order, a few at a time. What others write meanwhile is in it as docs/backup.md says.
   * Rejects with STORE_UNAVAILABLE where trying again may help.
   */
  rows(): AsyncIterable<Rows>;
}

/** An empty store that takes in what a backup holds, all of it or nothing. */
export interface RestoreTarget extends AsyncDisposable {
  readonly kind: StoreKind;
  /**
   * Begins the restore of this backup, or goes on with one that was cut short.
   * Rejects with STORE_NOT_EMPTY, naming what is there.
   */
  begin(backup: { readonly id: string; readonly startedAtMs: number }): Promise<void>;
  /** In the order of the backup. Resolves to how many of the rows are kept. */
  write(some: Rows): Promise<number>;
  /** Until then nothing of it is served; a target that is closed before has restored nothing. */
  commit(): Promise<void>;
}
