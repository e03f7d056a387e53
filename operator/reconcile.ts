import type { BrokerFigures } from "./broker-figures.ts";
import type { Cluster, Notice, ObjectName, Target } from "./cluster.ts";
import { conflictOf } from "./conflict.ts";
import { type Decision, decide, initialMemory, type Memory, type QueueFigures } from "./decide.ts";
import { type Hand, manualScale } from "./manual-scale.ts";
import { faultOf, readingOf, targetOf } from "./observe.ts";
import { manualNotice, noticesOf, scaledNotice } from "./notices.ts";
import { brokenFactOf, factOf } from "./fact.ts";
import type { BrokenScaler, QueueScaler } from "./queue-scaler.ts";
import type { QueueScalerStatus } from "./queue-scaler-status.ts";
import {
  brokenStatusOf,
  estimatesIn,
  type Findings,
  isWorthWriting,
  type Obstacle,
  statusOf,
  STANDING_MS,
} from "./status.ts";
import type { Clock } from "../src/ports/clock.ts";
import type { Emit } from "../src/signals.ts";

export interface OperatorParts {
  readonly cluster: Cluster;
  readonly figures: BrokerFigures;
  readonly clock: Clock;
  readonly emit: Emit;
}
/** What the cluster refuses goes into the status, and is tried again in the next pass. Rejects only on a defect. */
export type Reconcile = (name: ObjectName) => Promise<{ readonly againInMs: number | undefined }>;

/** When to look again at a workload that changed just as it was to be scaled, in milliseconds; twice as long after each time in a row. */
const SOON_MS = 250;
/** Lost in a row, so many are no chance: then the status tells of them. */
const RACES = 5;

/** What is kept of a scaler between two passes. After a restart it is made of the status. */
interface Kept {
  readonly uid: string;
  readonly memory: Memory;
  readonly queue: QueueFigures | undefined;
  readonly hand: Hand;
  readonly status: QueueScalerStatus;
  /** In milliseconds since 1970; 0 where this process has not written it. */
  readonly writtenAtMs: number;
  /** How long a status that says nothing new is not written: not the same for all, so that they do not come in waves. */
  readonly standingMs: number;
  /** How often in a row the workload was another when it was to be scaled. */
  readonly conflicts: number;
  /** The last credentials were refused. */
  readonly refused: boolean;
}

/** One pass for a scaler each time it is called: observe, decide, act, report. Safe to repeat. */
export function createReconcile(parts: OperatorParts): Reconcile {
  const kept = new Map<string, Kept>();
  return async (name) => {
    const key = `${name.namespace}/${name.name}`;
    const scaler = parts.cluster.scaler(name);
    if (scaler === undefined) {
      if (kept.delete(key)) {
        parts.emit("scaler.forgotten", { namespace: name.namespace, scaler: name.name });
      }
      return { againInMs: undefined };
    }
    const known = kept.get(key);
    const before = known?.uid === scaler.metadata.uid ? known : keptOf(scaler);
    if ("fault" in scaler) {
      kept.set(key, await broken(parts, scaler, before));
      return { againInMs: STANDING_MS };
    }
    const after = await pass(parts, scaler, before);
    kept.set(key, after);
    // Scalers that began together part, so that their passes do.
    const pollingMs = scaler.spec.pollingIntervalSeconds * 1000 * (0.95 + 0.1 * Math.random());
    const soonMs = SOON_MS * 2 ** (after.conflicts - 1);
    return { againInMs: after.conflicts > 0 ? Math.min(soonMs, pollingMs) : pollingMs };
  };
}

function keptOf({ metadata, status = {} }: Pick<QueueScaler, "metadata" | "status">): Kept {
  const { setReplicas, desiredReplicas, respectedUntil } = status;
  const respectedUntilMs = respectedUntil === undefined ? undefined : Date.parse(respectedUntil);
  return {
    uid: metadata.uid,
    memory: initialMemory(estimatesIn(status)),
    queue: undefined,
    hand: { setReplicas, triedReplicas: desiredReplicas, respectedUntilMs },
    status,
    writtenAtMs: 0,
    standingMs: STANDING_MS * (0.5 + Math.random()),
    conflicts: 0,
    refused: false,
  };
}

