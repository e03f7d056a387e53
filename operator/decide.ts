import { bounded } from "./decide/bounds.ts";
import { waitAfter } from "./decide/forecast.ts";
import { holdOf, withConsumers } from "./decide/holds.ts";
import { type Remembered, untilNow } from "./decide/memory.ts";
import { type Plan, planOf, rulePlanOf, situationOf, unseenPlanOf } from "./decide/plan.ts";
import { inQueue, oldestSeconds, withQueue } from "./decide/queue.ts";
import { perSecond } from "./decide/rate.ts";
import { withReplicas } from "./decide/replicas.ts";
import { replicasShown, shown, stayShown } from "./decide/sentence.ts";
import { isBound, mostToTry } from "./decide/throughput.ts";
import type { QueueScalerSpec } from "./queue-scaler.ts";

/** What RabbitMQ said of a queue. The totals start anew with the broker; a total that it does not tell is undefined, never 0. */
export interface QueueFigures {
  /** When they were true, in milliseconds since 1970; two readings of one sample have the same. */
  readonly sampledAtMs: number;
  readonly ready: number;
  readonly unacknowledged: number;
  /** Undefined where the broker's statistics are switched off. */
  readonly consumers: number | undefined;
  readonly published: number | undefined;
  readonly delivered: number | undefined;
  readonly acknowledged: number | undefined;
  readonly redelivered: number | undefined;
  /** Messages in the queue of dead letters; undefined where there is no such queue. */
  readonly deadLetters: number | undefined;
}

export interface Observation {
  readonly nowMs: number;
  /** Of the last reading that succeeded; undefined before the first. */
  readonly queue: QueueFigures | undefined;
  /** Whether the last reading succeeded. While it did not, `queue` keeps its values. */
  readonly brokerReachable: boolean;
  /** Replicas that the workload is set to, and those of them that are ready. */
  readonly replicas: { readonly current: number; readonly ready: number };
}

/** The part of a spec that the decision depends on. */
export type ScalingSpec = Pick<
  QueueScalerSpec,
  | "replicas"
  | "objective"
  | "messagesPerReplica"
  | "behavior"
  | "fallback"
  | "hints"
  | "paused"
  | "pollingIntervalSeconds"
>;

/** What has been learned and is worth keeping over a restart; a figure that is not known is undefined. */
export interface Estimates {
  readonly arrivalsPerSecond: number | undefined;
  readonly messagesPerSecondPerReplica: number | undefined;
  readonly startupSeconds: number | undefined;
  /** Time that a message published now will wait, by the replicas there are, in seconds. */
  readonly waitSeconds: number | undefined;
}

/** Why so many replicas are wanted; each with what it means to a person on call. */
export const reasons = {
  Arrivals: "so many are needed to keep up with what is published",
  Backlog: "more are needed for a time, so that what has piled up is done within the objective",
  Steady: "the number there is keeps the objective",
  CoolingDown: "fewer would do, and they go once that has held for a while",
  ScalingDown: "fewer will do",
  Waking: "the first messages have come",
  Idle: "there is nothing to do",
  MessagesPerReplica: "the plain rule of messages per replica asks for them",
  FiguresUnknown: "RabbitMQ's figures are not known, so the number stays",
  Fallback: "RabbitMQ's figures have not been known for a while, so the fallback holds",
  StoreBound: "more replicas bring no more throughput, so none is added",
  DeadLetters: "messages become dead letters as fast as they are read, so none is added",
  NoConsumers: "replicas are ready but none consumes the queue, so none is added",
  Paused: "the scaler is paused",
} as const;
export type Reason = keyof typeof reasons;

/** Opaque to all but `decide`; plain values, so that it can be copied. */
export interface Memory {
  readonly [field: string]: unknown;
}

export interface Decision {
  /** Always a whole number within `replicas`, but for `Paused`, which wants the number there is. */
  readonly desiredReplicas: number;
  readonly reason: Reason;
  /** A sentence with the figures that led to it. */
  readonly message: string;
  /** What kept the number from being what was asked for otherwise. */
  readonly limited: "Maximum" | "Minimum" | "ScaleUp" | "ScaleDown" | undefined;
  /** More replicas bring no more throughput. */
  readonly bottleneck: boolean;
  /** Something is ready, unacknowledged or published. */
  readonly active: boolean;
  readonly estimates: Estimates;
  readonly memory: Memory;
}

export { initialMemory } from "./decide/memory.ts";

/**
 * How many replicas there should be. Pure: no clock, no chance, nothing kept but `memory`. It may be called at any rhythm, but
 * each call is to be given the memory of the one before, and only replicas that were really set as `current`.
 */
