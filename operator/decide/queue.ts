import type { Observation, QueueFigures, ScalingSpec } from "../decide.ts";
import { noSlack, type Remembered, type Slack } from "./memory.ts";
import { type Fading, observed, perSecond } from "./rate.ts";
import { readySeconds } from "./replicas.ts";
import { withThroughput } from "./throughput.ts";

/** Long enough to average the noise of a Poisson stream out; a jump is noticed at once whatever it is. */
export const ARRIVALS: Fading = { seconds: 15, counts: 10 };
/** The rate of a replica drifts over minutes, and falls at once with a slow store. */
export const SERVICE: Fading = { seconds: 20, counts: 20 };
/** Dead letters are counted among about so many of the last messages, and within so many seconds. */
const LETTERS = { counts: 50, seconds: 120 };
/** Variability of a queue in front of one replica, (ca² + cs²) / 2: between that of even and that of random arrivals. */
export const queueTuning = { variability: 0.4 } as const;
/** What the messages in hands tell is averaged over so long, and is at most so much more than was known of a rate. */
const SLACK_SECONDS = 30;
const MOST_APPROACH = 4;
const APPROACH_SECONDS = 10;
/** Messages expected of busy replicas that make none at all a stall. */
const STALLED = 10;
/** Messages from which on a rate is more than a guess. */
const CERTAIN = 10;

/** The oldest that figures may be, in seconds: RabbitMQ's own are up to 5 s old, and a slow poll makes them older. */
export function oldestSeconds({ pollingIntervalSeconds }: ScalingSpec): number {
  return Math.max(15, 4 * pollingIntervalSeconds);
}

/** What happened between two readings. */
interface Interval {
  readonly seconds: number;
  readonly replicaSeconds: number;
  /** Messages published, and done: acknowledged or dead. */
  readonly come: number;
  readonly done: number;
  readonly dead: number;
  /** Mean of the messages in the hands of all replicas. */
  readonly inHand: number;
  /** Whether messages waited for replicas at both readings, or at none. */
  readonly isBusy: boolean;
  readonly isIdle: boolean;
  /** Whether `done` was counted; otherwise it is computed from what is known of the replicas. */
  readonly counted: boolean;
}

/** What is known of the queue after this observation: how many messages come, and how many one replica does. */
export function withQueue(spec: ScalingSpec, memory: Remembered, seen: Observation): Remembered {
  const { queue, brokerReachable } = seen;
  if (queue === undefined || !brokerReachable) return memory;
  const { sample } = memory;
  const read = { ...memory, sample: queue };
  if (sample === undefined || queue.sampledAtMs < sample.sampledAtMs) return { ...read, idleSeconds: 0 };
  if (queue.sampledAtMs === sample.sampledAtMs) return memory;
  const interval = intervalBetween(spec, memory, sample, queue);
  // Totals that fall have started anew: nothing is known of what happened in between.
  if (interval === undefined) return { ...read, idleSeconds: 0, throughput: undefined, slack: noSlack };

  const { seconds, replicaSeconds, come, done, dead } = interval;
  // Where it is not told what was published, messages may have come and gone between two readings.
  const quiet = queue.published !== undefined && sample.published !== undefined && come === 0;
  const idle = quiet && inQueue(sample) === 0 && inQueue(queue) === 0;
  const kept = Math.exp(-Math.max(done / LETTERS.counts, seconds / LETTERS.seconds));
  const learned: Remembered = {
    ...read,
    arrivals: observed(memory.arrivals, { count: come, seconds, elapsedSeconds: seconds }, ARRIVALS),
    done: memory.done * kept + done,
    dead: memory.dead * kept + dead,
    // A long silence between two readings proves nothing.
    idleSeconds: idle ? memory.idleSeconds + Math.min(seconds, oldestSeconds(spec)) : 0,
  };
  const consumed = sample.consumers !== 0 && queue.consumers !== 0;
  if (!interval.counted || !consumed || replicaSeconds <= 0) return learned;
  return withThroughput(withService(spec, learned, interval), sample, queue, done);
}

/** Messages in the queue, ready and unacknowledged. */
export function inQueue({ ready, unacknowledged }: QueueFigures): number {
  return ready + unacknowledged;
}

