import { type AcceptedEvent, decodeMessage, type Envelope, type Message } from "../domain/envelope.ts";
import { madeAtMs } from "../domain/instant.ts";
import type { Projection } from "../domain/projection.ts";
import type { TraceContext } from "../domain/trace-context.ts";
import { asMillraceError, type ErrorCode, MillraceError } from "../errors.ts";
import type { Consumer, Delivery } from "../ports/broker.ts";
import type { Clock } from "../ports/clock.ts";
import type { ChangeStore } from "../ports/store.ts";
import type { Tracer } from "../ports/tracer.ts";
import type { Emit, WorkerLoad } from "../signals.ts";
import { backoffMs, outcomeOf, type RetrySettings } from "./outcome.ts";

export interface WorkerParts {
  readonly consumer: Consumer;
  readonly store: ChangeStore;
  readonly projection: Projection;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly tracer?: Tracer | undefined;
}
/** The parts as a delivery's work has them. */
interface DeliveryParts extends WorkerParts {
  /** What its calls of the store are part of. */
  readonly within?: TraceContext;
}
export interface WorkerSettings extends RetrySettings {
  readonly prefetch: number;
}

/** For each delivery: decode it, fold it, apply it, settle it. Ends after `stop`, once drained. */
export async function runWorker(
  parts: WorkerParts,
  settings: WorkerSettings,
  stop: AbortSignal,
): Promise<void> {
  const subscription = { queue: parts.projection.name, prefetch: settings.prefetch, stop };
  const alone = oneAtATime();
  const inHand = new Set<Delivery>();
  parts.emit("worker.opened", { queue: subscription.queue, load: () => loadOf(inHand) });
  await parts.consumer.consume(subscription, async (delivery) => {
    inHand.add(delivery);
    try {
      const work = () => take(parts, settings, stop, delivery);
      if (delivery.attempt < ALONE_FROM_ATTEMPT) return await work();
      await parts.clock.sleep(Math.random() * SHUFFLE_MS, stop);
      return await alone(work);
    } finally {
      inHand.delete(delivery);
    }
  });
}

function loadOf(inHand: ReadonlySet<Delivery>): WorkerLoad {
  const accepted = Array.from(inHand, ({ message }) => madeAtMs(message.id) ?? Number.POSITIVE_INFINITY);
  const oldest = Math.min(...accepted);
  return { deliveries: inHand.size, oldestAcceptedAtMs: Number.isFinite(oldest) ? oldest : undefined };
}

/**
 * A message that takes the worker down raises the attempts of all that is in hand with it. From this attempt on deliveries go one
 * at a time and in random order, so that each life of the worker settles some of the good ones before it meets the bad one.
 */
const ALONE_FROM_ATTEMPT = 5;
const SHUFFLE_MS = 500;

/** Runs one piece of work after the other, whatever becomes of each. */
function oneAtATime(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
}

async function take(
  parts: WorkerParts,
  settings: WorkerSettings,
  stop: AbortSignal,
  delivery: Delivery,
): Promise<void> {
  const { clock, emit, projection, tracer } = parts;
  const queue = projection.name;
  const span = tracer?.start({ kind: "process", queue, delivery }, { parent: delivery.message.trace });
  const own = span === undefined ? parts : { ...parts, within: span.context };
  const startedAtMs = clock.now();
  let events = 0;
  let failure: MillraceError | undefined;
  try {
    // A delivery that never got as far as being settled has taken its process down each time.
    if (delivery.attempt > settings.maxAttempts)
      throw new MillraceError("INTERNAL", `delivered ${delivery.attempt} times and never settled`);
    const envelope = envelopeOf(delivery.message);
    events = envelope.events.length;
    if (!(await applyWhenPossible(own, settings, stop, envelope))) return span?.end({ events });
  } catch (thrown) {
    failure = asMillraceError(thrown, "INTERNAL");
  }
  const outcome = outcomeOf(failure, delivery.attempt, settings);
  await delivery.settle(outcome);
  span?.end({ outcome: outcome.kind, events, error: failure?.code });
  const acceptedAtMs = failure === undefined ? madeAtMs(delivery.message.id) : undefined;
  emit("delivery.settled", {
    queue,
    outcome: outcome.kind,
    events,
    attempt: delivery.attempt,
    seconds: (clock.now() - startedAtMs) / 1000,
    ageSeconds: acceptedAtMs === undefined ? undefined : (clock.now() - acceptedAtMs) / 1000,
    error: failure,
  });
}

/** Workers of one process may be handed the same message: the first to see it decodes it. */
const decoded = new WeakMap<Message, Envelope>();

function envelopeOf(message: Message): Envelope {
  const known = decoded.get(message);
  if (known !== undefined) return known;
  const envelope = decodeMessage(message);
  decoded.set(message, envelope);
  return envelope;
}

/**
 * A store that cannot be reached is no fault of the delivery: it is kept unsettled and tried until the store is back, which
 * also stops the flow of further ones. False if told to stop before.
 */
async function applyWhenPossible(
  parts: DeliveryParts,
  settings: WorkerSettings,
  stop: AbortSignal,
  envelope: Envelope,
): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    try {
      await applyOnce(parts, envelope);
      return true;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== "STORE_UNAVAILABLE") throw error;
      if (stop.aborted) return false;
      parts.emit("store.waiting", { queue: parts.projection.name, error });
      await parts.clock.sleep(Math.random() * backoffMs(tries, settings.retryDelayMs), stop);
    }
  }
}

/** Exactly once: by event ids where a client gave any, and by the message id for the message as a whole. */
async function applyOnce(parts: DeliveryParts, envelope: Envelope): Promise<void> {
  const { store, projection, clock, emit } = parts;
  const own = firstOfEachId(envelope.events);
  const eventIds = own.flatMap(({ id }) => (id === undefined ? [] : [id]));
  let events = own;
  if (projection.claimsEventIds && eventIds.length > 0) {
    const claim = { projection: projection.name, messageId: envelope.id, eventIds };
    const elsewhere = await timed(parts, "claim", () => store.claim(claim, clock.now()));
    events = own.filter(({ id }) => id === undefined || !elsewhere.has(id));
  }
  const change = projection.fold({ id: envelope.id, events });
  await timed(parts, "apply", () => store.apply(change, clock.now()));
  const skipped = envelope.events.length - events.length;
  if (skipped > 0) emit("duplicates.skipped", { queue: projection.name, events: skipped });
}

async function timed<T>(
  { projection, emit, tracer, within }: DeliveryParts,
  operation: "claim" | "apply",
  call: () => Promise<T>,
): Promise<T> {
  const queue = projection.name;
  const span = tracer?.start({ kind: "store", queue, operation }, { parent: within });
  const startedAt = performance.now();
  let code: ErrorCode | undefined;
  try {
    return await call();
  } catch (error) {
    ({ code } = asMillraceError(error, "INTERNAL"));
    throw error;
  } finally {
    const seconds = (performance.now() - startedAt) / 1000;
    span?.end({ error: code });
    emit("store.called", { queue, operation, seconds, code });
  }
}

function firstOfEachId(events: readonly AcceptedEvent[]): readonly AcceptedEvent[] {
  const seen = new Set<string>();
  return events.filter(({ id }) => {
    if (id === undefined) return true;
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}
