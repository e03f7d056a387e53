import type { Dashboard } from "@grafana/grafana-foundation-sdk/dashboard";
import { ingestion } from "./dashboards/ingestion.ts";
import { operator } from "./dashboards/operator.ts";
import { overview } from "./dashboards/overview.ts";
import { store } from "./dashboards/store.ts";
import { workers } from "./dashboards/workers.ts";

export interface DashboardFile {
  readonly file: string;
  readonly dashboard: Dashboard;
}

/** All dashboards, made anew at each call. */
export const makeDashboards = (): readonly DashboardFile[] =>
  [overview(), ingestion(), workers(), operator(), store()].map((dashboard) => ({
    file: `${dashboard.uid}.json`,
    dashboard,
  }));

export const dashboards: readonly DashboardFile[] = makeDashboards();

/** What Grafana reads, by the file's name. */
export const dashboardFiles = (): ReadonlyMap<string, string> =>
  new Map(dashboards.map(({ file, dashboard }) => [file, `${JSON.stringify(dashboard, undefined, 2)}\n`]));
