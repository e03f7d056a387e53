import { Gauge, type Registry } from "prom-client";
import type { Signals } from "../../signals.ts";
import type { Subscribers } from "./process-metrics.ts";

/** Who watches. */
export function consoleMetrics(registry: Registry): Subscribers {
  const gaugeOf = ({ load }: Signals["console.opened"]) =>
    new Gauge({
      name: "millrace_console_pages",
      help: "Pages of the console that are open; the answer to more than 100 is 503.",
      registers: [registry],
      collect() {
        this.set(load().pages);
      },
    });
  return { "console.opened": gaugeOf };
}
