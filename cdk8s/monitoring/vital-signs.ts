import { EventsPerSecond, Number as Plain, PercentUnit } from "@grafana/grafana-foundation-sdk/units";
import { objectives, thresholds } from "./objectives.ts";
import { stat, yesIsBad, yesIsGood } from "./panels.ts";
import {
  backlog,
  chosen,
  count,
  deadLetters,
  failedShare,
  lateShare,
  max,
  min,
  rate,
  SCALER,
  storeFailedShare,
  sum,
  waitUsed,
} from "./series.ts";

/** The figures that tell whether it is well; each dashboard begins with those that its subject decides. */

export const eventsAccepted = () =>
  stat({
    title: "Events accepted",
    description: "Events in a second that the broker has confirmed and whose sender was told so.",
    unit: EventsPerSecond,
    queries: [{ expr: sum(rate("millrace_events_total", 'outcome="accepted"')) }],
    more: "ingestion",
  });

export const acceptedShare = () =>
  stat({
    title: "Accepted, 1 h",
    description:
      "What was taken in of the last hour's valid events and requests: the worse of both shares, of the namespace where it is lowest. Senders keep the others, which were answered 503. Red below the objective.",
    unit: PercentUnit,
    queries: [{ expr: min(`1 - ${failedShare("1h")}`) }],
    none: "no events",
    thresholds: ["red", [objectives.acceptance, "green"]],
    alerts: ["MillraceAcceptanceBurn"],
    more: "ingestion",
  });

export const inTimeShare = () =>
  stat({
    title: "In time, 1 h",
    description:
      "The share of the last hour's stored events that came into the store within the wait objective, of the queue where it is lowest. Red below what is promised.",
    unit: PercentUnit,
    queries: [{ expr: min(`1 - ${lateShare("1h")}`) }],
    none: "no events",
    thresholds: ["red", [objectives.wait, "green"]],
    alerts: ["MillraceWaitBurn"],
    more: "workers",
  });

export const waitUsedShare = () =>
  stat({
    title: "Wait used",
    description:
      "Age of the oldest message in a worker's hands as a share of the wait objective, of the queue where it is highest. Above 100 % the objective is missed now.",
    unit: PercentUnit,
    queries: [{ expr: max(waitUsed) }],
    thresholds: ["green", [0.5, "orange"], [1, "red"]],
    alerts: ["MillraceDeliveryStuck"],
    more: "workers",
  });

export const messagesWaiting = () =>
  stat({
    title: "Backlog",
    description: "Messages in all queues, ready and unsettled.",
    unit: Plain,
    queries: [{ expr: sum(backlog) }],
    alerts: ["MillraceQueueStalled"],
    more: "workers",
  });

export const deadLettersWaiting = () =>
  stat({
    title: "Dead letters",
    description: "Messages in all queues of dead letters. Each needs somebody to look at it.",
    unit: Plain,
    queries: [{ expr: sum(deadLetters) }],
    thresholds: ["green", [1, "red"]],
    alerts: ["MillraceDeadLetters", "MillraceDeadLetterFlood"],
    more: "workers",
  });

export const brokerConnected = () =>
  stat({
    title: "Broker connected",
    description: "Whether all connections to the broker stand.",
    unit: Plain,
    queries: [{ expr: min(chosen("millrace_broker_connected")) }],
    none: "no broker",
    words: yesIsGood,
    alerts: ["MillraceBrokerDisconnected"],
    more: "ingestion",
  });

export const brokerBlocked = () =>
  stat({
    title: "Broker in an alarm",
    description: "Whether the broker takes no messages for want of memory or disk.",
    unit: Plain,
    queries: [{ expr: max(chosen("millrace_broker_blocked")) }],
    words: yesIsBad,
    alerts: ["MillraceBrokerBlocked"],
    more: "ingestion",
  });

export const storeFailures = () =>
  stat({
    title: "Store calls failed",
    description: "The share of the calls of workers that the store failed.",
    unit: PercentUnit,
    queries: [{ expr: storeFailedShare }],
    none: "no calls",
    thresholds: ["green", [0.001, "orange"], [thresholds.storeFailureRatio, "red"]],
    alerts: ["MillraceStoreFailing"],
    more: "store",
  });

export const leaders = () =>
  stat({
    title: "Operators that lead",
    description:
      "Processes of the operator that lead, of the namespace with the fewest. One is right; with none nothing is scaled.",
    unit: Plain,
    queries: [{ expr: min(sum(chosen("millrace_operator_leading"), "namespace")) }],
    none: "no operator",
    thresholds: ["red", [1, "green"], [2, "red"]],
    alerts: ["MillraceOperatorNoLeader"],
    more: "operator",
  });

export const replicasReady = () =>
  stat({
    title: "Replicas ready",
    description: "Ready replicas of all workloads that a QueueScaler scales.",
    unit: Plain,
    queries: [{ expr: sum(max(chosen("millrace_scaler_ready_replicas"), ...SCALER)) }],
    none: "no operator",
    more: "operator",
  });

export const processes = () =>
  stat({
    title: "Processes",
    description: "Processes of Millrace that Prometheus reaches.",
    unit: Plain,
    queries: [{ expr: count(chosen("millrace_build_info")) }],
    thresholds: ["red", [1, "green"]],
    alerts: ["MillraceServiceAbsent", "MillraceTargetDown", "MillraceMetricsAbsent"],
  });
