import type { PolicyContext, PolicyFactory } from "./policy.ts";

/** Settings of Knative's pod autoscaler: its defaults, but for a tick that suits a queue. Times in seconds. */
const TICK = 2;
const STABLE_WINDOW = 60;
const PANIC_WINDOW = 6;
const PANIC_THRESHOLD = 2;
const UTILIZATION = 0.7;
const MOST_UP = 1000;
const MOST_DOWN = 2;
const ZERO_GRACE = 30;

/** Knative's pod autoscaler read on a queue: the messages in the queue are the concurrency, `targetOf` them a replica. */
export function knativeLike(targetOf: (context: PolicyContext) => number): PolicyFactory {
  return (context) => {
    const target = targetOf(context) * UTILIZATION;
    let samples: { readonly at: number; readonly depth: number }[] = [];
    let panicAt: number | undefined;
    let mostInPanic = 0;
    let zeroSince: number | undefined;
    let next = 0;
    return {
      name: "Knative-like",
      decide: (seen) => {
        const { time, replicasReady, replicasCurrent } = seen;
        if (seen.available) samples.push({ at: time, depth: seen.ready + seen.unacked });
        samples = samples.filter(({ at }) => at > time - STABLE_WINDOW);
        if (time < next || samples.length === 0 || !seen.available) return null;
        next = time + TICK;
        const mean = (window: number) => {
          const recent = samples.filter(({ at }) => at > time - window);
          return recent.reduce((sum, { depth }) => sum + depth, 0) / Math.max(1, recent.length);
        };
        const stable = mean(STABLE_WINDOW);
        const panic = mean(PANIC_WINDOW);
        const pods = Math.max(1, replicasReady);
        const within = (depth: number) =>
          Math.min(
            Math.max(Math.ceil(depth / target), Math.floor(pods / MOST_DOWN)),
            Math.ceil(MOST_UP * pods),
          );
        if (Math.ceil(panic / target) / pods >= PANIC_THRESHOLD) {
          if (panicAt === undefined) mostInPanic = replicasReady;
          panicAt = time;
        } else if (panicAt !== undefined && time - panicAt > STABLE_WINDOW) {
          panicAt = undefined;
        }
        let desired = within(stable);
        if (panicAt !== undefined) {
          mostInPanic = Math.max(mostInPanic, desired, within(panic));
          desired = mostInPanic;
        }
        if (stable === 0 && panic === 0 && panicAt === undefined) {
          zeroSince ??= time;
          desired = time - zeroSince >= ZERO_GRACE ? 0 : Math.min(1, replicasCurrent);
        } else {
          zeroSince = undefined;
          desired = Math.max(1, desired);
        }
        return Math.min(context.maxReplicas, desired);
      },
    };
  };
}
