import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { dashboards } from "../cdk8s/monitoring/dashboards.ts";
import { RUNBOOK_BASE } from "../cdk8s/monitoring/rule.ts";
import { page, table } from "./page.ts";

const intro = [
  "# Dashboards",
  "Five dashboards of Grafana, written as code in [cdk8s/monitoring](../cdk8s/monitoring/dashboards.ts) and synthesised into " +
    "[charts/millrace/monitoring/dashboards](../charts/millrace/monitoring/dashboards). The chart puts them into ConfigMaps that the " +
    "sidecar of Grafana's chart finds (`monitoring.dashboards.enabled`); without Kubernetes, import the files, or name their folder " +
    "to a file provider of Grafana's.",
  "All ask a Prometheus that scrapes Millrace, and choose by its data source, by namespace and by pod; the variables stand for all at first. " +
    "The first row tells whether it is well. Limits and thresholds are those of the [alerts](runbooks/README.md), and the links of a panel lead to " +
    "the runbooks of the alerts that watch it. Graphs mark scalings and new versions; `Starts` marks every start of a process " +
    "and is off at first.",
  "Every panel needs nothing but the metrics of [metrics.md](metrics.md). Without an operator, panels of QueueScalers say so.",
];

const units: Readonly<Record<string, string>> = {
  none: "number",
  s: "seconds",
  bytes: "bytes",
  percentunit: "share",
  cps: "a second",
  eps: "events a second",
  mps: "messages a second",
  reqps: "requests a second",
  rowsps: "rows a second",
};

function cellsOf({ title = "", description = "", fieldConfig, links = [] }: Panel): readonly string[] {
  const unit = fieldConfig?.defaults.unit ?? "";
  const runbooks = links.flatMap(({ title: name, url = "" }) =>
    url.startsWith(RUNBOOK_BASE)
      ? [`[${name.replace("Runbook of Millrace", "")}](runbooks/${url.slice(RUNBOOK_BASE.length)})`]
      : [],
  );
  return [title, description, units[unit] ?? unit, runbooks.join(", ")];
}

const tableOf = (panels: readonly Panel[]): string =>
  table(["Panel", "What it shows", "Unit", "Watched by"], panels.map(cellsOf));

/** The heading of a row, then a table of its panels. */
function rowsOf({ panels = [] }: Dashboard): readonly string[] {
  const rows: { readonly title: string; readonly panels: Panel[] }[] = [];
  for (const panel of panels) {
    if ("panels" in panel) rows.push({ title: panel.title ?? "", panels: [] });
    else rows.at(-1)?.panels.push(panel);
  }
  return rows.flatMap((row) => [`### ${row.title}`, tableOf(row.panels)]);
}

/** What docs/dashboards.md says, of each panel of each dashboard. */
export const dashboardsPage = (): string =>
  page(
    ...intro,
    ...dashboards.flatMap(({ file, dashboard }) => [
      `## ${dashboard.title ?? ""}`,
      `${dashboard.description ?? ""} \`${file}\``,
      ...rowsOf(dashboard),
    ]),
  );
