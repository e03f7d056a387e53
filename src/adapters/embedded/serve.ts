import type { DatabaseSync } from "node:sqlite";
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { asMillraceError, type ErrorCode, MillraceError } from "../../errors.ts";

export interface Call {
  readonly id: number;
  readonly operation: string;
  readonly args: readonly unknown[];
}
export interface Answer {
  readonly replies: readonly Reply[];
  readonly pushed: readonly unknown[];
}
type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly code: ErrorCode; readonly detail: string | undefined };

/** What a database thread serves; its other methods are the operations that it can be called for. */
export interface Service {
  readonly database: DatabaseSync;
  /** A reader sees one state of the database in all calls of a transaction, and never waits for a writer. */
  readonly mode: "write" | "read";
  /** The error of an operation that failed for an unforeseen reason, such as a full disk: later it may succeed. */
  readonly code: ErrorCode;
  /** The error of an operation whose values the database will never take; `code` where there is none. */
  readonly refusal?: ErrorCode;
  /** Work that rides in the transaction after the calls; what it answers runs once that is committed, and gives pushes. */
  ride?(): () => readonly unknown[];
  /** The bytes within what is pushed: they move to the other thread, where a copy would leave them here as garbage. */
  bytesOf?(pushed: readonly unknown[]): readonly ArrayBuffer[];
  /** Runs when the transaction was rolled back, to forget what its calls left in memory. */
  rolledBack?(): void;
  /** `ride` runs this often even when no call arrives, in milliseconds. */
  readonly rideEveryMs?: number;
  close(): void;
}

/** No more posts are taken in once this many calls share a commit: it bounds the wait of the first, in the worst case. */
const MAX_CALLS_A_COMMIT = 512;

/** Serves calls until told to close. The calls that arrived during one commit share the next (group commit). */
export function serve(service: Service, port: MessagePort): void {
  const post = (answer: Answer) => {
    if (answer.replies.length === 0 && answer.pushed.length === 0) return;
    port.postMessage(answer, [...(service.bytesOf?.(answer.pushed) ?? [])]);
  };
  const timer =
    service.rideEveryMs === undefined
      ? undefined
      : setInterval(() => post({ replies: [], pushed: ridden(service) }), service.rideEveryMs);
  port.on("message", (first: readonly Call[] | "close") => {
    const calls: Call[] = [];
    let next: readonly Call[] | "close" | undefined = first;
    while (next !== undefined && next !== "close") {
      calls.push(...next);
      next = calls.length < MAX_CALLS_A_COMMIT ? receiveMessageOnPort(port)?.message : undefined;
    }
    if (calls.length > 0) post(answered(service, calls));
    for (const call of calls) for (const arg of call.args) release(arg);
    if (next !== "close") return;
    clearInterval(timer);
    service.close();
    port.close();
  });
}

/** Frees the bytes of a message now: the collector would see only a small object, and let megabytes of them wait. */
function release(arg: unknown): void {
  if (typeof arg !== "object" || arg === null || !("body" in arg) || !(arg.body instanceof Uint8Array))
    return;
  const { buffer } = arg.body;
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** All calls in one transaction; if that fails, each in its own, so that one bad call cannot fail the rest. */
function answered(service: Service, calls: readonly Call[]): Answer {
  try {
    return transaction(service, () => {
      const replies = calls.map((call) => reply(service, call));
      return { replies, pushes: service.ride?.() };
    });
  } catch {
    const replies = calls.map((call) => alone(service, call));
    return { replies, pushed: ridden(service) };
  }
}

function alone(service: Service, call: Call): Reply {
  try {
    return transaction(service, () => ({ replies: [reply(service, call)], pushes: undefined }))
      .replies[0] as Reply;
  } catch (thrown) {
    const error = asMillraceError(thrown, (isRefusal(thrown) ? service.refusal : undefined) ?? service.code);
    return { id: call.id, code: error.code, detail: error.detail };
  }
}

/** SQLITE_TOOBIG, _CONSTRAINT, _MISMATCH and _RANGE (https://www.sqlite.org/rescode.html), and values that cannot be bound. */
const REFUSALS: readonly unknown[] = [18, 19, 20, 25];
function isRefusal(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if ("errcode" in thrown && typeof thrown.errcode === "number")
    return REFUSALS.includes(thrown.errcode & 0xff);
  return thrown instanceof TypeError || thrown instanceof RangeError;
}

/** What `ride` has to push when no call brings it along; a failure leaves it for the next time. */
function ridden(service: Service): readonly unknown[] {
  try {
    return transaction(service, () => ({ replies: [], pushes: service.ride?.() })).pushed;
  } catch {
    return [];
  }
}

interface Work {
  readonly replies: readonly Reply[];
  readonly pushes: (() => readonly unknown[]) | undefined;
}

function transaction(service: Service, work: () => Work): Answer {
  service.database.exec(service.mode === "write" ? "BEGIN IMMEDIATE" : "BEGIN");
  try {
    const { replies, pushes } = work();
    service.database.exec("COMMIT");
    return { replies, pushed: pushes?.() ?? [] };
  } catch (error) {
    // A failed COMMIT on a full disk has rolled back by itself.
    if (service.database.isTransaction) service.database.exec("ROLLBACK");
    service.rolledBack?.();
    throw error;
  }
}

/** A MillraceError is a refusal before anything was written, and leaves the other calls of the transaction alone. */
function reply(service: Service, call: Call): Reply {
  const operations = service as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  try {
    return { id: call.id, value: operations[call.operation]?.(...call.args) };
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return { id: call.id, code: thrown.code, detail: thrown.detail };
  }
}
