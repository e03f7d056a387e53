import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Emit, SignalName, Signals } from "../../signals.ts";

/** What a process tells of itself. */
export interface Build {
  readonly version: string;
  /** `standalone` where it has all roles. */
  readonly role: string;
}

export interface Prometheus {
  readonly emit: Emit;
  readonly metrics: () => Promise<{ readonly text: string; readonly contentType: string }>;
  /** The same text of the metrics of these names alone, in a fraction of the time; one that there is not is left out. */
  readonly textOf: (names: Iterable<string>) => Promise<string>;
}

export type Subscribers = { readonly [K in SignalName]?: (fact: Signals[K]) => void };

/** A registry with what every process has in it. */
export function createRegistry({ version, role }: Build): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const info = new Gauge({
    name: "millrace_build_info",
    help: "1, with the version of Millrace, that of Node, and the role.",
    labelNames: ["version", "node", "role"],
    registers: [registry],
  });
  info.set({ version, node: process.versions.node, role }, 1);
  return registry;
}

/** Signals in, text of Prometheus out. */
export function prometheusOf(registry: Registry, subscribers: Subscribers): Prometheus {
  return {
    emit: (name, fact) => subscribers[name]?.(fact),
    metrics: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
    textOf: async (names) => {
      const known = Array.from(names).filter((name) => registry.getSingleMetric(name) !== undefined);
      return (await Promise.all(known.map((name) => registry.getSingleMetricAsString(name)))).join("\n");
    },
  };
}
