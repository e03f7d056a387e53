import { flushCompileCache } from "node:module";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { type ErrorCode, MillraceError } from "../../errors.ts";
import { BrokerFile } from "./broker-file.ts";
import { type Answer, type Call, serve, type Service } from "./serve.ts";
import { StoreReader } from "./store-reader.ts";
import { StoreWriter } from "./store-writer.ts";

/** What a thread can serve, by name. */
const services = { BrokerFile, StoreReader, StoreWriter };
type Services = { readonly [Name in keyof typeof services]: InstanceType<(typeof services)[Name]> };
type ServiceName = keyof Services;
type SettingsOf<Name extends ServiceName> = ConstructorParameters<(typeof services)[Name]>[0];

/** The methods of a service that may be called from outside. */
type OperationName<S> = Exclude<
  { [K in keyof S]: S[K] extends (...args: never[]) => unknown ? K : never }[keyof S],
  keyof Service
> &
  string;
type Operation<S, K extends keyof S> = S[K] extends (...args: infer Args) => infer Value
  ? { args: Args; value: Value }
  : never;

export interface ThreadUse<S> {
  /** The error of every call once the thread has ended. */
  readonly code: ErrorCode;
  /** Operations that nobody waits for: they go along with the next other call, or by themselves a few milliseconds later. */
  readonly patient?: readonly OperationName<S>[];
  /** Is handed what the thread sends unasked. */
  readonly onPush?: (pushed: unknown) => void;
}

/** How long a patient call waits for company, in milliseconds. */
const PATIENCE_MS = 5;
/** A thread holds a few messages at a time; left to itself its heap would grow tenfold before it is collected. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 };

/**
 * The caller's end of a database thread. SQLite is synchronous and its commits wait for the disk: each database has a
 * thread of its own, so that no request waits behind a disk. The other end is serve.ts.
 */
export class Thread<Name extends ServiceName> implements AsyncDisposable {
  /** Rejects once the thread has died or was closed; never resolves. */
  readonly ended: Promise<never>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #patient: ReadonlySet<string>;
  #outbox: Call[] = [];
  #patience: NodeJS.Timeout | undefined;
  #posting = false;
  #nextId = 0;
  #end: MillraceError | undefined;

  constructor(name: Name, settings: SettingsOf<Name>, use: ThreadUse<Services[Name]>) {
    this.#patient = new Set(use.patient);
    const { code } = use;
    // This module and all it imports: the thread then finds their JavaScript and needs no compiler in its memory.
    flushCompileCache();
    this.#worker = new Worker(new URL(import.meta.url), {
      workerData: { millraceService: name, settings },
      resourceLimits: THREAD_LIMITS,
    });
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
      for (const pushed of answer.pushed) use.onPush?.(pushed);
    });
    this.#worker.on("error", (cause) =>
      end(mismatchOf(cause) ?? new MillraceError(code, `its thread died: ${messageOf(cause)}`, { cause })),
    );
    this.#worker.on("exit", () => end(new MillraceError(code, "it is closed")));
  }

  call<K extends OperationName<Services[Name]>>(
    operation: K,
    ...args: Operation<Services[Name], K>["args"]
  ): Promise<Operation<Services[Name], K>["value"]> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = this.#nextId++;
    const waiting = Promise.withResolvers<Operation<Services[Name], K>["value"]>();
    this.#waiting.set(id, waiting);
    this.#outbox.push({ id, operation, args });
    if (this.#patient.has(operation)) {
      this.#patience ??= setTimeout(() => this.#post(), PATIENCE_MS);
    } else if (!this.#posting) {
      this.#posting = true;
      queueMicrotask(() => this.#post());
    }
    return waiting.promise;
  }

  /** Waits for the calls in hand; the thread then closes its database. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#end !== undefined) return;
    this.#post();
    this.#worker.postMessage("close");
    await this.ended.catch(() => {});
  }

  /** Calls of one turn go in one post, and take the patient ones along: waking a thread costs more than most operations. */
  #post(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#posting = false;
    if (this.#outbox.length > 0) this.#worker.postMessage(this.#outbox);
    this.#outbox = [];
  }

  #settle(reply: Answer["replies"][number]): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("code" in reply) waiting?.reject(new MillraceError(reply.code, reply.detail));
    else waiting?.resolve(reply.value);
  }
}

/** An error comes out of its thread without its class. */
function mismatchOf(thrown: unknown): MillraceError | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown) || !("detail" in thrown)) return undefined;
  const { code, detail } = thrown;
  if (code !== "STORE_MISMATCH" && code !== "BROKER_MISMATCH") return undefined;
  return new MillraceError(code, String(detail));
}

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

const name: unknown = workerData?.millraceService;
if (parentPort !== null && typeof name === "string" && name in services) {
  const service: Service = new services[name as ServiceName](workerData.settings);
  serve(service, parentPort);
}
