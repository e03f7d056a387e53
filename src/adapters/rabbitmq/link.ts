import { MillraceError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Emit } from "../../signals.ts";
import { type Address, answered, type Connection, openConnection, unavailable } from "./connection.ts";

/** Upper bounds of the wait before a further try to connect, in milliseconds: the first, and the longest. */
const FIRST_BACKOFF_MS = 200;
const LONGEST_BACKOFF_MS = 5000;

/** What every connection needs to know of the process that it is part of. */
export interface ConnectionParts {
  readonly address: Address;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Told what no further try can mend; none is made then. */
  readonly onMismatch: (error: MillraceError) => void;
}
export interface LinkParts<S> extends ConnectionParts {
  /** What RabbitMQ's management shows as the connection's name, such as `publish`. */
  readonly purpose: string;
  /** Makes ready what the connection is for. A session is of use until its connection is lost. */
  readonly setUp: (connection: Connection) => Promise<S>;
}

/**
 * Keeps one connection to RabbitMQ open, and what was set up on it: a lost one is opened anew, with full-jitter back-off
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). amqplib's own recovery brings back connections
 * alone, and takes one that ends while it is being set up for a live one.
 */
export class Link<S> {
  readonly #parts: LinkParts<S>;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #next = unhandled<S>();
  #connection: Connection | undefined;
  /** Why the last try failed; undefined while there is a session, and during the first try for one. */
  #fault: MillraceError | undefined;

  constructor(parts: LinkParts<S>) {
    this.#parts = parts;
    this.#ended = this.#run();
  }

  /**
   * The present session. While the first try to connect is under way, waits for it up to `waitMs`; once a try has failed, rejects
   * at once with its reason, as BROKER_UNAVAILABLE or BROKER_MISMATCH.
   */
  async session(waitMs: number): Promise<S> {
    if (this.#fault !== undefined) throw this.#fault;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new MillraceError("BROKER_UNAVAILABLE", `no connection within ${waitMs} ms`)),
      waitMs,
    );
    try {
      return await Promise.race([this.#next.promise, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#fail(new MillraceError("BROKER_UNAVAILABLE", "the broker is closed"));
    await this.#connection?.close();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { purpose, clock, emit, onMismatch } = this.#parts;
    const stop = this.#stop.signal;
    let failures = 0;
    while (!stop.aborted) {
      try {
        const connection = await this.#open();
        const openedAtMs = clock.now();
        emit("broker.connected", { connection: purpose });
        const error = await connection.lost;
        this.#connection = undefined;
        if (stop.aborted) return;
        this.#renew();
        emit("broker.disconnected", { connection: purpose, error });
        if (clock.now() - openedAtMs > LONGEST_BACKOFF_MS) failures = 0;
      } catch (thrown) {
        if (stop.aborted) return;
        const error = unavailable(thrown);
        this.#fail(error);
        emit("broker.disconnected", { connection: purpose, error });
        if (error.facts.retry === "never") return onMismatch(error);
      }
      failures += 1;
      const longestMs = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 16));
      await clock.sleep(Math.random() * longestMs, stop);
    }
  }

  /** Resolves once the connection is open, and what is needed set up on it. */
  async #open(): Promise<Connection> {
    const { address, purpose, setUp } = this.#parts;
    const connection = await openConnection(address, purpose);
    try {
      if (this.#stop.signal.aborted) throw new Error("closed while connecting");
      this.#connection = connection;
      const ended = connection.lost.then((reason) => Promise.reject(reason));
      const session = await Promise.race([answered(setUp(connection)), ended]);
      this.#fault = undefined;
      this.#next.resolve(session);
      return connection;
    } catch (error) {
      await connection.close();
      this.#connection = undefined;
      throw error;
    }
  }

  #fail(error: MillraceError): void {
    this.#fault = error;
    this.#next.reject(error);
    this.#renew();
  }

  #renew(): void {
    this.#next = unhandled();
  }
}

/** A promise that nobody may be waiting for when it is rejected. */
function unhandled<S>(): PromiseWithResolvers<S> {
  const next = Promise.withResolvers<S>();
  next.promise.catch(() => {});
  return next;
}