interface Reporting {
  readonly parts: OperatorParts;
  readonly scaler: Pick<QueueScaler, "metadata">;
  readonly before: Kept;
}
interface Pass extends Reporting {
  readonly scaler: QueueScaler;
}

/** Says what is wrong with it. The workload stays as it is, and what was learned is kept until the spec is mended. */
async function broken(parts: OperatorParts, scaler: BrokenScaler, before: Kept): Promise<Kept> {
  const nowMs = parts.clock.now();
  const status = brokenStatusOf(scaler, before.status, nowMs);
  parts.emit("scaler.decided", brokenFactOf(scaler, status));
  return { ...before, ...(await report({ parts, scaler, before }, status, nowMs)) };
}

async function pass(parts: OperatorParts, scaler: QueueScaler, before: Kept): Promise<Kept> {
  const { cluster, clock } = parts;
  const { namespace } = scaler.metadata;
  const conflict = conflictOf(scaler, cluster.scalers(), cluster.rivals(namespace));
  const seen = await targetOf(cluster, scaler);
  const { reading, obstacle } = await readingOf(parts, scaler, before.refused);
  const observed = {
    nowMs: clock.now(),
    reading,
    conflict,
    queue: reading?.ok === true ? reading.figures : before.queue,
    obstacle:
      conflict === undefined ? (seen.obstacle ?? obstacle) : { reason: "Conflict", message: conflict },
  };
  const { found, memory, conflicts } =
    seen.target === undefined
      ? { found: unscaled(before, observed), memory: before.memory, conflicts: 0 }
      : await scaled({ parts, scaler, before }, seen.target, observed);
  const status = statusOf(scaler, before.status, found);
  parts.emit("scaler.decided", factOf(scaler, found, status, observed.queue));
  const reported = await report({ parts, scaler, before }, status, found.nowMs);
  const refused = reading?.ok === false && reading.fault === "Unauthorized";
  const { uid, standingMs } = before;
  const { queue } = observed;
  return { uid, memory, queue, hand: found.hand, standingMs, conflicts, refused, ...reported };
}

interface Observed extends Pick<Findings, "nowMs" | "reading" | "conflict" | "obstacle"> {
  readonly queue: QueueFigures | undefined;
}

function unscaled({ hand }: Kept, observed: Observed): Findings {
  return {
    ...observed,
    target: undefined,
    decision: undefined,
    hand,
    respected: false,
    scaledAtMs: undefined,
  };
}

/** Decides, and has the cluster do it where nothing is in the way. */
async function scaled(
  { parts, scaler, before }: Pass,
  target: Target,
  observed: Observed,
): Promise<{ readonly found: Findings; readonly memory: Memory; readonly conflicts: number }> {
  const { spec } = scaler;
  const decision = decide(spec, before.memory, {
    nowMs: observed.nowMs,
    queue: observed.queue,
    brokerReachable: observed.reading?.ok === true,
    replicas: { current: target.replicas, ready: target.readyReplicas ?? consuming(target, observed.queue) },
  });
  const free = spec.mode === "Act" && !spec.paused && observed.conflict === undefined;
  const hand = free ? before.hand : { ...before.hand, setReplicas: undefined };
  const manual = manualScale(spec.manualScale, hand, target.replicas, observed.nowMs);
  if (manual.noticed) announce(parts, scaler, manualNotice(target.replicas, spec.manualScale));
  const acts = free && !manual.respected && decision.desiredReplicas !== target.replicas;
  const planned: Findings = {
    ...observed,
    target,
    decision,
    hand: manual.hand,
    respected: manual.respected,
    scaledAtMs: undefined,
  };
  if (acts && spec.manualScale.policy === "Respect") await writePlan({ parts, scaler, before }, planned);
  const acted: Acted = acts ? await act({ parts, scaler, before }, target, decision) : {};
  const found: Findings = {
    ...planned,
    target: acted.target ?? target,
    obstacle: observed.obstacle ?? acted.obstacle,
    hand: {
      ...manual.hand,
      setReplicas: (acted.target ?? target).replicas,
      triedReplicas: acts ? decision.desiredReplicas : manual.hand.triedReplicas,
    },
    scaledAtMs: acted.target === undefined ? undefined : observed.nowMs,
  };
  return { found, memory: decision.memory, conflicts: acted.lostRace === true ? before.conflicts + 1 : 0 };
}

