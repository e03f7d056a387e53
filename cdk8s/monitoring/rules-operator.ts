import { thresholds } from "./objectives.ts";
import { alert, type RuleGroup } from "./rule.ts";

/** While a new leader takes over, two processes may tell of one scaler. */
const of = (metric: string): string => `max by (namespace, scaler) (${metric})`;

const operator: RuleGroup = {
  name: "millrace-operator",
  rules: [
    alert("MillraceOperatorNoLeader", {
      severity: "ticket",
      expr: `sum by (namespace) (millrace_operator_leading) == 0
        or group by (namespace) (last_over_time(millrace_operator_leading[6h]))
          unless group by (namespace) (millrace_operator_leading)`,
      for: "5m",
      summary: "No operator is at work.",
      description:
        "In namespace {{ $labels.namespace }}, no operator leads, so that nobody scales. The numbers of replicas stay what they are.",
    }),
    alert("MillraceReconcileFailing", {
      severity: "ticket",
      // `instance` tells whose scalers they are: their namespaces are other ones.
      expr: `sum by (namespace) (rate(millrace_reconcile_duration_seconds_count{outcome="failed"}[10m])) > 0
        or max by (namespace) (
          sum by (namespace, instance) (rate(millrace_reconcile_duration_seconds_count[10m])) == 0
          and on (namespace, instance) millrace_operator_leading > 0
          and on (instance) millrace_scaler_objective_seconds)`,
      for: "10m",
      summary: "The operator's passes fail, or it makes none.",
      description:
        "In namespace {{ $labels.namespace }}, passes of the operator that leads fail, or do not take place. The " +
        "workloads of those scalers are not scaled.",
    }),
    alert("MillraceScalerLimited", {
      severity: "ticket",
      expr: `${of("millrace_scaler_desired_replicas")} >= ${of("millrace_scaler_max_replicas")}
        and ${of("millrace_scaler_limited")} > 0
        unless ${of("millrace_scaler_forecast_wait_seconds")} <= ${of("millrace_scaler_objective_seconds")}`,
      for: "10m",
      summary: "A queue needs more replicas than its scaler may have.",
      description:
        "QueueScaler {{ $labels.namespace }}/{{ $labels.scaler }} is at its maximum of {{ $value | humanize }} replicas, and " +
        "messages are about to wait longer than its objective.",
    }),
    alert("MillraceScalerBlind", {
      severity: "ticket",
      expr: `${of("millrace_scaler_observation_age_seconds")} > ${thresholds.observationAgeSeconds}
        or ${of("millrace_scaler_broker_reachable")} == 0`,
      for: "5m",
      summary: "A scaler does not learn how its queue is.",
      description:
        "QueueScaler {{ $labels.namespace }}/{{ $labels.scaler }} cannot read its queue from the broker, or has figures that " +
        "are old. Its number of replicas stays, or is that of its fallback.",
    }),
    alert("MillraceScalerBottleneck", {
      severity: "ticket",
      expr: `${of("millrace_scaler_bottleneck")} > 0`,
      for: "15m",
      summary: "More replicas bring no more throughput.",
      description:
        "QueueScaler {{ $labels.namespace }}/{{ $labels.scaler }} has stopped adding replicas, since the last ones brought no " +
        "more throughput: something behind them is the limit, such as the store.",
    }),
    alert("MillraceScalerNotReady", {
      severity: "ticket",
      expr: `min by (namespace, scaler) (millrace_scaler_condition{condition="Ready"}) == 0
        unless ${of("millrace_scaler_broker_reachable")} == 0`,
      for: "15m",
      summary: "Something is in the way of a scaler.",
      description:
        "QueueScaler {{ $labels.namespace }}/{{ $labels.scaler }} is not ready: its condition Ready names what is in the way, such as " +
        "somebody else who scales the same workload.",
    }),
  ],
};

export const operatorGroups: readonly RuleGroup[] = [operator];
