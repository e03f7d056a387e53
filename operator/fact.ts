import type { QueueFigures } from "./decide.ts";
import type { BrokenScaler, QueueScaler } from "./queue-scaler.ts";
import type { QueueScalerStatus } from "./queue-scaler-status.ts";
import type { Findings } from "./status.ts";
import type { Signals } from "../src/signals.ts";

const NOT_ESTIMATED = {
  arrivalsPerSecond: undefined,
  messagesPerSecondPerReplica: undefined,
  waitSeconds: undefined,
} as const;

/** What one pass has come to, for the telemetry. */
export function factOf(
  { metadata, spec }: QueueScaler,
  { nowMs, reading, target, respected, decision }: Findings,
  { message, conditions }: QueueScalerStatus,
  queue: QueueFigures | undefined,
): Signals["scaler.decided"] {
  return {
    namespace: metadata.namespace,
    scaler: metadata.name,
    reason: respected ? "ManualScale" : decision?.reason,
    message,
    brokerReachable: reading?.ok === true,
    observationAgeSeconds: queue === undefined ? undefined : Math.max(0, nowMs - queue.sampledAtMs) / 1000,
    backlog: queue === undefined ? undefined : queue.ready + queue.unacknowledged,
    estimates: decision?.estimates ?? NOT_ESTIMATED,
    replicas: {
      desired: decision?.desiredReplicas,
      current: target?.replicas,
      ready: target?.readyReplicas,
    },
    limited: decision?.limited !== undefined,
    bottleneck: decision?.bottleneck === true,
    objectiveSeconds: spec.objective.maxWaitSeconds,
    bounds: spec.replicas,
    conditions: knownOf(conditions),
  };
}

/** Of one whose spec cannot be followed, nothing was asked. */
export function brokenFactOf(
  { metadata, fault }: BrokenScaler,
  { conditions }: QueueScalerStatus,
): Signals["scaler.decided"] {
  return {
    namespace: metadata.namespace,
    scaler: metadata.name,
    reason: undefined,
    message: fault,
    brokerReachable: undefined,
    observationAgeSeconds: undefined,
    backlog: undefined,
    estimates: NOT_ESTIMATED,
    replicas: { desired: undefined, current: undefined, ready: undefined },
    limited: false,
    bottleneck: false,
    objectiveSeconds: undefined,
    bounds: { min: undefined, max: undefined },
    conditions: knownOf(conditions),
  };
}

function knownOf(conditions: QueueScalerStatus["conditions"] = []): Readonly<Record<string, boolean>> {
  return Object.fromEntries(
    conditions.flatMap(({ type, status }) => (status === "Unknown" ? [] : [[type, status === "True"]])),
  );
}
