import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import type { Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { BytesIEC, Number as Plain, PercentUnit, Seconds } from "@grafana/grafana-foundation-sdk/units";
import { thresholds } from "./objectives.ts";
import { graph, timeline } from "./panels.ts";
import { chosen, max, ofRoles, rate, sum } from "./series.ts";

const legend = "{{instance}}";

/** What the processes of some roles take of their machine, a series each. */
export function processPanels(...roles: readonly string[]): readonly (readonly Builder<Panel>[])[] {
  const ofEach = (expr: string) => [{ expr: ofRoles(expr, ...roles), legend }];
  return [
    [
      graph({
        title: "Event loop: delay, 99 %",
        description:
          "Of 100 turns of the event loop, 99 came less late than this. Meanwhile nobody is answered.",
        unit: Seconds,
        queries: ofEach(chosen("nodejs_eventloop_lag_p99_seconds")),
        thresholds: ["green", [thresholds.eventLoopLagSeconds, "red"]],
        showThresholds: true,
        alerts: ["MillraceEventLoopStalled"],
      }),
      graph({
        title: "Processor time",
        description: "The share of one core that each process takes.",
        unit: PercentUnit,
        queries: ofEach(rate("process_cpu_seconds_total")),
      }),
      graph({
        title: "Garbage collection",
        description: "The share of its time that each process spends on garbage collection.",
        unit: PercentUnit,
        queries: ofEach(sum(rate("nodejs_gc_duration_seconds_sum"), "namespace", "instance")),
      }),
    ],
    [
      graph({
        title: "Memory",
        description: "Resident memory of each process; a container is killed at its limit.",
        unit: BytesIEC,
        queries: ofEach(chosen("process_resident_memory_bytes")),
      }),
      graph({
        title: "Heap used",
        description: "Heap of JavaScript that each process uses.",
        unit: BytesIEC,
        queries: ofEach(chosen("nodejs_heap_size_used_bytes")),
      }),
      graph({
        title: "Open files",
        description: "Files and connections that each process has open.",
        unit: Plain,
        queries: ofEach(chosen("process_open_fds")),
      }),
    ],
  ];
}

/** `more` is the dashboard that tells more of it; none on that one itself. */
export const leaderTimeline = (more?: "operator"): Builder<Panel> =>
  timeline({
    title: "Leader",
    description: "Which process of the operator leads; the others stand by.",
    unit: Plain,
    queries: [
      {
        expr: max(chosen("millrace_operator_leading"), "namespace", "instance"),
        legend: "{{namespace}} {{instance}}",
      },
    ],
    none: "no operator",
    words: { 0: { text: "stands by", color: "gray" }, 1: { text: "leads", color: "green" } },
    alerts: ["MillraceOperatorNoLeader"],
    ...(more === undefined ? {} : { more }),
  });
