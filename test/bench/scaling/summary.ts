import type { Run } from "./simulation.ts";

/** Means over the runs of one policy, on one trace or on all; times in seconds. */
export interface Summary {
  readonly trace: string;
  readonly policy: string;
  readonly p50: number;
  readonly p99: number;
  readonly worstP99: number;
  readonly longest: number;
  /** Share of all messages that waited longer than the objective. */
  readonly missed: number;
  readonly replicaSeconds: number;
  /** Of all runs together, over what a clairvoyant would have needed. */
  readonly cost: number;
  readonly directionChanges: number;
}

export interface Summaries {
  readonly perTrace: readonly Summary[];
  readonly perPolicy: readonly Summary[];
}

export function summariesOf(runs: readonly Run[]): Summaries {
  const byTrace = Map.groupBy(runs, ({ trace, policy }) => `${trace}|${policy}`);
  const byPolicy = Map.groupBy(runs, ({ policy }) => policy);
  return {
    perTrace: [...byTrace.values()].map((of) => summaryOf(of, of[0]?.trace ?? "")),
    perPolicy: [...byPolicy.values()].map((of) => summaryOf(of, "all")),
  };
}

function summaryOf(runs: readonly Run[], trace: string): Summary {
  const sum = (of: (run: Run) => number) => runs.reduce((all, run) => all + of(run), 0);
  const mean = (of: (run: Run) => number) => sum(of) / runs.length;
  const most = (of: (run: Run) => number) => Math.max(...runs.map(of));
  return {
    trace,
    policy: runs[0]?.policy ?? "",
    p50: mean(({ p50 }) => p50),
    p99: mean(({ p99 }) => p99),
    worstP99: most(({ p99 }) => p99),
    longest: most(({ longest }) => longest),
    missed:
      sum(({ missed }) => missed) /
      Math.max(
        1,
        sum(({ messages }) => messages),
      ),
    replicaSeconds: mean(({ replicaSeconds }) => replicaSeconds),
    cost: sum(({ replicaSeconds }) => replicaSeconds) / sum((run) => run.leastReplicaSeconds),
    directionChanges: mean(({ directionChanges }) => directionChanges),
  };
}
