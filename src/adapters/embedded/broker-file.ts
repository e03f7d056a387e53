import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Message } from "../../domain/envelope.ts";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import { traceContextOf } from "../../domain/trace-context.ts";
import { MillraceError } from "../../errors.ts";
import type { Backlog, DeadLetter, Drop, Outcome, Replay } from "../../ports/broker.ts";
import { openBrokerDatabase, prepareAll } from "./broker-schema.ts";

export interface BrokerFileSettings {
  readonly dataDir: string;
  readonly backlogMaxBytes: number;
}

/** What is due to the consumer of a queue. */
export interface Pushed {
  readonly queue: ProjectionName;
  readonly deliveries: readonly {
    readonly seq: number;
    readonly attempt: number;
    readonly message: Message;
  }[];
}

/** The one consumer of a queue: in memory, since a crash makes every delivery waiting again. */
interface Subscriber {
  prefetch: number;
  /** Body size of each unsettled delivery by its seq. */
  readonly unsettled: Map<number, number>;
  /** Every message up to here was delivered, or is not for this queue, since this consumer started. */
  cursor: number;
}

/** A consumer with this many bytes unsettled gets no more, whatever its prefetch: messages differ in size a thousandfold. */
const UNSETTLED_MAX_BYTES = 256 * 1024;
/** A page of dead letters ends once it has as many of them, or as many bytes: their bodies cross to another thread whole. */
const PAGE_MAX_LETTERS = 200;
const PAGE_MAX_BYTES = 1024 * 1024;
const CACHE_KIB = 2048;

type Row = Readonly<Record<string, unknown>>;
const indexOf = (queue: ProjectionName): number => projectionNames.indexOf(queue);
const messageOf = (row: Row): Message => ({
  id: String(row["id"]),
  contentType: String(row["content_type"]),
  body: row["body"] as Uint8Array,
  trace: traceContextOf(row["traceparent"], row["tracestate"]),
});

const deadLetterOf = (queue: ProjectionName, row: Row): DeadLetter => ({
  id: String(row["seq"]),
  queue,
  message: messageOf(row),
  reason: String(row["reason"]),
  attempts: Number(row["attempts"]),
  deadAtMs: Number(row["dead_at"]),
});

/** The queues in their file, as one process sees them. Runs in a thread: see serve.ts for its transactions. */
export class BrokerFile {
  readonly database: DatabaseSync;
  readonly mode = "write";
  readonly code = "BROKER_UNAVAILABLE";
  /** A retry may be due, or another process have published, while no call arrives. */
  readonly rideEveryMs = 25;
  readonly #settings: BrokerFileSettings;
  readonly #sql: ReturnType<typeof prepareAll>;
  readonly #subscribers = new Map<ProjectionName, Subscriber>();
  readonly #locks = new Map<ProjectionName, DatabaseSync>();
  /** Messages of the transaction under way: those due to several queues are read once, and cross to their thread once. */
  readonly #atHand = new Map<number, Message>();
  /** Settled in the transaction under way; forgotten by memory once it is committed. */
  #settled: (readonly [ProjectionName, number])[] = [];

  constructor(settings: BrokerFileSettings) {
    this.#settings = settings;
    this.database = openBrokerDatabase(settings.dataDir, CACHE_KIB);
    this.#sql = prepareAll(this.database);
  }

  publish(message: Message): void {
    this.ready();
    const { id, contentType, body, trace } = message;
    const { traceparent = null, tracestate = null } = trace ?? {};
    const inserted = this.#sql.insertMessage.run(id, contentType, body, traceparent, tracestate);
    const seq = Number(inserted.lastInsertRowid);
    for (const queue of projectionNames.keys()) this.#sql.insertDelivery.run(seq, queue, 0);
    this.#atHand.set(seq, message);
  }

