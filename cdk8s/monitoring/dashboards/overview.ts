import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { EventsPerSecond, Number as Plain, Seconds } from "@grafana/grafana-foundation-sdk/units";
import { dashboardOf } from "../layout.ts";
import { budgetOf, burns, type Objective, objectives, thresholds } from "../objectives.ts";
import { graph, timeline, yesIsBad } from "../panels.ts";
import { leaderTimeline } from "../process-panels.ts";
import {
  backlog,
  chosen,
  count,
  deadLetters,
  failedShare,
  lateShare,
  max,
  min,
  quantile,
  QUEUE,
  rate,
  SCALER,
  sum,
} from "../series.ts";
import * as vital from "../vital-signs.ts";

/** The windows of the alerts. */
const WINDOWS = ["5m", "30m", "1h", "6h", "3d"] as const;
/** From where on they wake somebody: the slower burn over hours, the faster one at once. */
const wakes = burns.page
  .map(({ factor }) => factor)
  .toSorted((a, b) => a - b)
  .map((factor, index) => [factor, index === 0 ? "orange" : "red"] as const);

function burnGraph(of: {
  readonly title: string;
  readonly what: string;
  readonly objective: Objective;
  readonly share: (window: string) => string;
  readonly alerts: readonly string[];
}) {
  const budget = budgetOf(of.objective);
  return graph({
    title: of.title,
    description:
      `How many times faster than allowed ${of.what}, where ${objectives[of.objective] * 100} % are promised. At 1 the budget of 30 days ` +
      "is just used up by its end; the lines are where alerts wake somebody.",
    unit: Plain,
    queries: WINDOWS.map((window) => ({
      expr: `${of.share(window)} / ${budget}`,
      legend: `{{namespace}} over ${window}`,
    })),
    none: "no events",
    thresholds: ["green", ...wakes],
    showThresholds: true,
    alerts: of.alerts,
  });
}

const well = [
  [
    vital.eventsAccepted(),
    vital.acceptedShare(),
    vital.inTimeShare(),
    vital.waitUsedShare(),
    vital.messagesWaiting(),
    vital.deadLettersWaiting(),
  ],
  [
    vital.brokerConnected(),
    vital.brokerBlocked(),
    vital.storeFailures(),
    vital.leaders(),
    vital.replicasReady(),
    vital.processes(),
  ],
];

const promises = [
  [
    burnGraph({
      title: "Acceptance: budget burnt",
      what: "valid events or requests fail",
      objective: "acceptance",
      share: failedShare,
      alerts: ["MillraceAcceptanceBurn", "MillraceAcceptanceSlowBurn"],
    }),
    burnGraph({
      title: "Wait: budget burnt",
      what: "events come into the store late",
      objective: "wait",
      share: lateShare,
      alerts: ["MillraceWaitBurn", "MillraceWaitSlowBurn"],
    }),
  ],
];

const events = [
  [
    graph({
      title: "Events received",
      description:
        "Events in a second that the collectors were sent: accepted is durable, rejected is invalid, failed is neither.",
      unit: EventsPerSecond,
      queries: [{ expr: sum(rate("millrace_events_total"), "outcome"), legend: "{{outcome}}" }],
      shape: "stacked",
      more: "ingestion",
    }),
    graph({
      title: "Events applied",
      description: "Events in a second that workers have put into the store, by queue.",
      unit: EventsPerSecond,
      queries: [
        {
          expr: sum(rate("millrace_events_applied_total"), ...QUEUE),
          legend: "{{namespace}} {{queue}}",
        },
      ],
      more: "workers",
    }),
    graph({
      title: "Late events",
      description: "Events in a second that came into the store later than the wait objective, by queue.",
      unit: EventsPerSecond,
      queries: [
        { expr: sum(rate("millrace_events_late_total"), ...QUEUE), legend: "{{namespace}} {{queue}}" },
      ],
      more: "workers",
    }),
  ],
];