export function decide(spec: ScalingSpec, memory: Memory, observation: Observation): Decision {
  const before = memory as unknown as Remembered;
  const known = learned(spec, before, observation);
  const { current } = observation.replicas;
  // By what was known before: so this reading decides how many, and not also whether any.
  const hold = holdOf(before, observation);
  const plan = wished(spec, known, observation);
  // Of a queue that nobody sees, the last figures do not speak against what is wished for.
  const isSeen = areKnown(spec, observation);
  const isHeld = isSeen && hold !== undefined && plan.wish >= current && plan.reason !== "Paused";
  const most = isSeen ? Math.max(current, mostToTry(before)) : Number.POSITIVE_INFINITY;
  const wish = isHeld ? current : Math.min(plan.wish, most);
  const { replicas, limited } =
    plan.reason === "Paused"
      ? { replicas: current, limited: undefined }
      : bounded(spec, known, observation, wish);
  return {
    desiredReplicas: replicas,
    reason: isHeld ? hold : plan.reason,
    message: `${plan.because}: ${isHeld ? heldShown(hold, known, current) : plan.so(replicas)}${limitShown(spec, limited)}`,
    limited,
    bottleneck: isBound(known),
    active: isActive(known),
    estimates: estimatesOf(spec, known, observation),
    memory: { ...known, surplus: plan.surplus, tooFew: plan.tooFew ?? known.tooFew },
  };
}

function learned(spec: ScalingSpec, memory: Remembered, observation: Observation): Remembered {
  const { nowMs } = observation;
  const there = withReplicas(spec, untilNow(memory, nowMs), observation);
  const known = withConsumers(withQueue(spec, there, observation), observation);
  const unknownSinceMs = areKnown(spec, observation) ? undefined : (known.unknownSinceMs ?? nowMs);
  return { ...known, unknownSinceMs };
}

function areKnown(spec: ScalingSpec, { nowMs, queue, brokerReachable }: Observation): boolean {
  return queue !== undefined && brokerReachable && nowMs - queue.sampledAtMs <= oldestSeconds(spec) * 1000;
}

function wished(spec: ScalingSpec, memory: Remembered, observation: Observation): Plan {
  const { queue, replicas } = observation;
  if (spec.paused) {
    return {
      wish: replicas.current,
      reason: "Paused",
      because: "the scaler is paused",
      so: stayShown,
      surplus: undefined,
    };
  }
  if (queue === undefined || !areKnown(spec, observation)) return unseenPlanOf(spec, memory, observation);
  if (spec.messagesPerReplica === undefined) return planOf(spec, memory, observation, queue);
  return rulePlanOf(spec, memory, queue, spec.messagesPerReplica);
}

function isActive({ sample, idleSeconds, arrivals }: Remembered): boolean {
  if (sample === undefined) return false;
  return inQueue(sample) > 0 || (idleSeconds === 0 && (perSecond(arrivals) ?? 0) > 0);
}

function estimatesOf(spec: ScalingSpec, memory: Remembered, observation: Observation): Estimates {
  const { queue } = observation;
  const { load, fleet } =
    queue !== undefined && areKnown(spec, observation)
      ? situationOf(spec, memory, observation, queue)
      : { load: undefined, fleet: [] };
  const wait = load === undefined ? Number.POSITIVE_INFINITY : waitAfter(load, fleet, 0);
  return {
    arrivalsPerSecond: perSecond(memory.arrivals),
    messagesPerSecondPerReplica: perSecond(memory.service) || undefined,
    startupSeconds: memory.startupSeconds,
    waitSeconds: Number.isFinite(wait) ? wait : undefined,
  };
}

function heldShown(hold: Reason, { dead, done, throughput }: Remembered, current: number): string {
  if (hold === "NoConsumers") return `none of ${replicasShown(current)} consumes the queue, so none is added`;
  if (hold === "DeadLetters") {
    return `${shown(Math.round(dead))} of the last ${shown(Math.round(Math.max(dead, done)))} messages became dead letters, so none is added`;
  }
  return `the last replicas that were added brought no more than ${shown(throughput?.perSecond ?? 0)} a second in all, so none is added`;
}

function limitShown({ replicas, behavior }: ScalingSpec, limited: Decision["limited"]): string {
  if (limited === "Maximum") return ` (replicas.max is ${replicas.max})`;
  if (limited === "Minimum") return ` (replicas.min is ${replicas.min})`;
  if (limited === "ScaleUp") return ` (behavior.scaleUp allows ${behavior.scaleUp?.replicas} at a time)`;
  return limited === "ScaleDown"
    ? ` (behavior.scaleDown allows ${behavior.scaleDown?.replicas} at a time)`
    : "";
}
