import { thresholds } from "./objectives.ts";
import { alert, type RuleGroup } from "./rule.ts";

const { fewestFailures } = thresholds;
/** Several processes tell of one queue, each as of its own scrape. */
const inQueue = (states: string): string =>
  `max by (namespace, queue, state) (millrace_queue_messages{state=~"${states}"})`;
const settled = (outcomes: string, window: string): string =>
  `sum by (namespace, queue) (rate(millrace_deliveries_total{outcome=~"${outcomes}"}[${window}]))`;
const GIVEN_UP = 'millrace_deliveries_total{outcome="deadLetter"}';

const queues: RuleGroup = {
  name: "millrace-queues",
  rules: [
    alert("MillraceQueueStalled", {
      severity: "page",
      expr: `sum by (namespace, queue) (${inQueue("ready|unsettled")}) > 0
        unless ${settled("ack|deadLetter", "5m")} > 0`,
      for: "5m",
      summary: "Messages wait in a queue, and none leaves it.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $value | humanize }} messages are in queue {{ $labels.queue }}, and " +
        "workers finish none. They are safe, but their events are missing from the view.",
    }),
    alert("MillraceDeliveryStuck", {
      severity: "ticket",
      // The age of one that is held rises by a second each second; in a backlog that is worked off, it rises slower or falls.
      expr: `max by (namespace, queue, instance) (
          millrace_oldest_delivery_age_seconds
          and deriv(millrace_oldest_delivery_age_seconds[5m]) > 0.95
          and on (namespace, queue, instance) millrace_oldest_delivery_age_seconds > millrace_wait_objective_seconds)`,
      for: "10m",
      summary: "A worker holds a message and does not finish it.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $labels.instance }} has a message of queue {{ $labels.queue }} in hand " +
        "that was accepted {{ $value | humanizeDuration }} ago.",
    }),
    alert("MillraceDeadLetters", {
      severity: "ticket",
      // The broker's own figure knows of those that a worker gave up before its first scrape.
      expr: `sum by (namespace, queue) (increase(${GIVEN_UP}[1h])) > 0
        or sum by (namespace, queue) (${inQueue("dead")}) - sum by (namespace, queue) (
          max by (namespace, queue, state) (millrace_queue_messages{state="dead"} offset 1h)) > 0`,
      summary: "Messages could not be processed and were set aside.",
      description:
        'In namespace {{ $labels.namespace }}, about {{ $value | printf "%.0f" }} messages of queue {{ $labels.queue }} became ' +
        "dead letters within the last hour. Their events are missing from the view until they are replayed.",
    }),
    alert("MillraceDeadLetterFlood", {
      severity: "page",
      expr: `${settled("deadLetter", "10m")} / (${settled("ack|deadLetter", "10m")} > 0) > ${thresholds.deadLetterRatio}
        and sum by (namespace, queue) (increase(${GIVEN_UP}[10m])) >= ${fewestFailures}`,
      for: "5m",
      summary: "A large share of the messages of a queue cannot be processed.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of the messages of queue " +
        "{{ $labels.queue }} become dead letters. Their events are missing from the view until they are replayed.",
    }),
    alert("MillraceEventsRejected", {
      severity: "ticket",
      expr: `sum by (namespace) (rate(millrace_events_total{outcome="rejected"}[1h]))
          / (sum by (namespace) (rate(millrace_events_total[1h])) > 0) > ${thresholds.rejectedRatio}
        and sum by (namespace) (increase(millrace_events_total{outcome="rejected"}[1h])) >= ${fewestFailures}`,
      for: "15m",
      summary: "A client sends events that are invalid.",
      description:
        "In namespace {{ $labels.namespace }}, {{ $value | humanizePercentage }} of the events of the last hour were " +
        "rejected. Unless the client mends and sends them again, they are lost.",
    }),
  ],
};

const CALLS = "millrace_store_write_duration_seconds_count";
const sweeping = 'group by (namespace) (millrace_build_info{role!="operator"})';

const servers: RuleGroup = {
  name: "millrace-broker-and-store",
  rules: [
    alert("MillraceBrokerBlocked", {
      severity: "ticket",
      expr: "count by (namespace) (millrace_broker_blocked > 0)",
      for: "5m",
      summary: "The broker is in an alarm and takes no messages.",
      description:
        "In namespace {{ $labels.namespace }}, the broker takes no messages, as it has told {{ $value | humanize }} of its " +
        "clients. It does so when it is short of memory or disk. Events are refused with 503 meanwhile.",
    }),
    alert("MillraceBrokerDisconnected", {
      severity: "ticket",
      expr: "count by (namespace, connection) (millrace_broker_connected == 0)",
      for: "5m",
      summary: "A connection to the broker cannot be opened.",
      description:
        "In namespace {{ $labels.namespace }}, a connection to the broker is missing that is for " +
        "{{ $labels.connection }} (processes: {{ $value | humanize }}).",
    }),
    alert("MillraceStoreFailing", {
      severity: "ticket",
      expr: `sum by (namespace, queue) (rate(millrace_store_failures_total[5m]))
        / (sum by (namespace, queue) (rate(${CALLS}[5m])) > 0) > ${thresholds.storeFailureRatio}`,
      for: "10m",
      summary: "The store fails calls of workers.",
      description:
        "In namespace {{ $labels.namespace }}, the store fails {{ $value | humanizePercentage }} of the calls of the workers " +
        "of queue {{ $labels.queue }}. Workers try again, and events wait.",
    }),
    alert("MillraceSweeperLate", {
      severity: "ticket",
      expr: `${sweeping} unless max by (namespace) (millrace_last_sweep_timestamp_seconds) > time() - ${thresholds.sweepAgeSeconds}`,
      for: "30m",
      summary: "No sweep has been finished for hours.",
      description:
        `In namespace {{ $labels.namespace }}, no sweeper has finished a sweep within the last ${thresholds.sweepAgeSeconds / 3600} hours. ` +
        "Views show what should have expired, and the store grows.",
    }),
    alert("MillraceCompactionLag", {
      severity: "ticket",
      // A sweeper that has the lease no more keeps telling what was so when it had it.
      expr: `max by (namespace) (millrace_compaction_lag_seconds
          and on (namespace, instance) time() - millrace_last_sweep_timestamp_seconds < 600)
        > ${thresholds.compactionLagSeconds}`,
      for: "15m",
      summary: "Changes to the distinct names are folded into the totals too late.",
      description:
        "In namespace {{ $labels.namespace }}, the oldest change that no total holds yet is " +
        "{{ $value | humanizeDuration }} old. Answers stay right; reading them takes longer.",
    }),
  ],
};

export const queueGroups: readonly RuleGroup[] = [queues, servers];
