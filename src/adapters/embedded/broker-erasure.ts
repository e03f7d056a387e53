import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Message } from "../../domain/envelope.ts";
import {
  ERASED_REASON,
  type Erased,
  formsOf,
  holdsName,
  nothingErased,
  withoutUser,
} from "../../domain/erasure.ts";
import { projectionNames } from "../../domain/projection.ts";

/** A delivery of a message that has been rewritten, as it was then: a worker may have the message of before. */
export interface InHand {
  readonly seq: number;
  readonly queue: number;
  readonly attempt: number;
  readonly dueAt: number;
}
type Row = Readonly<Record<string, unknown>>;

/** Messages are read so many at a time: one may have megabytes. */
const PAGE = 16;

function prepareAll(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  const message = "seq, id, content_type, body, tracestate";
  return {
    page: prepare(`SELECT ${message} FROM message WHERE seq > ? ORDER BY seq LIMIT ${PAGE}`),
    message: prepare(`SELECT ${message} FROM message WHERE seq = ?`),
    rewrite: prepare("UPDATE message SET content_type = ?, body = ?, tracestate = ? WHERE seq = ?"),
    deliveries: prepare("SELECT seq, queue, attempt, due_at FROM delivery WHERE seq = ?"),
    delivery: prepare("SELECT attempt, due_at FROM delivery WHERE seq = ? AND queue = ?"),
    dropDeliveries: prepare("DELETE FROM delivery WHERE seq = ?"),
    dropLetters: prepare("DELETE FROM dead_letter WHERE seq = ?"),
    dropMessage: prepare(
      "DELETE FROM message WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE seq = ?1)",
    ),
    reasons: prepare("SELECT queue, seq, reason FROM dead_letter"),
    setReason: prepare("UPDATE dead_letter SET reason = ? WHERE queue = ? AND seq = ?"),
  };
}

/** Erases a user from the queues and dead letters of the broker's file. */
export class BrokerErasure {
  readonly #database: DatabaseSync;
  readonly #dataDir: string;
  readonly #sql: ReturnType<typeof prepareAll>;

  constructor(database: DatabaseSync, dataDir: string) {
    this.#database = database;
    this.#dataDir = dataDir;
    this.#sql = prepareAll(database);
  }

  /** Message by message: those who publish and settle get their turn in between. */
  erase(username: string): {
    readonly erased: Erased;
    readonly inHand: readonly InHand[];
    readonly tooNew: number;
  } {
    let tooNew = 0;
    const erased = { ...nothingErased };
    const inHand: InHand[] = [];
    for (let after = 0, page = this.#sql.page.all(after); page.length > 0; page = this.#sql.page.all(after)) {
      after = Number(page.at(-1)?.["seq"]);
      const kinds = page.map((row) => withoutUser(messageOf(row), username).kind);
      tooNew += kinds.filter((kind) => kind === "too new").length;
      const found = page.filter((_, index) => kinds[index] === "less" || kinds[index] === "unreadable");
      if (found.length === 0) continue;
      this.#transaction(() => {
        for (const { seq } of found) inHand.push(...this.#eraseFrom(Number(seq), username, erased));
      });
    }
    this.#transaction(() => this.#eraseReasons(username, erased));
    return { erased, inHand, tooNew };
  }

  /** Those of them that a worker may still be at work on. */
  stillInHand(deliveries: readonly InHand[]): readonly InHand[] {
    const unsettled = deliveries.filter(({ seq, queue, attempt, dueAt }) => {
      const row = this.#sql.delivery.get(seq, queue);
      return row !== undefined && row["attempt"] === attempt && row["due_at"] === dueAt;
    });
    if (unsettled.length === 0) return [];
    const queues = new Set(unsettled.map(({ queue }) => queue));
    const idle = new Set(Array.from(queues).filter((queue) => !this.#hasConsumer(queue)));
    return unsettled.filter(({ queue }) => !idle.has(queue));
  }

  /** Answers the deliveries that may be in hand. Another process may have settled the message since it was found. */
  #eraseFrom(seq: number, username: string, erased: Record<keyof Erased, number>): readonly InHand[] {
    const row = this.#sql.message.get(seq);
    if (row === undefined) return [];
    const without = withoutUser(messageOf(row), username);
    if (without.kind === "as it was" || without.kind === "too new") return [];
    if (without.kind === "unreadable") {
      // None will ever be applied, whatever a worker has in hand.
      const { changes } = this.#sql.dropLetters.run(seq);
      erased.unreadable += Number(changes) + Number(this.#sql.dropDeliveries.run(seq).changes);
      this.#sql.dropMessage.run(seq);
      return [];
    }
    const { message, taken, left } = without;
    const { contentType, body } = message;
    const tracestate = typeof row["tracestate"] === "string" ? row["tracestate"] : null;
    const keptState = tracestate?.includes(username) === true ? null : tracestate;
    erased.events += taken;
    // Kept while it is due, even if it is empty: that it is settled shows that nobody has the message of before.
    this.#sql.rewrite.run(contentType, body, keptState, seq);
    if (left === 0) {
      erased.deadLetters += Number(this.#sql.dropLetters.run(seq).changes);
      this.#sql.dropMessage.run(seq);
    }
    return this.#sql.deliveries
      .all(seq)
      .map(inHandOf)
      .filter(({ attempt }) => attempt > 0);
  }

  #eraseReasons(username: string, erased: Record<keyof Erased, number>): void {
    const forms = formsOf(username);
    const holding = this.#sql.reasons
      .all()
      .filter(
        ({ reason }) => reason !== ERASED_REASON && forms.some((form) => holdsName(String(reason), form)),
      );
    for (const { queue, seq } of holding) this.#sql.setReason.run(ERASED_REASON, Number(queue), Number(seq));
    erased.deadLetters += holding.length;
  }

  /** Whether a process consumes the queue: it then holds this lock. One that asks for it just now asks again. */
  #hasConsumer(queue: number): boolean {
    const path = join(this.#dataDir, `${projectionNames[queue] ?? ""}.lock`);
    if (!existsSync(path)) return false;
    const file = new DatabaseSync(path, { timeout: 0 });
    try {
      file.exec("BEGIN EXCLUSIVE");
      return false;
    } catch {
      return true;
    } finally {
      file.close();
    }
  }

  #transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}

const messageOf = (row: Row): Message => ({
  id: String(row["id"]),
  contentType: String(row["content_type"]),
  body: row["body"] as Uint8Array,
});
const inHandOf = (row: Row): InHand => ({
  seq: Number(row["seq"]),
  queue: Number(row["queue"]),
  attempt: Number(row["attempt"]),
  dueAt: Number(row["due_at"]),
});
