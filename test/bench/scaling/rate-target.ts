import type { PolicyFactory, PolicyObservation } from "./policy.ts";

/** Share of a replica's rate that is planned with; the rest is for what comes unforeseen. */
const UTILIZATION = 0.8;
/** Times in seconds. */
const WINDOW = 30;
const CATCH_UP = 30;
const PERIOD = 10;
const SCALE_DOWN_WINDOW = 90;
const ZERO_AFTER = 90;
/** Share of a new measurement in the rate of a replica, while busy and while it has only shown that it can do more. */
const GAIN_BUSY = 0.3;
const GAIN_MORE = 0.1;

/**
 * In the manner of Temporal's worker controller and of the autoscaler of Apache Flink's operator: arrivals over the rate of a
 * replica and a target utilization, more while a backlog is caught up; held by the largest wish of the last while.
 */
export const rateTarget: PolicyFactory = ({ maxReplicas, hintServiceRate }) => {
  let perReplica = hintServiceRate;
  let samples: PolicyObservation[] = [];
  let wishes: { readonly at: number; readonly replicas: number }[] = [];
  let next = 0;
  let quietSince: number | undefined;

  const learn = (seen: PolicyObservation) => {
    const last = samples.at(-1);
    if (last !== undefined && seen.sampleTime <= last.sampleTime) return;
    if (last !== undefined) {
      const replicas = (seen.replicasReady + last.replicasReady) / 2;
      const seconds = seen.sampleTime - last.sampleTime;
      const rate = (seen.ackedTotal - last.ackedTotal) / seconds / Math.max(1, replicas);
      const isBusy =
        seen.ready > 0 && last.ready > 0 && replicas >= 1 && seen.replicasReady === last.replicasReady;
      if (isBusy) perReplica += GAIN_BUSY * (rate - perReplica);
      else if (rate > perReplica) perReplica += GAIN_MORE * (rate - perReplica);
    }
    samples = [...samples, seen].filter(({ sampleTime }) => sampleTime >= seen.sampleTime - WINDOW - 1e-9);
  };

  return {
    name: "rate target",
    decide: (seen) => {
      if (!seen.available) return null;
      learn(seen);
      const [first] = samples;
      if (seen.time < next || first === undefined || samples.length < 2) {
        return seen.replicasCurrent === 0 && seen.ready > 0 ? 1 : null;
      }
      next = seen.time + PERIOD;
      const arrivals = (seen.arrivalTotal - first.arrivalTotal) / (seen.sampleTime - first.sampleTime);
      const backlog = Math.max(0, seen.ready + seen.unacked - seen.replicasReady);
      if (arrivals > 0 || backlog > 0) quietSince = undefined;
      else quietSince ??= seen.time;
      const isQuiet = quietSince !== undefined && seen.time - quietSince >= ZERO_AFTER;
      const least = isQuiet ? 0 : Math.min(1, seen.replicasCurrent + Math.sign(seen.ready));
      const asked = Math.ceil(arrivals / (perReplica * UTILIZATION) + backlog / (perReplica * CATCH_UP));
      const wish = Math.min(maxReplicas, Math.max(least, asked));
      wishes = [...wishes, { at: seen.time, replicas: wish }].filter(
        ({ at }) => at > seen.time - SCALE_DOWN_WINDOW,
      );
      if (wish >= seen.replicasCurrent) return wish;
      return Math.min(seen.replicasCurrent, Math.max(...wishes.map(({ replicas }) => replicas)));
    },
  };
};
