import { Worker } from "node:worker_threads";
import { type ErrorCode, MillraceError } from "../../errors.ts";
import type { Answer, Call, Operations } from "./serve.ts";

/**
 * The caller's end of a database thread. SQLite is synchronous and its commits wait for the disk: each database has a
 * thread of its own, so that no request waits behind a disk. The other end is serve.ts.
 */
export class Thread<Ops extends Operations> implements AsyncDisposable {
  /** Rejects once the thread has died or was closed; never resolves. */
  readonly ended: Promise<never>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 0;
  #end: MillraceError | undefined;

  /** `code` is the error of every call once the thread has ended. `onPush` is handed what the thread sends unasked. */
  constructor(module: URL, data: unknown, code: ErrorCode, onPush: (pushed: unknown) => void) {
    this.#worker = new Worker(module, { workerData: data });
    const ended = Promise.withResolvers<never>();
    ended.promise.catch(() => {});
    this.ended = ended.promise;
    const end = (error: MillraceError) => {
      this.#end ??= error;
      ended.reject(this.#end);
      for (const waiting of this.#waiting.values()) waiting.reject(this.#end);
      this.#waiting.clear();
    };
    this.#worker.on("message", (answer: Answer) => {
      for (const reply of answer.replies) this.#settle(reply);
      for (const pushed of answer.pushed) onPush(pushed);
    });
    this.#worker.on("error", (cause) => end(new MillraceError(code, "its thread died", { cause })));
    this.#worker.on("exit", () => end(new MillraceError(code, "it is closed")));
  }

  call<K extends keyof Ops & string>(operation: K, ...args: Parameters<Ops[K]>): Promise<ReturnType<Ops[K]>> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = this.#nextId++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#worker.postMessage({ id, operation, args } satisfies Call);
    return waiting.promise as Promise<ReturnType<Ops[K]>>;
  }

  /** Waits for the calls in hand; the thread then closes its database. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end !== undefined) return;
    this.#worker.postMessage("close");
    await this.ended.catch(() => {});
  }

  #settle(reply: Answer["replies"][number]): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("code" in reply) waiting?.reject(new MillraceError(reply.code, reply.detail));
    else waiting?.resolve(reply.value);
  }
}