const queues = [
  [
    graph({
      title: "Backlog by queue",
      description: "Messages in each queue, ready and unsettled.",
      unit: Plain,
      queries: [{ expr: backlog, legend: "{{namespace}} {{queue}}" }],
      shape: "stacked",
      more: "workers",
    }),
    graph({
      title: "Oldest wait by queue",
      description: "Age of the oldest message in a worker's hands, with the wait objective as a dashed line.",
      unit: Seconds,
      queries: [
        {
          expr: max(chosen("millrace_oldest_delivery_age_seconds"), ...QUEUE),
          legend: "{{namespace}} {{queue}}",
        },
        {
          expr: max(chosen("millrace_wait_objective_seconds"), "namespace"),
          legend: "{{namespace}} objective",
          isBound: true,
        },
      ],
      more: "workers",
    }),
    graph({
      title: "Age when stored, 99 %",
      description: "99 of 100 messages were in the store sooner than this after their acceptance, by queue.",
      unit: Seconds,
      queries: [
        {
          expr: quantile(0.99, "millrace_event_age_seconds", { by: QUEUE }),
          legend: "{{namespace}} {{queue}}",
        },
      ],
      more: "workers",
    }),
    graph({
      title: "Dead letters by queue",
      description: "Messages in each queue of dead letters.",
      unit: Plain,
      queries: [{ expr: deadLetters, legend: "{{namespace}} {{queue}}" }],
      alerts: ["MillraceDeadLetters", "MillraceDeadLetterFlood"],
      more: "workers",
    }),
  ],
];

const processes = [
  [
    graph({
      title: "Replicas",
      description: "Ready and desired replicas of each workload that a QueueScaler scales.",
      unit: Plain,
      queries: [
        {
          expr: max(chosen("millrace_scaler_ready_replicas"), ...SCALER),
          legend: "{{namespace}} {{scaler}} ready",
        },
        {
          expr: max(chosen("millrace_scaler_desired_replicas"), ...SCALER),
          legend: "{{namespace}} {{scaler}} desired",
        },
      ],
      shape: "steps",
      none: "no operator",
      more: "operator",
    }),
    graph({
      title: "Processes by role and version",
      description: "Processes that Prometheus reaches; two versions of a role are a deploy under way.",
      unit: Plain,
      queries: [
        {
          expr: count(chosen("millrace_build_info"), "namespace", "role", "version"),
          legend: "{{namespace}} {{role}} {{version}}",
        },
      ],
      shape: "stacked",
    }),
    graph({
      title: "Restarts, 30 min",
      description: "Times that a process has started anew within half an hour.",
      unit: Plain,
      queries: [
        {
          expr: max(`changes(${chosen("process_start_time_seconds")}[30m])`, "namespace", "instance"),
          legend: "{{namespace}} {{instance}}",
        },
      ],
      thresholds: ["green", [thresholds.restarts, "red"]],
      showThresholds: true,
      alerts: ["MillraceRestarting"],
    }),
    leaderTimeline("operator"),
  ],
  [
    graph({
      title: "Certificates: days left",
      description: "Until each certificate in use expires, of the process where that is soonest.",
      unit: Plain,
      queries: [
        {
          expr: min(
            `(${chosen("millrace_certificate_expiry_timestamp_seconds")} - time()) / 86400`,
            "namespace",
            "certificate",
          ),
          legend: "{{namespace}} {{certificate}}",
        },
      ],
      none: "no certificates",
      thresholds: ["red", [thresholds.certificateSeconds / 86_400, "green"]],
      showThresholds: true,
      alerts: ["MillraceCertificateExpiring"],
    }),
    timeline({
      title: "Files that fail",
      description:
        "Whether the file of keys, or the certificates of these connections, cannot be read as they are now. What was read before stays in use.",
      unit: Plain,
      queries: [
        {
          expr: max(chosen("millrace_file_failing"), "namespace", "file"),
          legend: "{{namespace}} {{file}}",
        },
      ],
      none: "no such files",
      words: yesIsBad,
      alerts: ["MillraceFileFailing"],
    }),
  ],
];

export const overview = (): Dashboard =>
  dashboardOf({
    name: "overview",
    title: "Millrace: overview",
    description: "Whether events are accepted, stored in time, and counted; where to look if not.",
    sections: [
      { title: "Is it well?", lines: well },
      { title: "Objectives", lines: promises },
      { title: "Events", lines: events },
      { title: "Queues", lines: queues },
      { title: "Processes", lines: processes },
    ],
  });
