import {
  CountsPerSecond,
  MessagesPerSecond,
  Number as Plain,
  Seconds,
} from "@grafana/grafana-foundation-sdk/units";
import type { Section } from "../layout.ts";
import { thresholds } from "../objectives.ts";
import { graph, timeline, type Words, yesIsBad } from "../panels.ts";
import { chosen, increase, max, ofScaler, rate, SCALER, sum } from "../series.ts";

const CHOSEN = 'scaler=~"$scaler"';
const line = (figure: string, name: string, isBound = false) => ({
  expr: ofScaler(figure, CHOSEN),
  legend: `{{namespace}} ${name}`,
  isBound,
});
const none = "no QueueScaler";
const holds: Words = { 0: { text: "no", color: "gray" }, 1: { text: "yes", color: "green" } };

/** Why a scaler scaled: what was seen, what was wanted, and for what reason. */
export const decisions: Section["lines"] = [
  [
    graph({
      title: "Replicas",
      description:
        "What the last decision wants, what the workload is set to, and what is ready; the dashed lines are the fewest and the most.",
      unit: Plain,
      queries: [
        line("desired_replicas", "desired"),
        line("current_replicas", "current"),
        line("ready_replicas", "ready"),
        line("min_replicas", "min", true),
        line("max_replicas", "max", true),
      ],
      shape: "steps",
      none,
      alerts: ["MillraceScalerLimited"],
    }),
    graph({
      title: "Backlog",
      description: "Messages in the queue, ready and unacknowledged.",
      unit: Plain,
      queries: [line("backlog_messages", "backlog")],
      none,
      alerts: ["MillraceQueueStalled"],
      more: "workers",
    }),
    graph({
      title: "Arrivals and what is done",
      description:
        "Messages published in a second, and what the ready replicas can do in one, both estimated. Where arrivals are above, the backlog grows.",
      unit: MessagesPerSecond,
      queries: [
        line("arrival_rate", "arrivals"),
        {
          expr: `${ofScaler("service_rate", CHOSEN)} * ${ofScaler("ready_replicas", CHOSEN)}`,
          legend: "{{namespace}} ready replicas can do",
        },
        line("service_rate", "one replica does"),
      ],
      none,
      alerts: ["MillraceScalerBottleneck"],
    }),
  ],
  [
    graph({
      title: "Forecast wait",
      description:
        "Time that a message published now will wait, by the replicas there are. The dashed line is the objective.",
      unit: Seconds,
      queries: [line("forecast_wait_seconds", "forecast"), line("objective_seconds", "objective", true)],
      none,
      alerts: ["MillraceScalerLimited"],
    }),
    graph({
      title: "Decisions by reason",
      description:
        "Passes in a second that came to a decision, by its reason. The documentation explains each.",
      unit: CountsPerSecond,
      queries: [
        {
          expr: `${sum(rate("millrace_scaler_decisions_total", CHOSEN), "namespace", "reason")} > 0`,
          legend: "{{namespace}} {{reason}}",
        },
      ],
      shape: "stacked",
      none,
    }),
    graph({
      title: "Replicas set",
      description: "Times that the number of replicas was set within the interval, by direction.",
      unit: Plain,
      queries: [
        {
          expr: sum(increase("millrace_scaler_replica_changes_total", CHOSEN), "namespace", "direction"),
          legend: "{{namespace}} {{direction}}",
        },
      ],
      shape: "stacked",
      none,
    }),
  ],
  [
    timeline({
      title: "Conditions",
      description:
        "Conditions of the status; one that is unknown is missing. Ready and BrokerReachable ought to hold, and the orange ones tell of something in the way.",
      unit: Plain,
      queries: [
        {
          expr: max(chosen("millrace_scaler_condition", CHOSEN), ...SCALER, "condition"),
          legend: "{{namespace}} {{condition}}",
        },
      ],
      none,
      words: holds,
      troubles: ["Limited", "Conflict", "Bottleneck", "DeadLetters", "Paused"],
      alerts: ["MillraceScalerNotReady"],
    }),
    timeline({
      title: "What holds it back",
      description:
        "Whether a limit keeps the number down, more replicas bring no more, or the broker does not answer.",
      unit: Plain,
      queries: [
        line("limited", "limited"),
        line("bottleneck", "bottleneck"),
        {
          expr: `1 - ${ofScaler("broker_reachable", CHOSEN)}`,
          legend: "{{namespace}} broker out of reach",
        },
      ],
      none,
      words: { ...yesIsBad, 0: { text: "no", color: "gray" } },
      alerts: ["MillraceScalerBlind"],
    }),
    graph({
      title: "Age of the figures",
      description: "Age of the figures that were last decided on. Old ones never take replicas away.",
      unit: Seconds,
      queries: [line("observation_age_seconds", "age")],
      none,
      thresholds: ["green", [thresholds.observationAgeSeconds, "red"]],
      showThresholds: true,
      alerts: ["MillraceScalerBlind"],
    }),
  ],
];
