import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { projectionNames } from "../../domain/projection.ts";
import type { Backlog } from "../../ports/broker.ts";
import type { Emit, SignalName, Signals } from "../../signals.ts";

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const AGE_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

type Subscribers = { readonly [K in SignalName]?: (fact: Signals[K]) => void };

export interface Prometheus {
  readonly emit: Emit;
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
}

/**
 * Turns signals into metrics. `backlogs` is asked at each scrape, in processes that see the broker; a broker that does not
 * answer leaves its gauges out of that scrape.
 */
export function createPrometheus(
  backlogs?: (queue: (typeof projectionNames)[number]) => Promise<Backlog>,
): Prometheus {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "millrace_requests_total",
    help: "Requests answered, by server, route and status.",
    labelNames: ["server", "route", "status"],
    registers,
  });
  const requestSeconds = new Histogram({
    name: "millrace_request_duration_seconds",
    help: "Time from a request's first byte to its answer, by server and route.",
    labelNames: ["server", "route"],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const events = new Counter({
    name: "millrace_events_total",
    help: "Events that the collector was sent, by outcome: accepted is durable, rejected is invalid, failed is neither.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of ["accepted", "rejected", "failed"]) events.inc({ outcome }, 0);
  const published = new Histogram({
    name: "millrace_publish_duration_seconds",
    help: "Time until the broker confirmed a message.",
    buckets: REQUEST_SECONDS,
    registers,
  });
  const publishFailures = new Counter({
    name: "millrace_publish_failures_total",
    help: "Messages that the broker did not confirm, by error code.",
    labelNames: ["code"],
    registers,
  });
  const disconnections = new Counter({
    name: "millrace_broker_disconnections_total",
    help: "Times a connection to the broker was lost or could not be opened, by what it is for.",
    labelNames: ["connection"],
    registers,
  });
  const deliveries = new Counter({
    name: "millrace_deliveries_total",
    help: "Deliveries settled by a worker, by queue and outcome.",
    labelNames: ["queue", "outcome"],
    registers,
  });
  const deliverySeconds = new Histogram({
    name: "millrace_delivery_duration_seconds",
    help: "Time from a delivery's arrival at a worker until it was settled, by queue.",
    labelNames: ["queue"],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const applied = new Counter({
    name: "millrace_events_applied_total",
    help: "Events in the store, by queue.",
    labelNames: ["queue"],
    registers,
  });
  const age = new Histogram({
    name: "millrace_event_age_seconds",
    help: "Time from a message's acceptance until it was in the store, by queue.",
    labelNames: ["queue"],
    buckets: AGE_SECONDS,
    registers,
  });
  const duplicates = new Counter({
    name: "millrace_duplicate_events_total",
    help: "Events not counted again, since their id had been counted, by queue.",
    labelNames: ["queue"],
    registers,
  });
  const storeWaits = new Counter({
    name: "millrace_store_retries_total",
    help: "Times a worker waited for a store that could not be reached, by queue.",
    labelNames: ["queue"],
    registers,
  });
  const settlementWaits = new Counter({
    name: "millrace_settlement_retries_total",
    help: "Times a retry or dead letter could not be published and was tried again, by queue.",
    labelNames: ["queue"],
    registers,
  });
  for (const queue of projectionNames) {
    for (const outcome of ["ack", "retry", "deadLetter"]) deliveries.inc({ queue, outcome }, 0);
    for (const counter of [applied, duplicates, storeWaits, settlementWaits]) counter.inc({ queue }, 0);
  }
  const sweeps = new Counter({
    name: "millrace_sweeps_total",
    help: "Rounds of expiry and month merge, by outcome.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of ["finished", "failed"]) sweeps.inc({ outcome }, 0);
  const swept = new Counter({
    name: "millrace_swept_rows_total",
    help: "Rows removed by sweeps, by kind: expired, forgotten or merged.",
    labelNames: ["kind"],
    registers,
  });
  if (backlogs !== undefined) registerBacklog(registry, backlogs);

  // One a request: looking a series up by its labels would cost more than counting.
  const requestSeries = new Map<string, { count: Counter.Internal; time: Histogram.Internal<string> }>();
  const subscribers: Subscribers = {
    "request.answered": ({ server, route, status, seconds }) => {
      const key = `${server} ${route} ${status}`;
      let series = requestSeries.get(key);
      if (series === undefined) {
        series = {
          count: requests.labels({ server, route, status }),
          time: requestSeconds.labels({ server, route }),
        };
        requestSeries.set(key, series);
      }
      series.count.inc();
      series.time.observe(seconds);
    },
    "events.rejected": (fact) => events.inc({ outcome: "rejected" }, fact.events),
    "message.published": (fact) => {
      events.inc({ outcome: "accepted" }, fact.events);
      published.observe(fact.seconds);
    },
    "publish.failed": (fact) => {
      events.inc({ outcome: "failed" }, fact.events);
      publishFailures.inc({ code: fact.code });
    },
    "delivery.settled": ({ queue, outcome, seconds, ageSeconds, events: count }) => {
      deliveries.inc({ queue, outcome });
      deliverySeconds.observe({ queue }, seconds);
      if (outcome === "ack") applied.inc({ queue }, count);
      if (ageSeconds !== undefined) age.observe({ queue }, ageSeconds);
    },
    "broker.connected": ({ connection }) => disconnections.inc({ connection }, 0),
    "broker.disconnected": ({ connection }) => disconnections.inc({ connection }),
    "duplicates.skipped": (fact) => duplicates.inc({ queue: fact.queue }, fact.events),
    "settlement.waiting": ({ queue }) => settlementWaits.inc({ queue }),
    "store.waiting": ({ queue }) => storeWaits.inc({ queue }),
    "sweep.finished": ({ expired, forgotten, merged }) => {
      sweeps.inc({ outcome: "finished" });
      for (const [kind, rows] of Object.entries({ expired, forgotten, merged })) swept.inc({ kind }, rows);
    },
    "sweep.failed": () => sweeps.inc({ outcome: "failed" }),
  };
  return {
    emit: (name, fact) => subscribers[name]?.(fact),
    metrics: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
  };
}

function registerBacklog(
  registry: Registry,
  backlogs: (queue: (typeof projectionNames)[number]) => Promise<Backlog>,
): void {
  const gauge = new Gauge({
    name: "millrace_queue_messages",
    help: "Messages in a queue, by state: ready, unsettled or dead.",
    labelNames: ["queue", "state"],
    registers: [registry],
    async collect() {
      gauge.reset();
      const asked = projectionNames.map(async (queue) => ({
        queue,
        backlog: await backlogs(queue).catch(() => undefined),
      }));
      for (const { queue, backlog } of await Promise.all(asked)) {
        if (backlog === undefined) continue;
        gauge.set({ queue, state: "ready" }, backlog.ready);
        gauge.set({ queue, state: "unsettled" }, backlog.unsettled);
        gauge.set({ queue, state: "dead" }, backlog.deadLetters);
      }
    },
  });
}
