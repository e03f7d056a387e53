import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { CALL_SECONDS } from "./buckets.ts";
import type { Subscribers } from "./process-metrics.ts";

/** Rounds of the sweeper that has the lease. */
export function sweeperMetrics(registry: Registry): Subscribers {
  const registers = [registry];
  const sweeps = new Counter({
    name: "millrace_sweeps_total",
    help: "Rounds of expiry and month merge, by outcome.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of ["finished", "failed"]) sweeps.inc({ outcome }, 0);
  const swept = new Counter({
    name: "millrace_swept_rows_total",
    help: "Rows removed by sweeps, by kind: expired, forgotten, merged or discarded.",
    labelNames: ["kind"],
    registers,
  });
  for (const kind of ["expired", "forgotten", "merged", "discarded"]) swept.inc({ kind }, 0);
  const sweepSeconds = new Histogram({
    name: "millrace_sweep_duration_seconds",
    help: "Time that a finished sweep took.",
    buckets: [...CALL_SECONDS, 30, 60],
    registers,
  });
  // Without labels a gauge would be 0 before the first sweep; so they are made at it.
  let gauges: { readonly last: Gauge; readonly lag: Gauge } | undefined;
  const made = () => ({
    last: new Gauge({
      name: "millrace_last_sweep_timestamp_seconds",
      help: "When the last sweep was finished, in seconds since 1970.",
      registers,
    }),
    lag: new Gauge({
      name: "millrace_compaction_lag_seconds",
      help: "Age of the oldest change to the distinct names that no total holds yet, as of the last sweep.",
      registers,
    }),
  });
  return {
    // Of these it is told at once, as they are gone for good: the sweep may fail after.
    "months.discarded": ({ counts }) => swept.inc({ kind: "discarded" }, counts),
    "sweep.finished": ({ expired, forgotten, merged, seconds, compactionLagSeconds }) => {
      sweeps.inc({ outcome: "finished" });
      for (const [kind, rows] of Object.entries({ expired, forgotten, merged })) swept.inc({ kind }, rows);
      sweepSeconds.observe(seconds);
      gauges ??= made();
      gauges.last.setToCurrentTime();
      gauges.lag.set(compactionLagSeconds);
    },
    "sweep.failed": () => sweeps.inc({ outcome: "failed" }),
  };
}
