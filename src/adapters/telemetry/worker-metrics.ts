import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import type { WorkerLoad } from "../../signals.ts";
import { ageBuckets, CALL_SECONDS } from "./buckets.ts";
import type { Subscribers } from "./process-metrics.ts";

/** What workers do with deliveries. An event is late where it was stored later than `objectiveSeconds` after its acceptance. */
export function workerMetrics(registry: Registry, objectiveSeconds: number): Subscribers {
  const registers = [registry];
  const counter = <const L extends string>(name: string, help: string, ...labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames: ["queue", ...labelNames], registers });
  const deliveries = counter(
    "millrace_deliveries_total",
    "Deliveries settled by a worker, by queue and outcome.",
    "outcome",
  );
  const deliverySeconds = new Histogram({
    name: "millrace_delivery_duration_seconds",
    help: "Time from a delivery's arrival at a worker until it was settled, by queue.",
    labelNames: ["queue"],
    buckets: [...CALL_SECONDS],
    registers,
  });
  const applied = counter("millrace_events_applied_total", "Events in the store, by queue.");
  const late = counter(
    "millrace_events_late_total",
    "Events that came into the store later than the objective, by queue.",
  );
  const age = new Histogram({
    name: "millrace_event_age_seconds",
    help: "Time from a message's acceptance until it was in the store, by queue.",
    labelNames: ["queue"],
    buckets: ageBuckets(objectiveSeconds),
    registers,
  });
  const duplicates = counter(
    "millrace_duplicate_events_total",
    "Events not counted again, since their id had been counted, by queue.",
  );
  const storeSeconds = new Histogram({
    name: "millrace_store_write_duration_seconds",
    help: "Time that the store took for a worker's call, by queue and operation: claim or apply.",
    labelNames: ["queue", "operation"],
    buckets: [...CALL_SECONDS],
    registers,
  });
  const storeFailures = counter(
    "millrace_store_failures_total",
    "Calls of a worker that the store failed, by queue, operation and error code.",
    "operation",
    "code",
  );
  const storeWaits = counter(
    "millrace_store_retries_total",
    "Times a worker waited for a store that could not be reached, by queue.",
  );
  const settlementWaits = counter(
    "millrace_settlement_retries_total",
    "Times a retry or dead letter could not be published and was tried again, by queue.",
  );
  for (const queue of projectionNames) {
    for (const outcome of ["ack", "retry", "deadLetter"]) deliveries.inc({ queue, outcome }, 0);
    for (const one of [applied, late, duplicates, storeWaits, settlementWaits]) one.inc({ queue }, 0);
    for (const operation of ["claim", "apply"]) {
      for (const code of ["STORE_UNAVAILABLE", "CHANGE_REFUSED"])
        storeFailures.inc({ queue, operation, code }, 0);
    }
  }
  const loads = registerLoads(registry, objectiveSeconds);
  return {
    "worker.opened": ({ queue, load }) => void loads.set(queue, load),
    "delivery.settled": ({ queue, outcome, seconds, ageSeconds, events }) => {
      deliveries.inc({ queue, outcome });
      deliverySeconds.observe({ queue }, seconds);
      if (outcome === "ack") applied.inc({ queue }, events);
      if (ageSeconds === undefined) return;
      age.observe({ queue }, ageSeconds);
      if (ageSeconds > objectiveSeconds) late.inc({ queue }, events);
    },
    "store.called": ({ queue, operation, seconds, code }) => {
      storeSeconds.observe({ queue, operation }, seconds);
      if (code !== undefined) storeFailures.inc({ queue, operation, code });
    },
    "duplicates.skipped": (fact) => duplicates.inc({ queue: fact.queue }, fact.events),
    "settlement.waiting": ({ queue }) => settlementWaits.inc({ queue }),
    "store.waiting": ({ queue }) => storeWaits.inc({ queue }),
  };
}

/** The gauges of workers that are in this process, read from their loads at each scrape. */
function registerLoads(registry: Registry, objectiveSeconds: number): Map<ProjectionName, () => WorkerLoad> {
  const loads = new Map<ProjectionName, () => WorkerLoad>();
  const gauge = (name: string, help: string, value: (load: WorkerLoad) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["queue"],
      registers: [registry],
      collect() {
        for (const [queue, load] of loads) this.set({ queue }, value(load()));
      },
    });
  gauge(
    "millrace_deliveries_in_hand",
    "Deliveries that a worker has not settled yet, by queue.",
    (load) => load.deliveries,
  );
  gauge(
    "millrace_oldest_delivery_age_seconds",
    "Time since the acceptance of the oldest message in a worker's hands, by queue; 0 where it has none.",
    ({ oldestAcceptedAtMs }) =>
      oldestAcceptedAtMs === undefined ? 0 : Math.max(0, Date.now() - oldestAcceptedAtMs) / 1000,
  );
  gauge(
    "millrace_wait_objective_seconds",
    "The objective that late events are told by, by queue.",
    () => objectiveSeconds,
  );
  return loads;
}
