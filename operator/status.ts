import type { Reading } from "./broker-figures.ts";
import type { Target } from "./cluster.ts";
import type { Decision, Estimates } from "./decide.ts";
import type { Hand } from "./manual-scale.ts";
import type { BrokenScaler, QueueScaler } from "./queue-scaler.ts";
import {
  type Condition,
  type ConditionType,
  conditionTypes,
  type QueueScalerStatus,
} from "./queue-scaler-status.ts";

/** Something that keeps a scaler from its work; `reason` is one word, `message` says what to mend. */
export interface Obstacle {
  readonly reason: string;
  readonly message: string;
}

/** All that one pass has come to know. */
export interface Findings {
  readonly nowMs: number;
  readonly target: Target | undefined;
  /** Undefined where RabbitMQ could not even be asked. */
  readonly reading: Reading | undefined;
  readonly decision: Decision | undefined;
  /** Who else scales the workload. */
  readonly conflict: string | undefined;
  /** The first thing in the way of doing what was decided. */
  readonly obstacle: Obstacle | undefined;
  readonly hand: Hand;
  /** A number that somebody else has set stays for now. */
  readonly respected: boolean;
  /** When this scaler last set the number, in milliseconds since 1970. */
  readonly scaledAtMs: number | undefined;
}

type Verdict = Pick<Condition, "status" | "reason" | "message">;
const isTrue = (reason: string, message: string): Verdict => ({ status: "True", reason, message });
const isFalse = (reason: string, message: string): Verdict => ({ status: "False", reason, message });
const unknown = (message: string): Verdict => ({ status: "Unknown", reason: "FiguresUnknown", message });
const NOT_READ = "RabbitMQ has not been asked";

function verdicts({ spec }: QueueScaler, found: Findings): Readonly<Record<ConditionType, Verdict>> {
  const { decision, reading, conflict, obstacle } = found;
  const figures = reading?.ok === true ? reading.figures : undefined;
  return {
    Ready:
      obstacle === undefined
        ? isTrue("Scaling", "nothing is in the way: the queue is read, and the workload can be scaled")
        : isFalse(obstacle.reason, obstacle.message),
    Active: activeOf(found),
    Limited: limitedOf(decision),
    BrokerReachable: reachableOf(reading, obstacle),
    Conflict:
      conflict === undefined
        ? isFalse("None", "nobody else scales the workload")
        : isTrue("OtherAutoscaler", conflict),
    Bottleneck:
      decision?.bottleneck === true
        ? isTrue("StoreBound", decision.message)
        : isFalse("None", "no limit but the number of replicas has been noticed"),
    DeadLetters: deadLettersOf(spec, figures?.deadLetters, reading),
    Paused: pausedOf(spec, found),
  };
}

function activeOf({ decision, reading }: Findings): Verdict {
  if (decision === undefined || reading?.ok !== true) return unknown("whether there is work is not known");
  if (decision.active) return isTrue("Messages", "there are messages, or some have just come");
  return isFalse("Idle", "there is nothing to do");
}

function limitedOf(decision: Decision | undefined): Verdict {
  if (decision?.limited === undefined) return isFalse("None", "the number is what the queue asks for");
  return isTrue(decision.limited, decision.message);
}

function reachableOf(reading: Reading | undefined, obstacle: Obstacle | undefined): Verdict {
  if (reading === undefined) return unknown(obstacle?.message ?? NOT_READ);
  if (reading.ok) return isTrue("Answering", "RabbitMQ answers");
  if (reading.fault === "QueueNotFound" || reading.fault === "VhostNotFound") {
    return isTrue("Answering", "RabbitMQ answers, but the queue is not there");
  }
  return isFalse(reading.fault, reading.message);
}

function deadLettersOf(
  { queue }: QueueScaler["spec"],
  count: number | undefined,
  reading: Reading | undefined,
): Verdict {
  if (reading?.ok !== true) return unknown("whether there are dead letters is not known");
  const of = deadLetterQueueOf(queue);
  if (count === undefined) return isFalse("NoQueue", `there is no queue ${of}`);
  if (count === 0) return isFalse("None", `the queue ${of} is empty`);
  return isTrue(
    "Waiting",
    `${count} messages wait in ${of}: find out why they were refused, and replay them`,
  );
}

function pausedOf({ paused, mode }: QueueScaler["spec"], { respected, hand, target }: Findings): Verdict {
  if (paused) return isTrue("Paused", "spec.paused is set: the number of replicas is left alone");
  if (mode === "Observe")
    return isTrue("Observing", "spec.mode is Observe: decisions are shown, not acted on");
  if (respected && hand.respectedUntilMs !== undefined) {
    const until = timeOf(hand.respectedUntilMs);
    return isTrue("ManualScale", `somebody has set ${target?.replicas} replicas, which stay until ${until}`);
  }
  return isFalse("Acting", "decisions are acted on");
}

/** Name of the queue of dead letters: by default that of the queue with `.dead`. */
export function deadLetterQueueOf({ name, deadLetterQueue }: QueueScaler["spec"]["queue"]): string {
  return deadLetterQueue ?? `${name}.dead`;
}

/** To the second, as Kubernetes writes times. */
const timeOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text));

/** What an earlier pass has measured. */
export function estimatesIn({ estimates = {} }: QueueScalerStatus): Partial<Estimates> {
  return {
    arrivalsPerSecond: numberOf(estimates.arrivalsPerSecond),
    messagesPerSecondPerReplica: numberOf(estimates.messagesPerSecondPerReplica),
    startupSeconds: numberOf(estimates.startupSeconds),
  };
}

