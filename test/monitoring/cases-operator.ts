import type { AlertCases } from "./alert-cases.ts";

const leading = (instance: string): string =>
  `millrace_operator_leading{namespace="shop",instance="${instance}"}`;
const passes = (outcome: string): string =>
  `millrace_reconcile_duration_seconds_count{namespace="shop",instance="operator-1",outcome="${outcome}"}`;
/** A scaler may be in another namespace than the operator. */
const ofScaler = (metric: string, more = ""): string =>
  `millrace_scaler_${metric}{namespace="events",instance="operator-1",scaler="orders"${more}}`;

const shop = { namespace: "shop" };
const orders = { namespace: "events", scaler: "orders" };
const leaderless =
  "In namespace shop, no operator leads, so that nobody scales. The numbers of replicas stay what they are.";
const unreconciled =
  "In namespace shop, passes of the operator that leads fail, or do not take place. The workloads of those scalers are not scaled.";
const limited =
  "QueueScaler events/orders is at its maximum of 10 replicas, and messages are about to wait longer than its objective.";
const blind =
  "QueueScaler events/orders cannot read its queue from the broker, or has figures that are old. Its number of replicas stays, or is that of its fallback.";

const atMaximum = {
  [ofScaler("desired_replicas")]: "10x30",
  [ofScaler("max_replicas")]: "10x30",
  [ofScaler("limited")]: "1x30",
  [ofScaler("objective_seconds")]: "30x30",
};

export const operatorCases: Readonly<Record<string, AlertCases>> = {
  MillraceOperatorNoLeader: {
    firing: {
      "both operators stand by": {
        series: { [leading("operator-1")]: "0x30", [leading("operator-2")]: "0x30" },
        at: "6m",
        labels: shop,
        description: leaderless,
      },
      "both operators are gone": {
        series: { [leading("operator-1")]: "1x10 stale", [leading("operator-2")]: "0x10 stale" },
        at: "17m",
        labels: shop,
        description: leaderless,
      },
    },
    silent: {
      "the other one leads after four minutes": {
        series: { [leading("operator-1")]: "1x10 0x20", [leading("operator-2")]: "0x14 1x20" },
        at: "16m",
      },
      "there is no operator": {
        series: { 'millrace_build_info{namespace="shop",role="collector"}': "1x30" },
        at: "16m",
      },
    },
  },
  MillraceReconcileFailing: {
    firing: {
      "a pass fails each minute": {
        series: { [passes("failed")]: "0+1x30", [passes("done")]: "0+30x30" },
        at: "12m",
        labels: shop,
        description: unreconciled,
      },
      "a leader with a scaler makes no pass": {
        series: {
          [passes("done")]: "50x30",
          [leading("operator-1")]: "1x30",
          [ofScaler("objective_seconds")]: "30x30",
        },
        at: "12m",
        labels: shop,
        description: unreconciled,
      },
    },
    silent: {
      "one pass has failed, more than ten minutes ago": {
        series: { [passes("failed")]: "0 1x30", [passes("done")]: "0+30x30" },
        at: "12m",
      },
      "there is no scaler to make a pass for": {
        series: { [passes("done")]: "50x30", [leading("operator-1")]: "1x30" },
        at: "25m",
      },
      "the scalers are another operator's": {
        series: {
          [passes("done")]: "50x30",
          [leading("operator-1")]: "1x30",
          'millrace_scaler_objective_seconds{namespace="events",instance="other-1",scaler="orders"}': "30x30",
        },
        at: "25m",
      },
      "one that stands by makes no pass": {
        series: {
          [passes("done")]: "0x30",
          [leading("operator-1")]: "0x30",
          [ofScaler("objective_seconds")]: "30x30",
        },
        at: "25m",
      },
    },
  },
  MillraceScalerLimited: {
    firing: {
      "messages are about to wait longer than the objective": {
        series: { ...atMaximum, [ofScaler("forecast_wait_seconds")]: "31x30" },
        at: "11m",
        labels: orders,
        description: limited,
      },
      "nobody knows how long messages will wait": {
        series: atMaximum,
        at: "11m",
        labels: orders,
        description: limited,
      },
    },
    silent: {
      "messages wait no longer than the objective": {
        series: { ...atMaximum, [ofScaler("forecast_wait_seconds")]: "30x30" },
        at: "11m",
      },
      "the number is held back below the maximum": {
        series: {
          ...atMaximum,
          [ofScaler("desired_replicas")]: "9x30",
          [ofScaler("forecast_wait_seconds")]: "60x30",
        },
        at: "11m",
      },
      "the maximum is just enough": {
        series: {
          ...atMaximum,
          [ofScaler("limited")]: "0x30",
          [ofScaler("forecast_wait_seconds")]: "60x30",
        },
        at: "11m",
      },
    },
  },
  MillraceScalerBlind: {
    firing: {
      "the figures are two minutes old": {
        series: { [ofScaler("observation_age_seconds")]: "121x30", [ofScaler("broker_reachable")]: "1x30" },
        at: "6m",
        labels: orders,
        description: blind,
      },
      "the broker does not answer, and never has": {
        series: { [ofScaler("broker_reachable")]: "0x30" },
        at: "6m",
        labels: orders,
        description: blind,
      },
    },
    silent: {
      "the figures are younger": {
        series: { [ofScaler("observation_age_seconds")]: "119x30", [ofScaler("broker_reachable")]: "1x30" },
        at: "6m",
      },
      "the broker answers again after four minutes": {
        series: { [ofScaler("broker_reachable")]: "0x4 1x30" },
        at: "6m",
      },
    },
  },
  MillraceScalerBottleneck: {
    firing: {
      "it stays so": {
        series: { [ofScaler("bottleneck")]: "1x30" },
        at: "16m",
        labels: orders,
        description:
          "QueueScaler events/orders has stopped adding replicas, since the last ones brought no more throughput: something behind them is the limit, such as the store.",
      },
    },
    silent: {
      "it is over after fourteen minutes": { series: { [ofScaler("bottleneck")]: "1x13 0x30" }, at: "16m" },
    },
  },
  MillraceScalerNotReady: {
    firing: {
      "its condition is false": {
        series: {
          [ofScaler("condition", ',condition="Ready"')]: "0x30",
          [ofScaler("broker_reachable")]: "1x30",
        },
        at: "16m",
        labels: orders,
        description:
          "QueueScaler events/orders is not ready: its condition Ready names what is in the way, such as somebody else who scales the same workload.",
      },
      "its spec cannot be followed, so that the broker is not asked": {
        series: { [ofScaler("condition", ',condition="Ready"')]: "0x30" },
        at: "16m",
        labels: orders,
        description:
          "QueueScaler events/orders is not ready: its condition Ready names what is in the way, such as somebody else who scales the same workload.",
      },
    },
    silent: {
      "it is the broker, of which another alert tells": {
        series: {
          [ofScaler("condition", ',condition="Ready"')]: "0x30",
          [ofScaler("broker_reachable")]: "0x30",
        },
        at: "16m",
      },
      "another condition is false": {
        series: {
          [ofScaler("condition", ',condition="Ready"')]: "1x30",
          [ofScaler("condition", ',condition="Active"')]: "0x30",
        },
        at: "16m",
      },
    },
  },
};
