import type { Observation, QueueFigures, Reason, ScalingSpec } from "../decide.ts";
import { longestWait } from "./forecast.ts";
import type { Remembered, Surplus, TooFew } from "./memory.ts";
import { inQueue, oldestSeconds, serviceOf } from "./queue.ts";
import { perSecond } from "./rate.ts";
import { fleetOf, readySeconds, startupOf } from "./replicas.ts";
import { messagesShown, replicasShown, shown, stayShown } from "./sentence.ts";
import { isTooFew, needed, neededUnseen, type Situation, spared } from "./wish.ts";

/** What is wished for before holds and bounds. */
export interface Plan {
  readonly wish: number;
  readonly reason: Reason;
  /** The figures it comes from, and what follows from them for the number that will be. */
  readonly because: string;
  readonly so: (replicas: number) => string;
  readonly surplus: Surplus | undefined;
  readonly tooFew?: TooFew;
}

/** RabbitMQ's figures are up to so old: a change is seen so late. */
const STATISTICS_SECONDS = 5;
/** After a start nothing is taken away for so long, and not before some readings. */
const WATCH_SECONDS = 30;
/** Replicas are let go once what they idle would pay for so many starts: more often than that is no gain. */
export const planTuning = { starts: 1, proven: 6, less: 0.85, faster: 1.1 } as const;

export function situationOf(
  spec: ScalingSpec,
  memory: Remembered,
  observation: Observation,
  queue: QueueFigures,
): Situation {
  const { nowMs } = observation;
  const arrivalsPerSecond = perSecond(memory.arrivals) ?? 0;
  const messagesPerSecondPerReplica = serviceOf(spec, memory).perSecond;
  const ageSeconds = Math.max(0, nowMs - queue.sampledAtMs) / 1000;
  const doneSince = messagesPerSecondPerReplica * readySeconds(memory, queue.sampledAtMs, nowMs);
  const startupSeconds = startupOf(spec, memory);
  return {
    load: {
      backlog: Math.max(0, inQueue(queue) + arrivalsPerSecond * ageSeconds - doneSince),
      arrivalsPerSecond,
      messagesPerSecondPerReplica,
    },
    fleet: fleetOf(spec, memory, observation),
    objectiveSeconds: spec.objective.maxWaitSeconds,
    startupSeconds,
    leadSeconds: startupSeconds + Math.max(spec.pollingIntervalSeconds, STATISTICS_SECONDS),
  };
}

/** As the objective asks. */
export function planOf(
  spec: ScalingSpec,
  memory: Remembered,
  observation: Observation,
  queue: QueueFigures,
): Plan {
  const { nowMs } = observation;
  const { current, ready } = observation.replicas;
  const situation = situationOf(spec, memory, observation, queue);
  const { load, objectiveSeconds } = situation;
  const because = figuresOf(spec, memory, queue, load.arrivalsPerSecond);
  const nothing = inQueue(queue) === 0;
  const none = { because, so: (replicas: number) => waitShown(situation, replicas), surplus: undefined };

  if (current === 0 && nothing) return { ...none, wish: 0, reason: "Idle", so: idleShown };
  if (isTooFew(situation)) {
    const keepUp = load.arrivalsPerSecond / load.messagesPerSecondPerReplica;
    const most = serviceOf(spec, memory).certain ? Number.POSITIVE_INFINITY : Math.max(1, 2 * ready);
    const wish = Math.min(upwards(needed(situation)), most);
    const reason = current === 0 ? "Waking" : keepUp > current ? "Arrivals" : "Backlog";
    const { arrivalsPerSecond, messagesPerSecondPerReplica } = load;
    // More than keep up are too few for what has piled up, and not for what comes.
    const replicas = Math.min(current, upwards(keepUp));
    const tooFew = { atMs: nowMs, replicas, arrivalsPerSecond, messagesPerSecondPerReplica };
    if (wish > current) return { ...none, wish, reason, tooFew };
  }
  const { min } = spec.replicas;
  const isIdle = nothing && memory.idleSeconds > 0 && memory.idleSeconds >= spec.behavior.zeroAfterSeconds;
  if (isIdle) return { ...none, wish: 0, reason: "Idle", so: idleShown };
  const few = Math.max(1, upwards(spared(situation)), provenFew(memory.tooFew, situation, nowMs) + 1);
  if (few >= current) return { ...none, wish: current, reason: "Steady" };
  if (current <= min) return { ...none, wish: few, reason: "Steady" };
  const surplus = surplusAfter(spec, memory, observation, few);
  const so = () =>
    `${replicasShown(surplus.enough)} would do, and the others go once that has held for a while`;
  const watched = Math.max(WATCH_SECONDS, 3 * spec.pollingIntervalSeconds) * 1000;
  const isNew = observation.nowMs - (memory.sinceMs ?? observation.nowMs) < watched;
  if (isNew || surplus.replicaSeconds < planTuning.starts * situation.leadSeconds) {
    return { ...none, wish: current, reason: "CoolingDown", so, surplus };
  }
  return {
    ...none,
    wish: surplus.enough,
    reason: "ScalingDown",
    so: (replicas) => `${replicasShown(replicas)} will keep the wait under ${shown(objectiveSeconds)} s`,
  };
}

