import { dayOf } from "./day.ts";
import type { PolicyFactory } from "./policy.ts";
import { type Run, simulate } from "./simulation.ts";
import type { Trace } from "./trace.ts";

/** Policies that meet the same days. */
export interface Round {
  readonly title: string;
  readonly policies: readonly PolicyFactory[];
  readonly traces: readonly Trace[];
  /** Which days of each trace. */
  readonly runs: readonly number[];
  readonly objectiveSeconds: number;
}

export function runRound(round: Round, progress: (done: string) => void): readonly Run[] {
  return round.traces.flatMap((trace) => {
    const runs = round.runs.flatMap((run) => {
      const day = dayOf(trace, run, { objectiveSeconds: round.objectiveSeconds });
      return round.policies.map((policy) => simulate(day, policy));
    });
    progress(trace.name);
    return runs;
  });
}
