import type { Summary } from "./summary.ts";

const head = ["policy", "misses %", "p50 s", "p99 s", "max s", "cost", "direction changes"];

/** Figures of policies, or of one policy on several traces, as a table of Markdown. */
export function scalingTable(rows: readonly Summary[], first: "policy" | "trace"): string {
  const cells = rows.map((row) => [
    row[first],
    (100 * row.missed).toFixed(2),
    row.p50.toFixed(1),
    row.p99.toFixed(1),
    row.longest.toFixed(0),
    row.cost.toFixed(2),
    row.directionChanges.toFixed(0),
  ]);
  const all = [[first, ...head.slice(1)], ...cells];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const [titles = "", ...lines] = all.map((line) => {
    const padded = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    return `| ${padded.join(" | ")} |`;
  });
  const rule = widths.map((width, column) =>
    column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`,
  );
  return [titles, `|${rule.join("|")}|`, ...lines].join("\n");
}
