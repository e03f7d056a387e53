import { decide, initialMemory, type ScalingSpec } from "../../operator/decide.ts";
import type { PolicyContext, PolicyFactory } from "./scaling/policy.ts";

/** The default of `pollingIntervalSeconds`. */
const POLLING_SECONDS = 2;

/** Millrace as a policy of the simulator: the very function that runs in the cluster. */
export function millraceEvery(pollingIntervalSeconds: number): PolicyFactory {
  return (context) => {
    const spec = specFor(context, pollingIntervalSeconds);
    let memory = initialMemory(undefined);
    let due = 0;
    return {
      name:
        pollingIntervalSeconds === POLLING_SECONDS
          ? "Millrace"
          : `Millrace, every ${pollingIntervalSeconds} s`,
      decide: (seen) => {
        if (seen.time < due) return null;
        due = seen.time + pollingIntervalSeconds;
        const decision = decide(spec, memory, {
          nowMs: seen.time * 1000,
          queue: {
            sampledAtMs: seen.sampleTime * 1000,
            ready: seen.ready,
            unacknowledged: seen.unacked,
            consumers: seen.replicasReady,
            published: seen.arrivalTotal,
            delivered: seen.deliveredTotal,
            acknowledged: seen.ackedTotal,
            redelivered: seen.redeliveredTotal,
            deadLetters: undefined,
          },
          brokerReachable: seen.available,
          replicas: { current: seen.replicasCurrent, ready: seen.replicasReady },
        });
        memory = decision.memory;
        return decision.desiredReplicas;
      },
    };
  };
}

function specFor(context: PolicyContext, pollingIntervalSeconds: number): ScalingSpec {
  return {
    replicas: { min: context.minReplicas, max: context.maxReplicas },
    objective: { maxWaitSeconds: context.sloSeconds },
    behavior: { zeroAfterSeconds: 60 },
    hints: { messagesPerSecond: context.hintServiceRate, startupSeconds: 10 },
    paused: false,
    pollingIntervalSeconds,
  };
}

// The simulator asks for a default export.
export default millraceEvery(POLLING_SECONDS);
