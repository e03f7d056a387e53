import { Counter, Gauge, Histogram } from "prom-client";
import { createRegistry, type Prometheus, prometheusOf, type Subscribers } from "./process-metrics.ts";

const PASS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30];

/**
 * The metrics of the operator, of this version. A scaler's own are gone with it, so that their number is that of the scalers.
 * `reasons` are all that a decision may have.
 */
export function createOperatorMetrics(version: string, reasons: readonly string[]): Prometheus {
  const registry = createRegistry({ version, role: "operator" });
  const registers = [registry];
  const of = ["namespace", "scaler"] as const;
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: [...of], registers });
  const leading = new Gauge({
    name: "millrace_operator_leading",
    help: "Whether this process is the operator that works: 1, or 0 while it stands by.",
    registers,
  });
  const gauges = {
    backlog: gauge("millrace_scaler_backlog_messages", "Messages in the queue, ready and unacknowledged."),
    age: gauge("millrace_scaler_observation_age_seconds", "Age of the figures that were last decided on."),
    reachable: gauge("millrace_scaler_broker_reachable", "Whether the last reading of the queue succeeded."),
    arrivals: gauge("millrace_scaler_arrival_rate", "Estimated messages published in a second."),
    service: gauge(
      "millrace_scaler_service_rate",
      "Estimated messages that one replica processes in a second.",
    ),
    wait: gauge(
      "millrace_scaler_forecast_wait_seconds",
      "Time that a message published now will wait, by the replicas there are.",
    ),
    desired: gauge("millrace_scaler_desired_replicas", "Replicas that the last decision wants."),
    current: gauge("millrace_scaler_current_replicas", "Replicas that the workload is set to."),
    ready: gauge("millrace_scaler_ready_replicas", "Replicas that are ready."),
    limited: gauge(
      "millrace_scaler_limited",
      "Whether a limit keeps the number from what the queue asks for.",
    ),
    bottleneck: gauge("millrace_scaler_bottleneck", "Whether more replicas bring no more throughput."),
    objective: gauge("millrace_scaler_objective_seconds", "The promise: no message waits longer."),
    min: gauge("millrace_scaler_min_replicas", "Fewest replicas."),
    max: gauge("millrace_scaler_max_replicas", "Most replicas."),
  };
  const conditions = new Gauge({
    name: "millrace_scaler_condition",
    help: "Whether a condition of the status is true: 1, or 0; missing where it is unknown.",
    labelNames: [...of, "condition"],
    registers,
  });
  const decisions = new Counter({
    name: "millrace_scaler_decisions_total",
    help: "Passes that came to a decision, by its reason.",
    labelNames: [...of, "reason"],
    registers,
  });
  const changes = new Counter({
    name: "millrace_scaler_replica_changes_total",
    help: "Times the number of replicas was set, by direction: up or down.",
    labelNames: [...of, "direction"],
    registers,
  });
  const passes = new Histogram({
    name: "millrace_reconcile_duration_seconds",
    help: "Time from when a pass was due until it was done, by outcome.",
    labelNames: ["outcome"],
    buckets: PASS_SECONDS,
    registers,
  });
  for (const outcome of ["done", "failed"]) passes.zero({ outcome });
  const requests = new Counter({
    name: "millrace_operator_requests_total",
    help: "Requests to Kubernetes and to RabbitMQ's management API, by what was asked and the answer's status.",
    labelNames: ["to", "verb", "resource", "outcome"],
    registers,
  });
  const lost = new Counter({
    name: "millrace_operator_reports_lost_total",
    help: "Statuses and Events that could not be written.",
    registers,
  });
  const restarts = new Counter({
    name: "millrace_operator_watch_restarts_total",
    help: "Watches of Kubernetes that ended and were started again, by resource.",
    labelNames: ["resource"],
    registers,
  });
  for (const resource of ["queuescalers", "deployments", "statefulsets", "horizontalpodautoscalers"])
    restarts.inc({ resource }, 0);

  /** Conditions that a scaler has had, to remove their series with it. */
  const conditionsOf = new Map<string, Set<string>>();
  const subscribers: Subscribers = {
    "leader.changed": (fact) => leading.set(fact.leading ? 1 : 0),
    "scaler.decided": ({ namespace, scaler, reason, ...fact }) => {
      const labels = { namespace, scaler };
      const { estimates, replicas } = fact;
      const values: Readonly<Record<keyof typeof gauges, number | undefined>> = {
        backlog: fact.backlog,
        age: fact.observationAgeSeconds,
        reachable: fact.brokerReachable === undefined ? undefined : Number(fact.brokerReachable),
        arrivals: estimates.arrivalsPerSecond,
        service: estimates.messagesPerSecondPerReplica,
        wait: estimates.waitSeconds,
        desired: replicas.desired,
        current: replicas.current,
        ready: replicas.ready,
        limited: Number(fact.limited),
        bottleneck: Number(fact.bottleneck),
        objective: fact.objectiveSeconds,
        ...fact.bounds,
      };
      for (const [name, value] of Object.entries(values)) {
        const one = gauges[name as keyof typeof gauges];
        // What is not known is missing; the last value would be a lie.
        if (value === undefined || !Number.isFinite(value)) one.remove(labels);
        else one.set(labels, value);
      }
      const key = `${namespace}/${scaler}`;
      let known = conditionsOf.get(key);
      if (known === undefined) {
        conditionsOf.set(key, (known = new Set()));
        for (const one of reasons) decisions.inc({ ...labels, reason: one }, 0);
        for (const direction of ["up", "down"]) changes.inc({ ...labels, direction }, 0);
      }
      for (const condition of known) {
        if (!(condition in fact.conditions)) conditions.remove({ ...labels, condition });
      }
      for (const [condition, isTrue] of Object.entries(fact.conditions)) {
        known.add(condition);
        conditions.set({ ...labels, condition }, Number(isTrue));
      }
      if (reason !== undefined) decisions.inc({ ...labels, reason });
    },
    "scaler.forgotten": ({ namespace, scaler }) => {
      const labels = { namespace, scaler };
      const key = `${namespace}/${scaler}`;
      for (const one of Object.values(gauges)) one.remove(labels);
      for (const reason of reasons) decisions.remove({ ...labels, reason });
      for (const condition of conditionsOf.get(key) ?? []) conditions.remove({ ...labels, condition });
      for (const direction of ["up", "down"]) changes.remove({ ...labels, direction });
      conditionsOf.delete(key);
    },
    "replicas.changed": ({ namespace, scaler, from, to }) =>
      changes.inc({ namespace, scaler, direction: to > from ? "up" : "down" }),
    "reconcile.finished": ({ outcome, seconds }) => passes.observe({ outcome }, seconds),
    "request.made": ({ to, verb, resource, outcome }) => requests.inc({ to, verb, resource, outcome }),
    "report.lost": () => lost.inc(),
    "watch.restarted": ({ resource }) => restarts.inc({ resource }),
  };
  return prometheusOf(registry, subscribers);
}
