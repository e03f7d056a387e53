import { type AcceptedEvent, decodeMessage, type Envelope, type Message } from "../domain/envelope.ts";
import { madeAtMs } from "../domain/instant.ts";
import type { Projection } from "../domain/projection.ts";
import { asMillraceError, MillraceError } from "../errors.ts";
import type { Consumer, Delivery } from "../ports/broker.ts";
import type { Clock } from "../ports/clock.ts";
import type { ChangeStore } from "../ports/store.ts";
import type { Emit } from "../signals.ts";
import { backoffMs, outcomeOf, type RetrySettings } from "./outcome.ts";

export interface WorkerParts {
  readonly consumer: Consumer;
  readonly store: ChangeStore;
  readonly projection: Projection;
  readonly clock: Clock;
  readonly emit: Emit;
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
  await parts.consumer.consume(subscription, async (delivery) => {
    const work = () => take(parts, settings, stop, delivery);
    if (delivery.attempt < ALONE_FROM_ATTEMPT) return work();
    await parts.clock.sleep(Math.random() * SHUFFLE_MS, stop);
    return alone(work);
  });
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
  const { clock, emit, projection } = parts;
  const startedAtMs = clock.now();
  let events = 0;
  let failure: MillraceError | undefined;
  try {
    // A delivery that never got as far as being settled has taken its process down each time.
    if (delivery.attempt > settings.maxAttempts)
      throw new MillraceError("INTERNAL", `delivered ${delivery.attempt} times and never settled`);
    const envelope = envelopeOf(delivery.message);
    events = envelope.events.length;
    if (!(await applyWhenPossible(parts, settings, stop, envelope))) return;
  } catch (thrown) {
    failure = asMillraceError(thrown, "INTERNAL");
  }
  const outcome = outcomeOf(failure, delivery.attempt, settings);
  await delivery.settle(outcome);
  const acceptedAtMs = failure === undefined ? madeAtMs(delivery.message.id) : undefined;
  emit("delivery.settled", {
    queue: projection.name,
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
  parts: WorkerParts,
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
async function applyOnce({ store, projection, clock, emit }: WorkerParts, envelope: Envelope): Promise<void> {
  const own = firstOfEachId(envelope.events);
  const eventIds = own.flatMap(({ id }) => (id === undefined ? [] : [id]));
  let events = own;
  if (projection.claimsEventIds && eventIds.length > 0) {
    const claim = { projection: projection.name, messageId: envelope.id, eventIds };
    const elsewhere = await store.claim(claim, clock.now());
    events = own.filter(({ id }) => id === undefined || !elsewhere.has(id));
  }
  await store.apply(projection.fold({ id: envelope.id, events }), clock.now());
  const skipped = envelope.events.length - events.length;
  if (skipped > 0) emit("duplicates.skipped", { queue: projection.name, events: skipped });
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
