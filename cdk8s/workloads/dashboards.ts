import { type App, Chart } from "cdk8s";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { grafanaIsThere } from "./credentials.ts";
import { dashboardTexts } from "../monitoring-files.ts";
import { metadata, nameOf } from "../names.ts";
import { all, any, entryWhere, type Expression, filled, overlaid } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { spread } from "../template/tree.ts";
import { values } from "../values.ts";

const { dashboards: chosen } = values.monitoring;

/** The ConfigMap of each dashboard, by the name of the file in it. */
export const dashboardMaps: ReadonlyMap<string, Expression<string>> = new Map(
  Array.from(dashboardTexts.keys(), (file) => [
    file,
    nameOf(`dashboard-${file.replace(/^millrace-|\.json$/g, "")}`),
  ]),
);

/** One a dashboard, for the sidecar of a Grafana of others, and for the bundled one. */
export function dashboards(app: App): void {
  const chart = new Chart(app, "dashboards");
  const found = entryWhere(chosen.enabled, chosen.label, chosen.labelValue);
  const folder = entryWhere(all(chosen.enabled, filled(chosen.folder)), "grafana_folder", chosen.folder);
  for (const [file, name] of dashboardMaps) {
    const own = metadata(
      "dashboard",
      name,
      {},
      overlaid(values.commonAnnotations, folder, chosen.annotations),
    );
    new Manifest<ConfigMap>(
      chart,
      file,
      { apiVersion: "v1", kind: "ConfigMap" },
      {
        metadata: {
          ...own,
          labels: { ...own.labels, "+": spread(overlaid(values.commonLabels, found, chosen.labels)) },
        },
        data: { [file]: dashboardTexts.get(file) ?? "" },
      },
      { condition: any(chosen.enabled, grafanaIsThere) },
    );
  }
}