  /** @throws MillraceError BROKER_FULL. */
  ready(): void {
    const { backlogMaxBytes } = this.#settings;
    if (Number(this.#sql.fileSize.get()?.["bytes"]) <= backlogMaxBytes) return;
    throw new MillraceError("BROKER_FULL", `its file holds more than ${backlogMaxBytes} bytes`);
  }

  /** False while a consumer of another process has the queue. */
  subscribe(queue: ProjectionName, prefetch: number): boolean {
    if (!this.#lock(queue)) return false;
    this.#subscribers.set(queue, { prefetch, unsettled: new Map(), cursor: 0 });
    return true;
  }

  /** Delivers no more. */
  pause(queue: ProjectionName): void {
    const subscriber = this.#subscribers.get(queue);
    if (subscriber !== undefined) subscriber.prefetch = 0;
  }

  /** What is unsettled is waiting again. */
  unsubscribe(queue: ProjectionName): void {
    this.#subscribers.delete(queue);
    this.#locks.get(queue)?.close();
    this.#locks.delete(queue);
  }

  settle(queue: ProjectionName, seq: number, outcome: Outcome): void {
    const index = indexOf(queue);
    if (outcome.kind === "retry") {
      this.#sql.postpone.run(Math.max(1, Date.now() + outcome.afterMs), seq, index);
    } else {
      if (outcome.kind === "deadLetter") this.#sql.bury.run(seq, index, outcome.reason, Date.now());
      this.#sql.deleteDelivery.run(seq, index);
      this.#sql.deleteMessage.run(seq);
    }
    this.#settled.push([queue, seq]);
  }

  backlog(queue: ProjectionName): Backlog {
    const all = Number(this.#sql.countDeliveries.get(indexOf(queue))?.["n"]);
    const unsettled = Math.min(all, this.#subscribers.get(queue)?.unsettled.size ?? 0);
    const deadLetters = Number(this.#sql.countDead.get(indexOf(queue))?.["n"]);
    return { ready: all - unsettled, unsettled, deadLetters };
  }

  /** Those after the letter of this id, oldest first, a page of them; none only where there are no more. */
  listDead(queue: ProjectionName, after: string | undefined): readonly DeadLetter[] {
    const page: DeadLetter[] = [];
    let bytes = 0;
    for (const row of this.#sql.selectDead.iterate(indexOf(queue), Number(after ?? 0))) {
      const letter = deadLetterOf(queue, row);
      page.push(letter);
      bytes += letter.message.body.byteLength;
      if (page.length >= PAGE_MAX_LETTERS || bytes >= PAGE_MAX_BYTES) break;
    }
    return page;
  }

  replayDead(queue: ProjectionName, letters: readonly Replay[]): number {
    const index = indexOf(queue);
    const there = letters.filter(({ id }) => this.#unbury(index, id));
    for (const { id, repaired } of there) {
      const seq = Number(id);
      if (repaired === undefined) {
        this.#sql.insertDelivery.run(seq, index, 1);
        continue;
      }
      // Other queues may still need the body as it was: the repaired one is a message of its own, for this queue alone.
      const { contentType, body } = repaired;
      const own = Number(this.#sql.insertRepaired.run(seq, contentType, body).lastInsertRowid);
      this.#sql.insertDelivery.run(own, index, 1);
      this.#sql.deleteMessage.run(seq);
    }
    return there.length;
  }

  dropDead(queue: ProjectionName, letters: readonly Drop[]): number {
    const index = indexOf(queue);
    const there = letters.filter(
      ({ id, deadAtMs }) => this.#sql.drop.run(index, Number(id), deadAtMs).changes === 1,
    );
    for (const { id } of there) this.#sql.deleteMessage.run(Number(id));
    return there.length;
  }

  /** Delivers what is due up to each prefetch, and counts the delivery in the same commit as what made it due. */
  ride(): () => readonly Pushed[] {
    const gone = this.#settled;
    this.#settled = [];
    const batches = Array.from(this.#subscribers, ([queue, subscriber]) => {
      const unsettled = new Map(subscriber.unsettled);
      for (const [from, seq] of gone) if (from === queue) unsettled.delete(seq);
      return { queue, subscriber, ...this.#due(queue, subscriber.cursor, unsettled, subscriber.prefetch) };
    });
    this.#atHand.clear();
    return () => {
      for (const [queue, seq] of gone) this.#subscribers.get(queue)?.unsettled.delete(seq);
      for (const { subscriber, cursor, deliveries } of batches) {
        subscriber.cursor = cursor;
        for (const { seq, message } of deliveries) subscriber.unsettled.set(seq, message.body.byteLength);
      }
      return batches
        .filter(({ deliveries }) => deliveries.length > 0)
        .map(({ queue, deliveries }) => ({ queue, deliveries }));
    };
  }

  bytesOf(pushed: readonly Pushed[]): readonly ArrayBuffer[] {
    const buffers = pushed.flatMap(({ deliveries }) => deliveries.map(({ message }) => message.body.buffer));
    return Array.from(new Set(buffers)).filter((buffer) => buffer instanceof ArrayBuffer);
  }

  rolledBack(): void {
    this.#settled = [];
    this.#atHand.clear();
  }

  close(): void {
    for (const queue of this.#locks.keys()) this.unsubscribe(queue);
    this.database.close();
  }

  /** False where there is no such letter. */
  #unbury(index: number, id: string): boolean {
    return this.#sql.unbury.run(index, Number(id)).changes === 1;
  }

  /**
   * One consumer a queue on this machine: an exclusive lock on a file, which the system drops when its process dies. Within
   * a process broker.ts asks for a queue once at a time.
   */
  #lock(queue: ProjectionName): boolean {
    if (this.#locks.has(queue)) return true;
    const file = new DatabaseSync(join(this.#settings.dataDir, `${queue}.lock`), { timeout: 0 });
    try {
      file.exec("BEGIN EXCLUSIVE");
    } catch {
      file.close();
      return false;
    }
    this.#locks.set(queue, file);
    return true;
  }

  /** `unsettled` is what the queue's consumer will hold once the transaction under way is committed. */
  #due(queue: ProjectionName, from: number, unsettled: ReadonlyMap<number, number>, prefetch: number) {
    const deliveries: Pushed["deliveries"][number][] = [];
    let cursor = from;
    let bytes = unsettled.values().reduce((sum, size) => sum + size, 0);
    const room = () =>
      deliveries.length + unsettled.size < prefetch && (bytes === 0 || bytes < UNSETTLED_MAX_BYTES);
    const deliver = (row: Row) => {
      const seq = Number(row["seq"]);
      const message = this.#atHand.get(seq) ?? messageOf(this.#sql.selectMessage.get(seq) ?? {});
      this.#atHand.set(seq, message);
      bytes += message.body.byteLength;
      deliveries.push({ seq, attempt: Number(row["attempt"]) + 1, message });
    };
    if (room()) {
      for (const row of this.#sql.selectDue.iterate(indexOf(queue), Date.now())) {
        if (!unsettled.has(Number(row["seq"]))) deliver(row);
        if (!room()) break;
      }
    }
    if (room()) {
      const last = Number(this.#sql.lastSeq.get()?.["seq"] ?? 0);
      for (const row of this.#sql.selectFresh.iterate(indexOf(queue), cursor)) {
        deliver(row);
        cursor = Number(row["seq"]);
        if (!room()) break;
      }
      // All seen: the next look starts behind rows that belong to other, slower queues.
      if (room()) cursor = Math.max(cursor, last);
    }
    for (const { seq } of deliveries) this.#sql.markDelivered.run(seq, indexOf(queue));
    return { deliveries, cursor };
  }
}