/** Three digits that count; undefined stays undefined. */
function fractionOf(value: number | undefined): string | undefined {
  if (value === undefined || !Number.isFinite(value) || value < 0) return undefined;
  const digits = value === 0 ? 0 : 2 - Math.floor(Math.log10(value));
  return value.toFixed(Math.min(6, Math.max(0, digits)));
}

/** As long as the schema lets it be. */
const MESSAGE_LENGTH = 1024;

/** The status to be written. What is not known in this pass, such as an observation, stays as it was. */
export function statusOf(scaler: QueueScaler, before: QueueScalerStatus, found: Findings): QueueScalerStatus {
  const { decision, target, reading, hand } = found;
  const figures = reading?.ok === true ? reading.figures : undefined;
  const observedGeneration = scaler.metadata.generation;
  return withoutUndefined({
    observedGeneration,
    conditions: conditionsOf(scaler, verdicts(scaler, found), before, found.nowMs),
    observation:
      figures === undefined
        ? before.observation
        : withoutUndefined({
            time: timeOf(figures.sampledAtMs),
            ready: figures.ready,
            unacknowledged: figures.unacknowledged,
            consumers: figures.consumers,
            deadLetters: figures.deadLetters,
          }),
    backlog: figures === undefined ? before.backlog : figures.ready + figures.unacknowledged,
    estimates:
      decision === undefined
        ? before.estimates
        : withoutUndefined({
            arrivalsPerSecond: fractionOf(decision.estimates.arrivalsPerSecond),
            messagesPerSecondPerReplica: fractionOf(decision.estimates.messagesPerSecondPerReplica),
            startupSeconds: fractionOf(decision.estimates.startupSeconds),
            waitSeconds: fractionOf(decision.estimates.waitSeconds),
          }),
    desiredReplicas: decision?.desiredReplicas ?? before.desiredReplicas,
    currentReplicas: target?.replicas,
    readyReplicas: target?.readyReplicas,
    selector: target?.selector,
    reason: found.respected ? "ManualScale" : (decision?.reason ?? found.obstacle?.reason),
    message: (decision?.message ?? found.obstacle?.message)?.slice(0, MESSAGE_LENGTH),
    setReplicas: hand.setReplicas,
    respectedUntil: hand.respectedUntilMs === undefined ? undefined : timeOf(hand.respectedUntilMs),
    lastScaleTime: found.scaledAtMs === undefined ? before.lastScaleTime : timeOf(found.scaledAtMs),
  });
}

/** Of one whose spec cannot be followed: nothing was looked at, and what was known before stays. */
export function brokenStatusOf(
  scaler: BrokenScaler,
  before: QueueScalerStatus,
  nowMs: number,
): QueueScalerStatus {
  const reason = "SpecInvalid";
  const unasked = { status: "Unknown", reason, message: "the spec cannot be followed: see Ready" } as const;
  const all = Object.fromEntries(conditionTypes.map((type) => [type, unasked] as const));
  const message = `${scaler.fault}; until then the number of replicas stays`;
  const conditions = conditionsOf(scaler, { ...all, Ready: isFalse(reason, message) }, before, nowMs);
  const { generation: observedGeneration } = scaler.metadata;
  return { ...before, observedGeneration, conditions, reason, message: message.slice(0, MESSAGE_LENGTH) };
}

function conditionsOf(
  { metadata }: Pick<QueueScaler, "metadata">,
  holds: Readonly<Record<string, Verdict>>,
  before: QueueScalerStatus,
  nowMs: number,
): Condition[] {
  return Object.entries(holds).map(([type, verdict]) => {
    const earlier = before.conditions?.find((one) => one.type === type);
    const since = earlier?.status === verdict.status ? earlier.lastTransitionTime : timeOf(nowMs);
    return { type, ...verdict, lastTransitionTime: since, observedGeneration: metadata.generation };
  });
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };
function withoutUndefined<T extends object>(from: T): Defined<T> {
  return Object.fromEntries(Object.entries(from).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** Figures are written so often at most while they move, in milliseconds. */
const MOVING_MS = 10_000;
/** And about so often at least, so that a status can be seen to be alive, in milliseconds. */
export const STANDING_MS = 60_000;

/** Whether it is worth a request now: at once where people or programs act on it, else after a while. */
export function isWorthWriting(
  written: QueueScalerStatus,
  next: QueueScalerStatus,
  sinceMs: number,
  standingMs: number,
): boolean {
  if (sinceMs >= standingMs) return true;
  if (JSON.stringify(urgent(written)) !== JSON.stringify(urgent(next))) return true;
  return sinceMs >= MOVING_MS && JSON.stringify(moving(written)) !== JSON.stringify(moving(next));
}

const urgent = (status: QueueScalerStatus) => [
  status.observedGeneration,
  status.conditions?.map(({ type, status: holds, reason }) => [type, holds, reason]),
  status.desiredReplicas,
  status.currentReplicas,
  status.readyReplicas,
  status.setReplicas,
  status.respectedUntil,
];
/** Not the estimates: these move for ever. */
const moving = ({ backlog, reason, observation }: QueueScalerStatus) => [
  backlog,
  reason,
  observation?.consumers,
  observation?.deadLetters,
];
