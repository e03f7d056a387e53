import { dashboardFiles } from "./monitoring/dashboards.ts";
import { ruleFile } from "./monitoring/rules.ts";
import { FileText } from "./template/file.ts";

/** The alerts, as Prometheus reads them. */
export const ruleText = new FileText("monitoring/rules.yaml", ruleFile());
/** What Grafana reads, by the file's name. */
export const dashboardTexts: ReadonlyMap<string, FileText> = new Map(
  Array.from(dashboardFiles(), ([name, text]) => [name, new FileText(`monitoring/dashboards/${name}`, text)]),
);
