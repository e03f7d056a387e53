import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openDatabase, type Schema } from "./database.ts";

/**
 * Each change is one transaction, so the views are kept as they are read, and `applied` makes a change once. `period` is a
 * day (YYYY-MM-DD) or a month (YYYY-MM). `hourly_log` is ordered by time first: what is written together lies together.
 * `hourly_total` is the same summed over users. `applied` and `claim` are emptied in the order of their rowids.
 * `erasure` counts the erasures: see store-erasure.ts, also for claims whose event id is a digest.
 */
const tables = `
  CREATE TABLE IF NOT EXISTS account (
    username TEXT PRIMARY KEY, first_seen INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS account_first_seen ON account (first_seen, username);
  CREATE TABLE IF NOT EXISTS distinct_name (
    period TEXT NOT NULL, metric TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (period, metric)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS hourly_log (
    second INTEGER NOT NULL, metric TEXT NOT NULL, username TEXT NOT NULL,
    minimum INTEGER NOT NULL, maximum INTEGER NOT NULL, sum_high INTEGER NOT NULL, sum_low INTEGER NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (second, metric, username)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS hourly_total (
    second INTEGER NOT NULL, metric TEXT NOT NULL,
    minimum INTEGER NOT NULL, maximum INTEGER NOT NULL, sum_high INTEGER NOT NULL, sum_low INTEGER NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (second, metric)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS applied (
    message_id TEXT NOT NULL, projection INTEGER NOT NULL, at INTEGER NOT NULL, UNIQUE (message_id, projection)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS claim (
    event_id TEXT NOT NULL, projection INTEGER NOT NULL, message_id TEXT NOT NULL, at INTEGER NOT NULL,
    UNIQUE (event_id, projection)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS lease (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS erasure (id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT;
  INSERT INTO erasure VALUES (1, 0) ON CONFLICT DO NOTHING;
`;

export const storeSchema: Schema = { version: 1, sql: tables, mismatch: "STORE_MISMATCH" };

export function openStoreDatabase(dataDir: string, cacheKib: number): DatabaseSync {
  return openDatabase(join(dataDir, "store.sqlite"), storeSchema, cacheKib);
}