function intervalBetween(
  spec: ScalingSpec,
  memory: Remembered,
  old: QueueFigures,
  now: QueueFigures,
): Interval | undefined {
  const seconds = (now.sampledAtMs - old.sampledAtMs) / 1000;
  const replicaSeconds = readySeconds(memory, old.sampledAtMs, now.sampledAtMs);
  const published = more(old.published, now.published);
  const acknowledged = more(old.acknowledged, now.acknowledged);
  if ((published ?? 0) < 0 || (acknowledged ?? 0) < 0) return undefined;
  const dead = Math.max(0, more(old.deadLetters, now.deadLetters) ?? 0);
  const isBusy = old.ready > 0 && now.ready > 0;
  const inHand = (old.unacknowledged + now.unacknowledged) / 2;
  const busy = isBusy || replicaSeconds === 0 ? 1 : busyShare((inHand * seconds) / replicaSeconds);
  const change = inQueue(now) - inQueue(old);
  // A dead letter may have been acknowledged or refused: only of the refused ones is it not counted yet.
  const counted =
    acknowledged === undefined
      ? published === undefined
        ? undefined
        : Math.max(0, published - change)
      : Math.max(acknowledged, dead);
  const perReplica = perSecond(memory.service) ?? spec.hints.messagesPerSecond ?? 0;
  const done = counted ?? Math.max(0, -change, perReplica * busy * replicaSeconds);
  return {
    seconds,
    replicaSeconds,
    come: published ?? Math.max(0, change + done),
    done,
    dead,
    inHand,
    isBusy,
    isIdle: old.ready === 0 && now.ready === 0,
    counted: counted !== undefined,
  };
}

/** How much a total has grown; undefined where it is not told. */
function more(old: number | undefined, now: number | undefined): number | undefined {
  return old === undefined || now === undefined ? undefined : now - old;
}

/**
 * Share of their time that replicas are busy with `inHand` messages in the hands of each, none waiting for them: Kingman's
 * formula inHand = b + v b² / (1 - b), solved for the busy share b at the variability v.
 */
function busyShare(inHand: number): number {
  const even = 1 - queueTuning.variability;
  return (1 + inHand - Math.sqrt((1 + inHand) ** 2 - 4 * even * inHand)) / (2 * even);
}

/**
 * Busy replicas that have done nothing at all where many messages would be expected are stalled or have just begun, which says
 * nothing of their rate. Those that were not busy have shown what they can do at least.
 */
function withService(spec: ScalingSpec, memory: Remembered, interval: Interval): Remembered {
  const { done, replicaSeconds, seconds, isBusy, isIdle } = interval;
  const known = perSecond(memory.service) ?? spec.hints.messagesPerSecond;
  const expected = (known ?? 0) * replicaSeconds;
  const slack = isIdle ? slackAfter(memory.slack, interval) : noSlack;
  const learned = { ...memory, slack };
  const counted = { count: done, seconds: replicaSeconds, elapsedSeconds: seconds };
  if (isBusy && done === 0 && expected >= STALLED) return learned;
  const shown = isBusy || done > expected ? observed(memory.service, counted, SERVICE) : memory.service;
  if (isBusy) return { ...learned, service: shown };
  // Nothing in their hands at any reading, though messages were done: they are hardly busy at all.
  const capable = slack.done === 0 ? 0 : slack.done / Math.max(slack.busySeconds, Number.EPSILON);
  const able = perSecond(shown) ?? 0;
  if (able === 0 || capable <= able) return { ...learned, service: shown };
  // An estimate of an estimate: it is approached, and never leapt to.
  const factor = Math.min(MOST_APPROACH, capable / able) ** (1 - Math.exp(-seconds / APPROACH_SECONDS));
  return { ...learned, service: { ...shown, count: shown.count * factor } };
}

/** The average of a while, as the messages in hands are known at the readings only; of the shares, as a backlog in hands would outweigh all else. */
function slackAfter(slack: Slack, { done, replicaSeconds, inHand, seconds }: Interval): Slack {
  const kept = Math.exp(-seconds / SLACK_SECONDS);
  return {
    done: slack.done * kept + done,
    busySeconds: slack.busySeconds * kept + busyShare((inHand * seconds) / replicaSeconds) * replicaSeconds,
  };
}

/** Messages that one replica does in a second: measured, or as hinted; `certain` where it is either. */
export function serviceOf(
  { hints }: ScalingSpec,
  { service }: Remembered,
): { readonly perSecond: number; readonly certain: boolean } {
  const { count, seconds } = service;
  // The first message is not done yet: it will be one in at least so long.
  if (seconds > 0) return { perSecond: Math.max(1, count) / seconds, certain: count >= CERTAIN };
  return { perSecond: hints.messagesPerSecond ?? 1, certain: hints.messagesPerSecond !== undefined };
}
