import { MongoClient, ReadConcern, ReadPreference } from "mongodb";
import { MillraceError } from "../../errors.ts";
import type { CertificateSource } from "../../ports/certificates.ts";
import type { Clock } from "../../ports/clock.ts";
import { type Fault, faultOf, wordsOf } from "./faults.ts";
import { onHungHeartbeat } from "./heartbeat.ts";
import { collectionsOf, type Collections, ensureSchema } from "./schema.ts";

export interface ConnectionSettings {
  readonly storeUrl: string;
  readonly storePoolSize: number;
  readonly storeTimeoutMs: number;
  /** A restore opens a database of which a restore is under way; by default it is not opened until that is done. */
  readonly during?: "restore";
  /** With these, TLS is spoken. */
  readonly certificates?: CertificateSource | undefined;
}

/** Runs one operation on the collections, as often as it needs. Rejects with a MillraceError. */
export interface Runner {
  /** The server's own bound of a query's time: what nobody waits for any more ends. */
  readonly bound: { readonly maxTimeMS: number };
  run<T>(operation: (collections: Collections) => Promise<T>): Promise<T>;
  /** Waits before another try. */
  pause(tries: number): Promise<void>;
}

/** Tries of an operation that meets a deadlock or the like, and the longest pauses between them, in milliseconds. */
const TRIES = 8;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** Longest pause between two tries to open the database, in milliseconds. */
const LONGEST_OPENING_PAUSE_MS = 5000;

/**
 * The client and its opened database. Opens in the background; the driver finds the server again by itself after that, and a client
 * that has ceased to look for it is replaced.
 */
export class Connection implements Runner, AsyncDisposable {
  /** Rejects with STORE_MISMATCH, or with STORE_UNAVAILABLE once closed; never resolves. */
  readonly ended: Promise<never>;
  readonly bound: { readonly maxTimeMS: number };
  readonly #ended = Promise.withResolvers<never>();
  readonly #settings: ConnectionSettings;
  #client: MongoClient;
  readonly #database: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #opened = Promise.withResolvers<Collections>();
  /** Why there is no database yet; STORE_UNAVAILABLE. */
  #reason = new MillraceError("STORE_UNAVAILABLE", "it has not been reached yet");

