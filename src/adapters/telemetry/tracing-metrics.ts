import { Counter, type Registry } from "prom-client";
import type { SpanFigures } from "../../signals.ts";
import type { Subscribers } from "./process-metrics.ts";

/** What becomes of spans, where traces are exported. */
export function tracingMetrics(registry: Registry): Subscribers {
  return { "tracing.opened": ({ figures }) => void spansCounter(registry, figures) };
}

function spansCounter(registry: Registry, figures: () => SpanFigures): Counter {
  return new Counter({
    name: "millrace_spans_total",
    help: "Spans of traces by outcome: exported, dropped before an export, or failed in one; only where traces are exported.",
    labelNames: ["outcome"],
    registers: [registry],
    collect() {
      this.reset();
      for (const [outcome, spans] of Object.entries(figures())) this.inc({ outcome }, spans);
    },
  });
}
