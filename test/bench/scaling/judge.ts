import type { Summaries, Summary } from "./summary.ts";

/** What a policy has to keep to pass; what is undefined need not be kept. */
export interface Limits {
  /** Share of messages over the objective. */
  readonly missed: number;
  /** Replica-seconds over those of a clairvoyant, of all traces and of any. */
  readonly cost: number;
  readonly traceCost: number;
  /** 99th percentile of the wait in any run, and the mean of it over the traces, as shares of the objective. */
  readonly worstP99: number;
  readonly p99: number | undefined;
  /** Changes of direction a trace. */
  readonly directionChanges: number | undefined;
  /** Whether it may cost more than a rival that misses no more. */
  readonly mayCostMore: boolean;
}

export const knownLimits: Limits = {
  missed: 0.0001,
  cost: 1.2,
  traceCost: 1.6,
  worstP99: 0.7,
  p99: 0.4,
  directionChanges: 18,
  mayCostMore: false,
};
/** Of traces by chance: how often the direction changes, how long most wait and what a start costs depends on how restless they are. */
export const drawnLimits: Limits = {
  ...knownLimits,
  traceCost: 1.8,
  p99: undefined,
  directionChanges: undefined,
  mayCostMore: true,
};

/** Replica-seconds that two policies may differ by, and be said to cost the same. */
const SAME_COST = 1.005;
/** Misses that are worth any cost. */
const WORTH_IT = 0.01;

export interface Trial {
  readonly summaries: Summaries;
  readonly policy: string;
  /** Those that it is to be no worse than on any trace. */
  readonly rivals: readonly string[];
  readonly objectiveSeconds: number;
  readonly limits: Limits;
}

/** What the policy fails, in words; empty where it passes. */
export function failuresOf(trial: Trial): readonly string[] {
  const { summaries, policy, objectiveSeconds, limits } = trial;
  const all = summaries.perPolicy.find((one) => one.policy === policy);
  if (all === undefined) return [`no result of ${policy}`];
  const p99 = (limits.p99 ?? Number.POSITIVE_INFINITY) * objectiveSeconds;
  const changes = limits.directionChanges ?? Number.POSITIVE_INFINITY;
  const failures = [
    all.missed > limits.missed &&
      `${percent(all.missed)} of messages over the objective, not ${percent(limits.missed)}`,
    all.cost > limits.cost && `cost ${all.cost.toFixed(3)}, not ${limits.cost}`,
    all.p99 > p99 && `mean p99 ${all.p99.toFixed(1)} s, not ${p99.toFixed(1)} s`,
    all.directionChanges > changes &&
      `${all.directionChanges.toFixed(1)} direction changes a trace, not ${changes}`,
    ...summaries.perTrace
      .filter((one) => one.policy === policy)
      .flatMap((one) => failuresOnTrace(one, trial)),
  ];
  return failures.filter((failure) => failure !== false);
}

function failuresOnTrace(one: Summary, trial: Trial): readonly (string | false)[] {
  const { limits } = trial;
  const worst = limits.worstP99 * trial.objectiveSeconds;
  const rivals = trial.summaries.perTrace.filter(
    ({ trace, policy }) => trace === one.trace && trial.rivals.includes(policy),
  );
  return [
    one.worstP99 > worst && `${one.trace}: p99 ${one.worstP99.toFixed(1)} s, not ${worst.toFixed(1)} s`,
    one.cost > limits.traceCost && `${one.trace}: cost ${one.cost.toFixed(2)}, not ${limits.traceCost}`,
    ...rivals.flatMap((rival) => [
      one.missed > rival.missed + limits.missed && `${one.trace}: more misses than ${rival.policy}`,
      !limits.mayCostMore &&
        one.replicaSeconds > rival.replicaSeconds * SAME_COST &&
        rival.missed <= one.missed + WORTH_IT &&
        `${one.trace}: more replica-seconds than ${rival.policy}, without saving misses`,
    ]),
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(3)} %`;
}