  /** @throws MillraceError INVALID_SETTING for a URL that cannot be read. */
  constructor(settings: ConnectionSettings, clock: Clock) {
    const { storeUrl, storeTimeoutMs } = settings;
    this.#settings = settings;
    this.#clock = clock;
    this.#timeoutMs = storeTimeoutMs;
    this.bound = { maxTimeMS: storeTimeoutMs };
    this.#database = databaseOf(storeUrl);
    this.ended = this.#ended.promise;
    this.ended.catch(() => {});
    this.#client = this.#newClient();
    settings.certificates?.onChange(() => this.#replaceClient(this.#client, "its certificates are others"));
  }

  /** Tries again what passes by itself. Every try is bounded by the time-out. */
  async run<T>(operation: (collections: Collections) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.once(operation);
      } catch (thrown) {
        const fault = faultOf(thrown);
        if (fault.kind !== "passing" || tries === TRIES) throw await this.#judged(fault);
        await this.pause(tries);
      }
    }
  }

  /** One try. Rejects with what the driver throws, or with STORE_UNAVAILABLE. */
  async once<T>(operation: (collections: Collections) => Promise<T>): Promise<T> {
    const collections = await this.#within(this.#opened.promise, () => this.#reason);
    return this.#within(
      operation(collections),
      () => new MillraceError("STORE_UNAVAILABLE", `no answer within ${this.#timeoutMs} ms`),
    );
  }

  /** The time by the server's clock; undefined where it does not tell. */
  serverTime(): Promise<number | undefined> {
    return this.run(async () => {
      const { localTime } = await this.#client.db(this.#database).admin().command({ hello: 1 });
      return localTime instanceof Date ? localTime.getTime() : undefined;
    });
  }

  /** With full jitter, so that those who met do not meet again. */
  async pause(tries: number): Promise<void> {
    await this.#clock.sleep(
      Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries),
      this.#stop.signal,
    );
  }

  /** Writes and reads. Resolves to why that cannot be done, or to undefined. */
  async outage(): Promise<MillraceError | undefined> {
    try {
      await this.once(async ({ probe }) => {
        await probe.updateOne({ _id: "probe" }, { $set: { at: this.#clock.now() } }, { upsert: true });
        await probe.findOne({ _id: "probe" }, this.bound);
      });
      return undefined;
    } catch (thrown) {
      const { kind, error } = faultOf(thrown);
      // Another's probe at the same time has been taken, and so the store takes them.
      if (kind === "there" || kind === "passing") return undefined;
      return error.code === "STORE_UNAVAILABLE"
        ? error
        : new MillraceError("STORE_UNAVAILABLE", error.detail);
    }
  }

  /** Lets go of what waits for a database that is not open yet. */
  stopOpening(): void {
    this.#stopOpening(closed());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopOpening(closed());
    this.#ended.reject(closed());
    await this.#client.close();
  }

  #stopOpening({ detail }: MillraceError): void {
    this.#stop.abort();
    // STORE_UNAVAILABLE whatever the reason: no delivery is to be given up for it.
    this.#opened.reject(new MillraceError("STORE_UNAVAILABLE", detail));
  }

  #newClient(): MongoClient {
    const client = clientOf(this.#settings);
    onHungHeartbeat(client, this.#timeoutMs, () =>
      this.#replaceClient(client, "the driver had ceased to look for it"),
    );
    this.#opened.promise.catch(() => {});
    void this.#open(client, this.#opened);
    return client;
  }

  #replaceClient(client: MongoClient, reason: string): void {
    if (client !== this.#client || this.#stop.signal.aborted) return;
    this.#reason = new MillraceError("STORE_UNAVAILABLE", reason);
    this.#opened = Promise.withResolvers<Collections>();
    this.#client = this.#newClient();
    // Its operations fail, and are tried again with the new one.
    client.close().catch(() => {});
  }

  async #open(client: MongoClient, opened: PromiseWithResolvers<Collections>): Promise<void> {
    const { signal } = this.#stop;
    for (let tries = 1; !signal.aborted && opened === this.#opened; tries += 1) {
      try {
        await client.connect();
        const database = client.db(this.#database, guarantees);
        await ensureSchema(database);
        const collections = collectionsOf(database);
        if (this.#settings.during !== "restore") await assertWhole(collections);
        opened.resolve(collections);
        return;
      } catch (thrown) {
        if (signal.aborted || opened !== this.#opened) return;
        const mismatch = mismatchOf(thrown);
        if (mismatch !== undefined) {
          this.#stopOpening(mismatch);
          this.#ended.reject(mismatch);
          return;
        }
        const known = thrown instanceof MillraceError && thrown.code === "STORE_UNAVAILABLE";
        this.#reason = known ? thrown : new MillraceError("STORE_UNAVAILABLE", wordsOf(thrown));
        await this.#clock.sleep(Math.random() * Math.min(LONGEST_OPENING_PAUSE_MS, 100 * 2 ** tries), signal);
      }
    }
  }

  /** An unwell store gives any reason, so that one that speaks of the operation counts only where the store is well. */
  async #judged(fault: Fault): Promise<MillraceError> {
    if (fault.kind !== "refused" && fault.kind !== "unknown") return fault.error;
    return (await this.outage()) ?? fault.error;
  }

  async #within<T>(promise: Promise<T>, reason: () => MillraceError): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(reason()), this.#timeoutMs);
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const closed = (): MillraceError => new MillraceError("STORE_UNAVAILABLE", "it is closed");

/** Of the lease that a restore holds from its begin to its end, whatever becomes of its process. */
export const RESTORE_LEASE = "restore";

/** @throws MillraceError STORE_UNAVAILABLE while only some of a backup may be there. */
async function assertWhole({ lease }: Collections): Promise<void> {
  if ((await lease.findOne({ _id: RESTORE_LEASE })) === null) return;
  const detail = "a restore is under way, or was cut short: run `millrace restore` again with the same file";
  throw new MillraceError("STORE_UNAVAILABLE", detail);
}

/** What an acknowledged write and an answer promise, whatever the URL says. */
export const guarantees = {
  writeConcern: { w: "majority", journal: true },
  readConcern: new ReadConcern("majority"),
  readPreference: ReadPreference.primary,
} as const;

/**
 * @param answerMs - longest wait for an answer of a server that has taken a command.
 * @throws MillraceError INVALID_SETTING for a URL that cannot be read.
 */
export function clientOf(settings: ConnectionSettings, answerMs = settings.storeTimeoutMs): MongoClient {
  const { storeUrl, storePoolSize, storeTimeoutMs: timeoutMs, certificates } = settings;
  try {
    return new MongoClient(storeUrl, {
      appName: "millrace",
      maxPoolSize: storePoolSize,
      ...(certificates === undefined ? {} : { tls: true, ...certificates.current }),
      // The driver's one time-out for all (timeoutMS) does nothing in 7.9: each step has its own, and `#within` bounds the whole.
      serverSelectionTimeoutMS: timeoutMs,
      connectTimeoutMS: timeoutMs,
      socketTimeoutMS: answerMs,
      waitQueueTimeoutMS: timeoutMs,
      ...guarantees,
    });
  } catch (thrown) {
    throw new MillraceError("INVALID_SETTING", `the store's URL cannot be read: ${wordsOf(thrown)}`);
  }
}

/** The path of the URL, as MongoDB's tools read it. */
export function databaseOf(url: string): string {
  const path = /^mongodb(?:\+srv)?:\/\/[^/]*\/([^?]*)/.exec(url)?.[1] ?? "";
  try {
    return path === "" ? "millrace" : decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A server that is too old for the driver is refused by it, inside what it says of finding none. */
function mismatchOf(thrown: unknown): MillraceError | undefined {
  if (thrown instanceof MillraceError && thrown.code === "STORE_MISMATCH") return thrown;
  const tooOld = thrown instanceof Error && /maximum wire version/.test(thrown.message);
  return tooOld ? new MillraceError("STORE_MISMATCH", wordsOf(thrown)) : undefined;
}
