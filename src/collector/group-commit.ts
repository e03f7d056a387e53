import type { Message } from "../domain/envelope.ts";
import { asMillraceError } from "../errors.ts";
import type { Publisher } from "../ports/broker.ts";
import type { Origin, Span, Tracer } from "../ports/tracer.ts";
import type { Emit } from "../signals.ts";

/** The events of one request, as the codec's rows. They travel in one message: all are durable, or the request fails. */
export interface Request {
  readonly rows: string;
  readonly events: number;
  readonly span?: Span | undefined;
}
interface Waiting extends Request, PromiseWithResolvers<void> {
  /** By performance.now(). */
  readonly sinceMs: number;
}
export interface GroupCommitParts {
  readonly publisher: Publisher;
  readonly encode: (rows: readonly string[]) => Message;
  readonly emit: Emit;
  readonly tracer?: Tracer | undefined;
}

/** Messages on their way at a time, when each is full: enough to keep a broker busy while it confirms. */
const MAX_IN_FLIGHT = 8;

/** A message that holds more sampled requests than these and its parent says nothing of the rest. */
const MAX_LINKS = 32;

/** No request joins a message of this length, in UTF-16 code units: RabbitMQ 4 takes 16 MiB at most, by default. */
const MESSAGE_FULL = 4 * 1024 * 1024;

/**
 * Groups the requests that arrive while a publish is being confirmed into the next message. At low load that is one request
 * a message and no added wait; at high load it is hundreds. A group that reaches `maxEvents` does not wait.
 */
export class GroupCommit {
  readonly #parts: GroupCommitParts;
  readonly #maxEvents: number;
  #waiting: Waiting[] = [];
  #waitingEvents = 0;
  #inFlight = 0;
  #scheduled = false;

  constructor(parts: GroupCommitParts, maxEvents: number) {
    this.#parts = parts;
    this.#maxEvents = maxEvents;
  }

  /** Resolves once the request's events are durable; rejects as `Publisher.publish` does. */
  add(request: Request): Promise<void> {
    const settled = Promise.withResolvers<void>();
    this.#waiting.push({ ...request, ...settled, sinceMs: performance.now() });
    this.#waitingEvents += request.events;
    this.#schedule();
    return settled.promise;
  }

  /** Messages on their way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** After this turn of the event loop: what arrived in one read of the sockets goes together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (
      this.#waiting.length > 0 &&
      (this.#inFlight === 0 || (this.#waitingEvents >= this.#maxEvents && this.#inFlight < MAX_IN_FLIGHT))
    ) {
      void this.#publish(this.#group());
    }
  }

  #group(): Waiting[] {
    let events = 0;
    let length = 0;
    let size = 0;
    for (const request of this.#waiting) {
      if (events >= this.#maxEvents || length >= MESSAGE_FULL) break;
      events += request.events;
      length += request.rows.length;
      size += 1;
    }
    this.#waitingEvents -= events;
    return this.#waiting.splice(0, size);
  }

  async #publish(group: readonly Waiting[]): Promise<void> {
    const { publisher, encode, emit, tracer } = this.#parts;
    const events = group.reduce((sum, request) => sum + request.events, 0);
    const startedAt = performance.now();
    const waitSeconds = (startedAt - (group[0]?.sinceMs ?? startedAt)) / 1000;
    let span: Span | undefined;
    this.#inFlight += 1;
    try {
      let message = encode(group.map((request) => request.rows));
      if (tracer !== undefined) {
        span = tracer.start({ kind: "publish", message, events }, originOf(group));
        message = { ...message, trace: span.context };
      }
      await publisher.publish(message);
      span?.end({});
      for (const request of group) request.resolve();
      const seconds = (performance.now() - startedAt) / 1000;
      emit("message.published", { events, bytes: message.body.byteLength, seconds, waitSeconds });
    } catch (thrown) {
      const error = asMillraceError(thrown, "BROKER_UNAVAILABLE");
      span?.end({ error: error.code });
      for (const request of group) request.reject(error);
      emit("publish.failed", { events, code: error.code, error });
    } finally {
      this.#inFlight -= 1;
      this.#flush();
    }
  }
}

/** A message is part of the trace of its first sampled request; the others are linked to. */
function originOf(group: readonly Waiting[]): Origin {
  const spans = group.flatMap(({ span }) => span ?? []);
  const [first, ...others] = spans.filter(({ sampled }) => sampled);
  return {
    parent: (first ?? spans[0])?.context,
    links: others.slice(0, MAX_LINKS).map(({ context }) => context),
  };
}
