import type { Decision, Observation, ScalingSpec } from "../decide.ts";
import type { Remembered } from "./memory.ts";
import { changedWithin } from "./replicas.ts";

export interface Bounded {
  readonly replicas: number;
  readonly limited: Decision["limited"];
}

/** What `behavior` and then `replicas` leave of a wish; the outermost bound that changed it is named. */
export function bounded(
  spec: ScalingSpec,
  memory: Remembered,
  observation: Observation,
  wish: number,
): Bounded {
  const { min, max } = spec.replicas;
  const paced = pacedTo(spec, memory, observation, wish);
  if (paced > max) return { replicas: max, limited: "Maximum" };
  if (paced < min) return { replicas: min, limited: "Minimum" };
  // Beyond the maximum is beyond it however slowly it is reached.
  if (wish > max) return { replicas: paced, limited: "Maximum" };
  if (paced === wish) return { replicas: wish, limited: undefined };
  return { replicas: paced, limited: paced < wish ? "ScaleUp" : "ScaleDown" };
}

/** As the HorizontalPodAutoscaler counts: what has changed within the period is part of what may change in it. */
function pacedTo(
  { behavior: { scaleUp, scaleDown } }: ScalingSpec,
  { grown, shrunk }: Remembered,
  { nowMs, replicas: { current } }: Observation,
  wish: number,
): number {
  if (wish > current && scaleUp !== undefined) {
    const left = scaleUp.replicas - changedWithin(grown, nowMs, scaleUp.periodSeconds);
    return Math.min(wish, current + Math.max(0, left));
  }
  if (wish < current && scaleDown !== undefined) {
    const left = scaleDown.replicas - changedWithin(shrunk, nowMs, scaleDown.periodSeconds);
    return Math.max(wish, current - Math.max(0, left));
  }
  return wish;
}
