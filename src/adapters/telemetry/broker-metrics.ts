import { Counter, Gauge, type Registry } from "prom-client";
import { type ProjectionName, projectionNames } from "../../domain/projection.ts";
import type { Backlog } from "../../ports/broker.ts";
import type { Subscribers } from "./process-metrics.ts";

/** Connections to the broker, and whether it takes messages. */
export function brokerMetrics(registry: Registry): Subscribers {
  const registers = [registry];
  const disconnections = new Counter({
    name: "millrace_broker_disconnections_total",
    help: "Times a connection to the broker was lost or could not be opened, by what it is for.",
    labelNames: ["connection"],
    registers,
  });
  const connected = new Gauge({
    name: "millrace_broker_connected",
    help: "Whether a connection to the broker stands, by what it is for.",
    labelNames: ["connection"],
    registers,
  });
  const blocked = new Gauge({
    name: "millrace_broker_blocked",
    help: "Whether the broker is in an alarm and takes no messages.",
    registers,
  });
  return {
    "broker.connected": ({ connection }) => {
      disconnections.inc({ connection }, 0);
      connected.set({ connection }, 1);
    },
    "broker.disconnected": ({ connection }) => {
      disconnections.inc({ connection });
      connected.set({ connection }, 0);
    },
    "broker.blocked": () => blocked.set(1),
    "broker.unblocked": () => blocked.set(0),
  };
}

/** Asks at each scrape; a broker that does not answer leaves its gauges out of that one. */
export function backlogMetrics(
  registry: Registry,
  backlogs: (queue: ProjectionName) => Promise<Backlog>,
): void {
  const gauge = new Gauge({
    name: "millrace_queue_messages",
    help: "Messages in a queue, by state: ready, unsettled or dead.",
    labelNames: ["queue", "state"],
    registers: [registry],
    async collect() {
      const asked = projectionNames.map(async (queue) => ({
        queue,
        backlog: await backlogs(queue).catch(() => undefined),
      }));
      const answers = await Promise.all(asked);
      // Only now: two scrapes at a time must not empty each other's.
      gauge.reset();
      for (const { queue, backlog } of answers) {
        if (backlog === undefined) continue;
        gauge.set({ queue, state: "ready" }, backlog.ready);
        gauge.set({ queue, state: "unsettled" }, backlog.unsettled);
        gauge.set({ queue, state: "dead" }, backlog.deadLetters);
      }
    },
  });
}
