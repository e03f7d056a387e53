import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { addColumns, openDatabase, type Schema } from "./database.ts";

/**
 * A message is kept once, with a row for each queue that has not settled it. `attempt` counts its deliveries so far;
 * `due_at` is 0 for a message never retried, else the instant before which it is not delivered again.
 */
const tables = `
  CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, content_type TEXT NOT NULL, body BLOB NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS delivery (
    seq INTEGER NOT NULL, queue INTEGER NOT NULL, attempt INTEGER NOT NULL, due_at INTEGER NOT NULL,
    PRIMARY KEY (seq, queue)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS delivery_due ON delivery (queue, due_at) WHERE due_at > 0;
  CREATE TABLE IF NOT EXISTS dead_letter (
    queue INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
    dead_at INTEGER NOT NULL, PRIMARY KEY (queue, seq)
  ) STRICT, WITHOUT ROWID;
`;

export const brokerSchema: Schema = { version: 1, sql: tables, mismatch: "BROKER_MISMATCH" };

export function openBrokerDatabase(dataDir: string, cacheKib: number): DatabaseSync {
  const database = openDatabase(join(dataDir, "broker.sqlite"), brokerSchema, cacheKib);
  // An earlier version leaves them alone, and may have the file open beside this one.
  addColumns(database, "message", ["traceparent", "tracestate"]);
  return database;
}

/** Every statement on the queues. */
export function prepareAll(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  const message = "id, content_type, body, traceparent, tracestate";
  return {
    insertMessage: prepare(`INSERT INTO message (${message}) VALUES (?, ?, ?, ?, ?)`),
    insertRepaired: prepare(`
      INSERT INTO message (${message})
      SELECT id, ?2, ?3, traceparent, tracestate FROM message WHERE seq = ?1`),
    insertDelivery: prepare("INSERT INTO delivery (seq, queue, attempt, due_at) VALUES (?, ?, 0, ?)"),
    deleteDelivery: prepare("DELETE FROM delivery WHERE seq = ? AND queue = ?"),
    markDelivered: prepare("UPDATE delivery SET attempt = attempt + 1 WHERE seq = ? AND queue = ?"),
    postpone: prepare("UPDATE delivery SET due_at = ? WHERE seq = ? AND queue = ?"),
    deleteMessage: prepare(`
      DELETE FROM message WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE seq = ?1)
        AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE seq = ?1 AND queue IN (0, 1, 2))`),
    bury: prepare(`
      INSERT INTO dead_letter (queue, seq, reason, attempts, dead_at)
      SELECT queue, seq, ?3, attempt, ?4 FROM delivery WHERE seq = ?1 AND queue = ?2`),
    unbury: prepare("DELETE FROM dead_letter WHERE queue = ? AND seq = ?"),
    drop: prepare("DELETE FROM dead_letter WHERE queue = ? AND seq = ? AND dead_at = ?"),
    selectFresh: prepare(`
      SELECT seq, attempt FROM delivery WHERE queue = ? AND seq > ? AND due_at = 0 ORDER BY seq`),
    selectDue: prepare(`
      SELECT seq, attempt FROM delivery WHERE queue = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at`),
    selectMessage: prepare(`SELECT ${message} FROM message WHERE seq = ?`),
    lastSeq: prepare("SELECT max(seq) AS seq FROM message"),
    countDeliveries: prepare("SELECT count(*) AS n FROM delivery WHERE queue = ?"),
    countDead: prepare("SELECT count(*) AS n FROM dead_letter WHERE queue = ?"),
    selectDead: prepare(`
      SELECT seq, reason, attempts, dead_at, ${message} FROM dead_letter JOIN message USING (seq)
      WHERE queue = ? AND seq > ? ORDER BY seq`),
    fileSize: prepare(`
      SELECT (page_count - freelist_count) * page_size AS bytes
      FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`),
  };
}