/**
 * The number that has been too few lately for a load like this, if any: what replicas could do was an estimate then as well. It
 * is tried again when less is published, they are much faster, or time has passed.
 */
function provenFew(tooFew: TooFew | undefined, { load, objectiveSeconds }: Situation, nowMs: number): number {
  if (tooFew === undefined || nowMs - tooFew.atMs > planTuning.proven * objectiveSeconds * 1000) return 0;
  const isLess = load.arrivalsPerSecond < tooFew.arrivalsPerSecond * planTuning.less;
  const isFaster = load.messagesPerSecondPerReplica > tooFew.messagesPerSecondPerReplica * planTuning.faster;
  return isLess || isFaster ? 0 : tooFew.replicas;
}

/** Whole replicas; what floating point numbers add is no replica. */
function upwards(replicas: number): number {
  return Math.ceil(replicas * (1 - 1e-9));
}

function surplusAfter(
  spec: ScalingSpec,
  { surplus }: Remembered,
  { nowMs, replicas: { current } }: Observation,
  few: number,
): Surplus {
  // Somebody may have taken away more than would have gone.
  if (surplus === undefined || surplus.enough >= current)
    return { atMs: nowMs, replicaSeconds: 0, enough: few };
  const seconds = Math.min((nowMs - surplus.atMs) / 1000, oldestSeconds(spec));
  return {
    atMs: nowMs,
    replicaSeconds: surplus.replicaSeconds + seconds * (current - few),
    enough: Math.max(few, surplus.enough),
  };
}

/** As `messagesPerReplica` asks. */
export function rulePlanOf(
  spec: ScalingSpec,
  memory: Remembered,
  queue: QueueFigures,
  messagesPerReplica: number,
): Plan {
  const isIdle = memory.idleSeconds > 0 && memory.idleSeconds >= spec.behavior.zeroAfterSeconds;
  const asked = Math.ceil(inQueue(queue) / messagesPerReplica);
  const wish = asked === 0 && !isIdle ? Math.min(1, memory.current) : asked;
  const because = `${messagesShown(inQueue(queue))} in the queue, ${shown(messagesPerReplica)} for each replica`;
  return { wish, reason: "MessagesPerReplica", because, so: replicasShown, surplus: undefined };
}

/** As long as RabbitMQ's figures are unknown. */
export function unseenPlanOf(spec: ScalingSpec, memory: Remembered, observation: Observation): Plan {
  const { nowMs, queue, replicas, brokerReachable } = observation;
  const { current } = replicas;
  const seconds = (nowMs - (memory.unknownSinceMs ?? nowMs)) / 1000;
  const because = brokerReachable
    ? "RabbitMQ's figures are too old"
    : `RabbitMQ has not been heard of for ${shown(Math.round(seconds))} s`;
  const plan = { because, so: stayShown, surplus: undefined };
  const { fallback } = spec;
  if (fallback !== undefined && seconds >= fallback.afterSeconds) {
    return { ...plan, wish: Math.max(current, fallback.replicas), reason: "Fallback" };
  }
  const measured = perSecond(memory.arrivals) !== undefined && perSecond(memory.service) !== undefined;
  const fresh = queue !== undefined && nowMs - queue.sampledAtMs <= oldestSeconds(spec) * 1000;
  if (measured && fresh && spec.messagesPerReplica === undefined) {
    // A fleet that falls behind a little is harmless only as long as somebody looks.
    const wish = upwards(neededUnseen(situationOf(spec, memory, observation, queue)));
    if (wish > current) return { ...plan, wish, reason: "Arrivals", so: keepUpShown };
  }
  return { ...plan, wish: current, reason: "FiguresUnknown" };
}

function figuresOf(spec: ScalingSpec, memory: Remembered, queue: QueueFigures, arrivals: number): string {
  const { perSecond: rate, certain } = serviceOf(spec, memory);
  const does = certain ? `a replica does ${shown(rate)} a second` : "what a replica does is not known yet";
  const count = inQueue(queue);
  return `${messagesShown(count)} ${count === 1 ? "waits" : "wait"} and ${shown(arrivals)} a second come in; ${does}`;
}

/** With so many replicas, as soon as they have started. */
function waitShown(situation: Situation, replicas: number): string {
  const { load, fleet, startupSeconds, leadSeconds, objectiveSeconds } = situation;
  const there = fleet.filter(({ fromSeconds }) => fromSeconds < startupSeconds);
  const wait = longestWait(load, [...there, { fromSeconds: startupSeconds, replicas }], leadSeconds);
  if (wait <= objectiveSeconds)
    return `${replicasShown(replicas)} ${replicas === 1 ? "keeps" : "keep"} the wait under ${shown(objectiveSeconds)} s`;
  return `with ${replicasShown(replicas)} a message waits ${shown(wait)} s, longer than the ${shown(objectiveSeconds)} s promised`;
}

function idleShown(replicas: number): string {
  return replicas === 0 ? "no replica is needed" : stayShown(replicas);
}

function keepUpShown(replicas: number): string {
  return `${replicasShown(replicas)} ${replicas === 1 ? "keeps" : "keep"} up with what came before`;
}