/** Should this process end before it reports, the next one must not take its number for somebody else's. */
async function writePlan({ parts, scaler, before }: Pass, planned: Findings): Promise<void> {
  const { conditions = [], ...status } = statusOf(scaler, before.status, planned);
  const asBefore = { ...status, conditions: before.status.conditions ?? conditions };
  await write({ parts, scaler, before }, asBefore, planned.nowMs);
}

/** Of a kind that does not tell which of its replicas are ready: as many as consume the queue, where that is told. */
function consuming({ replicas }: Target, queue: QueueFigures | undefined): number {
  return Math.min(replicas, queue?.consumers ?? replicas);
}

interface Acted {
  /** As it is now, where it was scaled. */
  readonly target?: Target;
  readonly obstacle?: Obstacle;
  /** Somebody else has changed the workload meanwhile: look again. */
  readonly lostRace?: true;
}

async function act(
  { parts, scaler, before }: Pass,
  target: Target,
  { desiredReplicas, reason, message }: Decision,
): Promise<Acted> {
  const { namespace, name } = scaler.metadata;
  const { scaleTargetRef } = scaler.spec;
  try {
    const now = await parts.cluster.scale(namespace, scaleTargetRef, target, desiredReplicas);
    parts.emit("replicas.changed", {
      namespace,
      scaler: name,
      target: `${scaleTargetRef.kind} ${scaleTargetRef.name}`,
      from: target.replicas,
      to: desiredReplicas,
      reason,
      message,
    });
    announce(parts, scaler, scaledNotice(target.replicas, desiredReplicas, message));
    return { target: now };
  } catch (error) {
    const fault = faultOf(error);
    const obstacle = { reason: `Scale${fault.fault}`, message: fault.message };
    if (fault.fault !== "Conflict") return { obstacle };
    return before.conflicts < RACES ? { lostRace: true } : { lostRace: true, obstacle };
  }
}

/** Tells by Events and the status. What cannot be written now is written by a later pass. */
async function report(
  { parts, scaler, before }: Reporting,
  status: QueueScalerStatus,
  nowMs: number,
): Promise<Pick<Kept, "status" | "writtenAtMs">> {
  for (const notice of noticesOf(before.status.conditions, status.conditions))
    announce(parts, scaler, notice);
  return write({ parts, scaler, before }, status, nowMs);
}

async function write(
  { parts, scaler, before }: Reporting,
  status: QueueScalerStatus,
  nowMs: number,
): Promise<Pick<Kept, "status" | "writtenAtMs">> {
  const { status: written, writtenAtMs, standingMs } = before;
  if (!isWorthWriting(written, status, nowMs - writtenAtMs, standingMs))
    return { status: written, writtenAtMs };
  try {
    await parts.cluster.report(scaler, status);
    return { status, writtenAtMs: nowMs };
  } catch (error) {
    lost(parts, scaler, error);
    return { status, writtenAtMs: 0 };
  }
}

function announce(parts: OperatorParts, scaler: Reporting["scaler"], notice: Notice): void {
  parts.cluster.announce(scaler, notice).catch((error: unknown) => lost(parts, scaler, error));
}

function lost({ emit }: OperatorParts, { metadata }: Reporting["scaler"], error: unknown): void {
  emit("report.lost", { namespace: metadata.namespace, scaler: metadata.name, error });
}
