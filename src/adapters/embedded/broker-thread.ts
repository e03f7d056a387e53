import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { workerData } from "node:worker_threads";
import type { Message } from "../../domain/envelope.ts";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import { MillraceError } from "../../errors.ts";
import type { Backlog, DeadLetter, Outcome } from "../../ports/broker.ts";
import { openDatabase } from "./database.ts";
import { serve } from "./serve.ts";

export interface BrokerThreadData {
  readonly dataDir: string;
  readonly backlogMaxBytes: number;
}

/** What the thread pushes to the consumer of a queue. */
export interface Pushed {
  readonly queue: ProjectionName;
  readonly deliveries: readonly {
    readonly seq: number;
    readonly attempt: number;
    readonly message: Message;
  }[];
}

/**
 * A message is kept once, with a row for each queue that has not settled it. `attempt` counts its deliveries so far;
 * `due_at` is 0 for a message never retried, else the instant before which it is not delivered again.
 */
const schema = `
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

const data = workerData as BrokerThreadData;
const database = openDatabase(join(data.dataDir, "broker.sqlite"), schema);
const prepare = (sql: string): StatementSync => database.prepare(sql);

const insertMessage = prepare("INSERT INTO message (id, content_type, body) VALUES (?, ?, ?)");
const insertDelivery = prepare("INSERT INTO delivery (seq, queue, attempt, due_at) VALUES (?, ?, 0, ?)");
const deleteDelivery = prepare("DELETE FROM delivery WHERE seq = ? AND queue = ?");
const markDelivered = prepare("UPDATE delivery SET attempt = attempt + 1 WHERE seq = ? AND queue = ?");
const postpone = prepare("UPDATE delivery SET due_at = ? WHERE seq = ? AND queue = ?");
const deleteMessage = prepare(`
  DELETE FROM message WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE seq = ?1)
    AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE seq = ?1 AND queue IN (0, 1, 2))`);
const bury = prepare(`
  INSERT INTO dead_letter (queue, seq, reason, attempts, dead_at)
  SELECT queue, seq, ?3, attempt, ?4 FROM delivery WHERE seq = ?1 AND queue = ?2`);
const unbury = prepare("DELETE FROM dead_letter WHERE queue = ? AND seq = ?");
const selectFresh = prepare(`
  SELECT seq, attempt, id, content_type, body FROM delivery JOIN message USING (seq)
  WHERE queue = ? AND seq > ? AND due_at = 0 ORDER BY seq`);
const selectDue = prepare(`
  SELECT seq, attempt, id, content_type, body FROM delivery JOIN message USING (seq)
  WHERE queue = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at`);
const lastSeq = prepare("SELECT max(seq) AS seq FROM message");
const countDeliveries = prepare("SELECT count(*) AS n FROM delivery WHERE queue = ?");
const countDead = prepare("SELECT count(*) AS n FROM dead_letter WHERE queue = ?");
const selectDead = prepare(`
  SELECT seq, reason, attempts, dead_at, id, content_type, body FROM dead_letter JOIN message USING (seq)
  WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?`);
const fileSize = prepare(`
  SELECT (page_count - freelist_count) * page_size AS bytes
  FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`);

/** The one consumer of a queue: in memory, since a crash makes every delivery waiting again. */
interface Subscriber {
  prefetch: number;
  /** Body size of each unsettled delivery by its seq. */
  readonly unsettled: Map<number, number>;
  /** Every message up to here was delivered, or is not for this queue, since this consumer started. */
  cursor: number;
}
const subscribers = new Map<ProjectionName, Subscriber>();
const locks = new Map<ProjectionName, DatabaseSync>();
/** A consumer with this many bytes unsettled gets no more, whatever its prefetch: messages differ in size a thousandfold. */
const UNSETTLED_MAX_BYTES = 2 * 1024 * 1024;
const indexOf = (queue: ProjectionName): number => projectionNames.indexOf(queue);

const operations = {
  publish({ id, contentType, body }: Message): void {
    if (Number(fileSize.get()?.["bytes"]) > data.backlogMaxBytes) {
      throw new MillraceError("BROKER_FULL", `its file holds more than ${data.backlogMaxBytes} bytes`);
    }
    const seq = Number(insertMessage.run(id, contentType, body).lastInsertRowid);
    for (const queue of projectionNames.keys()) insertDelivery.run(seq, queue, 0);
  },

  /** False while another consumer, of this process or another, has the queue. */
  subscribe(queue: ProjectionName, prefetch: number): boolean {
    if (!lock(queue)) return false;
    subscribers.set(queue, { prefetch, unsettled: new Map(), cursor: 0 });
    return true;
  },

  /** Delivers no more. */
  pause(queue: ProjectionName): void {
    const subscriber = subscribers.get(queue);
    if (subscriber !== undefined) subscriber.prefetch = 0;
  },

  /** What is unsettled is waiting again. */
  unsubscribe(queue: ProjectionName): void {
    subscribers.delete(queue);
    locks.get(queue)?.close();
    locks.delete(queue);
  },

  settle(queue: ProjectionName, seq: number, outcome: Outcome): void {
    const index = indexOf(queue);
    if (outcome.kind === "retry") {
      postpone.run(Math.max(1, Date.now() + outcome.afterMs), seq, index);
    } else {
      if (outcome.kind === "deadLetter") bury.run(seq, index, outcome.reason, Date.now());
      deleteDelivery.run(seq, index);
      deleteMessage.run(seq);
    }
    settled.push([queue, seq]);
  },

  backlog(queue: ProjectionName): Backlog {
    const all = Number(countDeliveries.get(indexOf(queue))?.["n"]);
    const unsettled = Math.min(all, subscribers.get(queue)?.unsettled.size ?? 0);
    return { ready: all - unsettled, unsettled, deadLetters: Number(countDead.get(indexOf(queue))?.["n"]) };
  },

  listDead(queue: ProjectionName, limit: number, after: string | undefined): readonly DeadLetter[] {
    return selectDead.all(indexOf(queue), Number(after ?? 0), limit).map((row) => ({
      id: String(row["seq"]),
      queue,
      message: messageOf(row),
      reason: String(row["reason"]),
      attempts: Number(row["attempts"]),
      deadAtMs: Number(row["dead_at"]),
    }));
  },

  replayDead(queue: ProjectionName, ids: readonly string[]): number {
    return forEachDead(queue, ids, (seq) => insertDelivery.run(seq, indexOf(queue), 1));
  },

  dropDead(queue: ProjectionName, ids: readonly string[]): number {
    return forEachDead(queue, ids, (seq) => deleteMessage.run(seq));
  },

  ready(): void {
    if (Number(fileSize.get()?.["bytes"]) > data.backlogMaxBytes) throw new MillraceError("BROKER_FULL");
  },
};
export type BrokerOperations = typeof operations;

function forEachDead(queue: ProjectionName, ids: readonly string[], then: (seq: number) => void): number {
  let moved = 0;
  for (const id of ids) {
    if (unbury.run(indexOf(queue), Number(id)).changes === 0) continue;
    then(Number(id));
    moved += 1;
  }
  return moved;
}

type Row = Readonly<Record<string, unknown>>;
function messageOf(row: Row): Message {
  return { id: String(row["id"]), contentType: String(row["content_type"]), body: row["body"] as Uint8Array };
}

/**
 * One consumer a queue on this machine: an exclusive lock on a file, which the system drops when its process dies. Within
 * a process broker.ts asks for a queue once at a time.
 */
function lock(queue: ProjectionName): boolean {
  if (locks.has(queue)) return true;
  const file = new DatabaseSync(join(data.dataDir, `${queue}.lock`), { timeout: 0 });
  try {
    file.exec("BEGIN EXCLUSIVE");
  } catch {
    file.close();
    return false;
  }
  locks.set(queue, file);
  return true;
}

/** Settled in the transaction under way; forgotten by memory once it is committed. */
let settled: [ProjectionName, number][] = [];

interface Batch extends Pushed {
  readonly subscriber: Subscriber;
  readonly cursor: number;
}

/** Delivers what is due up to each prefetch, and counts the delivery in the same commit as what made it due. */
function dispatch(): () => readonly Pushed[] {
  const gone = settled;
  settled = [];
  const batches = Array.from(subscribers, ([queue, subscriber]) => {
    const free = new Map(subscriber.unsettled);
    for (const [from, seq] of gone) if (from === queue) free.delete(seq);
    return due(queue, subscriber, free);
  });
  return () => {
    for (const [queue, seq] of gone) subscribers.get(queue)?.unsettled.delete(seq);
    for (const { subscriber, cursor, deliveries } of batches) {
      subscriber.cursor = cursor;
      for (const { seq, message } of deliveries) subscriber.unsettled.set(seq, message.body.byteLength);
    }
    return batches
      .filter(({ deliveries }) => deliveries.length > 0)
      .map(({ queue, deliveries }) => ({ queue, deliveries }));
  };
}

/** `unsettled` is what this queue's consumer will hold once the transaction under way is committed. */
function due(queue: ProjectionName, subscriber: Subscriber, unsettled: ReadonlyMap<number, number>): Batch {
  const deliveries: Pushed["deliveries"][number][] = [];
  let bytes = unsettled.values().reduce((sum, size) => sum + size, 0);
  const room = () =>
    deliveries.length + unsettled.size < subscriber.prefetch && (bytes === 0 || bytes < UNSETTLED_MAX_BYTES);
  const deliver = (row: Row) => {
    const message = messageOf(row);
    bytes += message.body.byteLength;
    deliveries.push({ seq: Number(row["seq"]), attempt: Number(row["attempt"]) + 1, message });
  };
  let { cursor } = subscriber;
  if (room()) {
    for (const row of selectDue.iterate(indexOf(queue), Date.now())) {
      if (!unsettled.has(Number(row["seq"]))) deliver(row);
      if (!room()) break;
    }
  }
  if (room()) {
    const last = Number(lastSeq.get()?.["seq"] ?? 0);
    for (const row of selectFresh.iterate(indexOf(queue), cursor)) {
      deliver(row);
      cursor = Number(row["seq"]);
      if (!room()) break;
    }
    // All seen: the next look starts behind rows that belong to other, slower queues.
    if (room()) cursor = Math.max(cursor, last);
  }
  for (const { seq } of deliveries) markDelivered.run(seq, indexOf(queue));
  return { queue, deliveries, subscriber, cursor };
}

serve({
  database,
  mode: "write",
  operations,
  code: "BROKER_UNAVAILABLE",
  ride: dispatch,
  rolledBack: () => {
    settled = [];
  },
  rideEveryMs: 25,
  close: () => {
    for (const queue of locks.keys()) operations.unsubscribe(queue);
  },
});
