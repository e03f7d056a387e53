import type { ProjectionName } from "../../domain/projection.ts";
import type { Backlog } from "../../ports/broker.ts";
import { backlogMetrics, brokerMetrics } from "./broker-metrics.ts";
import { collectorMetrics } from "./collector-metrics.ts";
import { consoleMetrics } from "./console-metrics.ts";
import { fileMetrics } from "./file-metrics.ts";
import { type Build, createRegistry, type Prometheus, prometheusOf } from "./process-metrics.ts";
import { sweeperMetrics } from "./sweeper-metrics.ts";
import { tracingMetrics } from "./tracing-metrics.ts";
import { workerMetrics } from "./worker-metrics.ts";

export interface PrometheusSettings extends Build {
  /** The objective: an event that is stored later than this after its acceptance is late. */
  readonly maxWaitSeconds: number;
}

/** Turns signals of all roles but the operator into metrics. `backlogs` is asked at each scrape, in processes that see the broker. */
export function createPrometheus(
  settings: PrometheusSettings,
  backlogs?: (queue: ProjectionName) => Promise<Backlog>,
): Prometheus {
  const registry = createRegistry(settings);
  if (backlogs !== undefined) backlogMetrics(registry, backlogs);
  return prometheusOf(registry, {
    ...collectorMetrics(registry),
    ...brokerMetrics(registry),
    ...consoleMetrics(registry),
    ...fileMetrics(registry),
    ...workerMetrics(registry, settings.maxWaitSeconds),
    ...sweeperMetrics(registry),
    ...tracingMetrics(registry),
  });
}
