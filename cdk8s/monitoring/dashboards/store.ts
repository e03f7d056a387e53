import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  CountsPerSecond,
  Number as Plain,
  RequestsPerSecond,
  RowsPerSecond,
  Seconds,
} from "@grafana/grafana-foundation-sdk/units";
import { dashboardOf } from "../layout.ts";
import { thresholds } from "../objectives.ts";
import { graph, heatmap, stat } from "../panels.ts";
import { processPanels } from "../process-panels.ts";
import { buckets, chosen, max, quantile, quantiles, rate, sum } from "../series.ts";
import * as vital from "../vital-signs.ts";

const WRITE = "millrace_store_write_duration_seconds";
const REQUEST = "millrace_request_duration_seconds";
const QUERY = 'server="query"';
/** Only the sweeper that has the lease sweeps: the latest of all is that of the installation. */
const sinceSweep = `time() - ${max(chosen("millrace_last_sweep_timestamp_seconds"), "namespace")}`;

const well = [
  [
    vital.storeFailures(),
    stat({
      title: "Waits for the store",
      description: "Times in a second that a worker waited for a store that could not be reached.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate("millrace_store_retries_total")) }],
      thresholds: ["green", [0.001, "red"]],
      alerts: ["MillraceStoreFailing"],
    }),
    stat({
      title: "Write, 99 %",
      description: "99 of 100 calls of workers took the store less than this.",
      unit: Seconds,
      queries: [{ expr: `${quantile(0.99, WRITE)} >= 0` }],
      none: "no writes",
      thresholds: ["green", [0.5, "orange"], [2.5, "red"]],
    }),
    stat({
      title: "Since the last sweep",
      description: "Time since a sweep was finished, of the namespace where it is longest.",
      unit: Seconds,
      queries: [{ expr: `max(${sinceSweep})` }],
      none: "no sweep yet",
      thresholds: ["green", [thresholds.sweepAgeSeconds, "red"]],
      alerts: ["MillraceSweeperLate"],
    }),
    stat({
      title: "Compaction lag",
      description:
        "Age of the oldest change to the distinct names that no total holds yet, as of the last sweep.",
      unit: Seconds,
      queries: [{ expr: max(chosen("millrace_compaction_lag_seconds")) }],
      none: "no sweep yet",
      thresholds: ["green", [thresholds.compactionLagSeconds, "red"]],
      alerts: ["MillraceCompactionLag"],
    }),
    stat({
      title: "Failed sweeps, 1 h",
      description: "Sweeps of the last hour that failed. The next one does their work.",
      unit: Plain,
      queries: [{ expr: sum(`increase(${chosen("millrace_sweeps_total", 'outcome="failed"')}[1h])`) }],
      thresholds: ["green", [1, "orange"]],
      alerts: ["MillraceSweeperLate"],
    }),
  ],
];

const writes = [
  [
    graph({
      title: "Calls",
      description: "Calls of workers to the store in a second, by queue and operation.",
      unit: CountsPerSecond,
      queries: [
        { expr: sum(rate(`${WRITE}_count`), "queue", "operation"), legend: "{{queue}} {{operation}}" },
      ],
      shape: "stacked",
    }),
    graph({
      title: "Write time by operation",
      description:
        "Half of the calls, and 99 of 100, took the store less than this: claim takes ids, apply counts.",
      unit: Seconds,
      queries: quantiles(WRITE, { by: ["operation"] }),
    }),
    graph({
      title: "Write time by queue, 99 %",
      description: "99 of 100 calls for a queue took the store less than this.",
      unit: Seconds,
      queries: [{ expr: quantile(0.99, WRITE, { by: ["queue"] }), legend: "{{queue}}" }],
    }),
    heatmap({
      title: "Write times",
      description: "How many calls took the store how long.",
      unit: Seconds,
      queries: [{ expr: buckets(WRITE), legend: "{{le}}" }],
    }),
  ],
  [
    graph({
      title: "Failures by code",
      description: "Calls in a second that the store failed, by operation and error code.",
      unit: CountsPerSecond,
      queries: [
        {
          expr: sum(rate("millrace_store_failures_total"), "operation", "code"),
          legend: "{{operation}} {{code}}",
        },
      ],
      shape: "stacked",
      alerts: ["MillraceStoreFailing"],
    }),
    graph({
      title: "Waits for the store by queue",
      description: "Times in a second that a worker waited for a store that could not be reached.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate("millrace_store_retries_total"), "queue"), legend: "{{queue}}" }],
      shape: "stacked",
      alerts: ["MillraceStoreFailing"],
    }),
  ],
];

const sweeps = [
  [
    graph({
      title: "Sweeps",
      description: "Rounds of expiry and month merge in a second, by outcome.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate("millrace_sweeps_total"), "outcome"), legend: "{{outcome}}" }],
      shape: "stacked",
      alerts: ["MillraceSweeperLate"],
    }),
    graph({
      title: "Sweep time",
      description: "Time that a finished sweep took: half of them, and 99 of 100, took less.",
      unit: Seconds,
      queries: quantiles("millrace_sweep_duration_seconds"),
    }),
    graph({
      title: "Rows removed",
      description:
        "Rows in a second that sweeps removed: expired, forgotten ids, merged counts, and discarded months.",
      unit: RowsPerSecond,
      queries: [{ expr: sum(rate("millrace_swept_rows_total"), "kind"), legend: "{{kind}}" }],
      shape: "stacked",
    }),
    graph({
      title: "Lag",
      description:
        "Time since the last finished sweep, and age of the oldest change that no total of distinct names holds yet.",
      unit: Seconds,
      queries: [
        { expr: sinceSweep, legend: "{{namespace}} since the last sweep" },
        {
          expr: max(chosen("millrace_compaction_lag_seconds"), "namespace"),
          legend: "{{namespace}} compaction",
        },
      ],
      none: "no sweep yet",
      alerts: ["MillraceCompactionLag"],
    }),
  ],
];

const reads = [
  [
    graph({
      title: "Requests of the query API",
      description: "Requests in a second that the query servers have answered, by route and status.",
      unit: RequestsPerSecond,
      queries: [
        {
          expr: sum(rate("millrace_requests_total", QUERY), "route", "status"),
          legend: "{{route}} {{status}}",
        },
      ],
      shape: "stacked",
      none: "no requests",
      alerts: ["MillraceQueryFailing"],
    }),
    graph({
      title: "Answer time of the query API",
      description: "Half of the requests, and 99 of 100, were answered sooner than this.",
      unit: Seconds,
      queries: quantiles(REQUEST, { by: ["route"], matchers: [QUERY] }),
      none: "no requests",
    }),
    graph({
      title: "Open pages of the console",
      description:
        "Each has a live connection to a query server, which keeps 100 at most and answers 503 to more.",
      unit: Plain,
      queries: [{ expr: sum(chosen("millrace_console_pages"), "instance"), legend: "{{instance}}" }],
      none: "no console",
    }),
  ],
];

export const store = (): Dashboard =>
  dashboardOf({
    name: "store",
    title: "Millrace: store",
    description: "What the store is asked, how long it takes, and what the sweeper keeps it from growing by.",
    sections: [
      { title: "Is it well?", lines: well },
      { title: "Writes of the workers", lines: writes },
      { title: "Sweeps", lines: sweeps },
      { title: "Reads", lines: reads },
      { title: "Query and sweeper processes", lines: processPanels("query", "sweeper", "standalone") },
    ],
  });
