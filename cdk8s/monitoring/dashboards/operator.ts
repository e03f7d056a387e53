import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import {
  CountsPerSecond,
  Number as Plain,
  PercentUnit,
  RequestsPerSecond,
  Seconds,
} from "@grafana/grafana-foundation-sdk/units";
import { dashboardOf } from "../layout.ts";
import { thresholds } from "../objectives.ts";
import { graph, stat } from "../panels.ts";
import { leaderTimeline, processPanels } from "../process-panels.ts";
import { count, increase, ofScaler, quantiles, rate, sum } from "../series.ts";
import * as vital from "../vital-signs.ts";
import { decisions } from "./operator-decisions.ts";

const PASS = "millrace_reconcile_duration_seconds";
const none = "no QueueScaler";

const well = [
  [
    vital.leaders(),
    stat({
      title: "QueueScalers",
      description: "QueueScalers that the operator decides for.",
      unit: Plain,
      queries: [{ expr: count(ofScaler("objective_seconds")) }],
      none: "0",
    }),
    stat({
      title: "Not ready",
      description: "QueueScalers whose condition Ready is false: something is in the way.",
      unit: Plain,
      queries: [{ expr: `count(${ofScaler("condition", 'condition="Ready"')} == 0) or vector(0)` }],
      thresholds: ["green", [1, "red"]],
      alerts: ["MillraceScalerNotReady"],
    }),
    stat({
      title: "Limited",
      description: "QueueScalers whose limits keep the number from what the queue asks for.",
      unit: Plain,
      queries: [{ expr: sum(ofScaler("limited")) }],
      none,
      thresholds: ["green", [1, "orange"]],
      alerts: ["MillraceScalerLimited"],
    }),
  ],
  [
    stat({
      title: "Wait used",
      description:
        "The wait that is forecast as a share of the objective, of the QueueScaler where it is highest. Above 100 % more replicas are due.",
      unit: PercentUnit,
      queries: [{ expr: `max(${ofScaler("forecast_wait_seconds")} / ${ofScaler("objective_seconds")})` }],
      none,
      thresholds: ["green", [0.5, "orange"], [1, "red"]],
      alerts: ["MillraceScalerLimited"],
    }),
    stat({
      title: "Oldest figures",
      description: "Age of the figures that were last decided on, of the QueueScaler where it is highest.",
      unit: Seconds,
      queries: [{ expr: `max(${ofScaler("observation_age_seconds")})` }],
      none,
      thresholds: ["green", [thresholds.observationAgeSeconds, "red"]],
      alerts: ["MillraceScalerBlind"],
    }),
    stat({
      title: "Failed passes",
      description: "Passes of the operator in a second that failed, and are tried again.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate(`${PASS}_count`, 'outcome="failed"')) }],
      none: "no operator",
      thresholds: ["green", [0.001, "red"]],
      alerts: ["MillraceReconcileFailing"],
    }),
    vital.replicasReady(),
  ],
];

const process = [
  [
    leaderTimeline(),
    graph({
      title: "Passes",
      description: "Passes in a second, by outcome.",
      unit: CountsPerSecond,
      queries: [{ expr: sum(rate(`${PASS}_count`), "outcome"), legend: "{{outcome}}" }],
      shape: "stacked",
      none: "no operator",
      alerts: ["MillraceReconcileFailing"],
    }),
    graph({
      title: "Pass time",
      description: "Time from when a pass was due until it was done: half of them, and 99 of 100, took less.",
      unit: Seconds,
      queries: quantiles(PASS),
      none: "no operator",
    }),
  ],
  [
    graph({
      title: "Requests",
      description: "Requests in a second to Kubernetes and to RabbitMQ's management API.",
      unit: RequestsPerSecond,
      queries: [
        {
          expr: sum(rate("millrace_operator_requests_total"), "to", "verb", "resource"),
          legend: "{{to}} {{verb}} {{resource}}",
        },
      ],
      shape: "stacked",
      none: "no operator",
    }),
    graph({
      title: "Requests refused or without an answer",
      description:
        "Those whose answer's status was none of 2xx, by that. Some 404 and 409 are part of the work.",
      unit: RequestsPerSecond,
      queries: [
        {
          expr: sum(rate("millrace_operator_requests_total", 'outcome!~"2.."'), "to", "outcome"),
          legend: "{{to}} {{outcome}}",
        },
      ],
      shape: "stacked",
      none: "none",
    }),
    graph({
      title: "Reports lost, watches restarted",
      description:
        "Statuses and Events that could not be written, and watches of Kubernetes that were started again, within the interval.",
      unit: Plain,
      queries: [
        {
          expr: sum(increase("millrace_operator_reports_lost_total")),
          legend: "reports lost",
        },
        {
          expr: sum(increase("millrace_operator_watch_restarts_total"), "resource"),
          legend: "watch of {{resource}} restarted",
        },
      ],
      none: "none",
    }),
  ],
];

export const operator = (): Dashboard =>
  dashboardOf({
    name: "operator",
    title: "Millrace: operator",
    description:
      "Why there are as many workers as there are: what the operator saw, what it decided, and what came of it.",
    choice: "scaler",
    sections: [
      { title: "Is it well?", lines: well },
      { title: "Why $scaler was scaled", lines: decisions, repeat: "scaler" },
      { title: "The operator itself", lines: process },
      { title: "Operator processes", lines: processPanels("operator") },
    ],
  });
