import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  AnnotationQueryBuilder,
  type AnnotationQuery,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { RUNBOOK_BASE } from "./rule.ts";
import { DATASOURCE, placedInSight } from "./panels.ts";
import { chosen, count, sum } from "./series.ts";

export const TAG = "millrace";
/** The grid of Grafana is this wide. */
const COLUMNS = 24;

/** A row with its title, and below it lines of panels that share the width. */
export interface Section {
  readonly title: string;
  readonly lines: readonly (readonly Builder<Panel>[])[];
  /** The variable of whose every chosen value there is one such row. */
  readonly repeat?: "queue" | "scaler";
}

export interface DashboardOf {
  /** The end of its uid and of its file's name. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly sections: readonly Section[];
  /** A variable beside those that all have. */
  readonly choice?: "queue" | "scaler";
}

export function dashboardOf(of: DashboardOf): Dashboard {
  const uid = `millrace-${of.name}`;
  const builder = new DashboardBuilder(of.title)
    .uid(uid)
    .description(of.description)
    .tags([TAG])
    .time({ from: "now-1h", to: "now" })
    .refresh("30s")
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([...variables(), ...(of.choice === undefined ? [] : [choices[of.choice]()])])
    .annotations([scalings(), deploys(), starts()])
    .links([otherDashboards(), runbooks()]);
  let id = 0;
  let y = 0;
  for (const { title, lines, repeat } of of.sections) {
    const row = new RowBuilder(title).id(++id).gridPos({ x: 0, y, w: COLUMNS, h: 1 });
    builder.withRow(repeat === undefined ? row : row.repeat(repeat));
    y += 1;
    for (const line of lines) {
      const w = COLUMNS / line.length;
      const panels = line.map((panel) => panel.build());
      const h = Math.max(...panels.map(({ gridPos }) => gridPos?.h ?? 0));
      for (const [index, panel] of panels.entries()) {
        const links = panel.links?.filter(({ url }) => url?.startsWith(`/d/${uid}?`) !== true);
        const placed = { ...panel, ...(links && { links }), id: ++id, gridPos: { x: index * w, y, w, h } };
        builder.withPanel({ build: () => placed });
      }
      y += h;
    }
  }
  return builder.build();
}

const ALL = { selected: true, text: "All", value: "$__all" };

interface ChoiceOf {
  readonly label: string;
  readonly title: string;
  /** Whose values of the label are offered. */
  readonly series: string;
  /** What all of them are, where it is not each by its name. */
  readonly allValue?: string;
}

/** A variable that offers the values of a label; all of them at first. */
function choiceOf({ label, title, series, allValue }: ChoiceOf): Builder<VariableModel> {
  const query = `label_values(${series}, ${label})`;
  const variable = new QueryVariableBuilder(label)
    .label(title)
    .datasource(DATASOURCE)
    .query(query)
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    .current(ALL);
  if (allValue !== undefined) variable.allValue(allValue);
  return { build: () => ({ ...variable.build(), sort: VariableSort.NaturalAsc }) };
}

const variables = (): Builder<VariableModel>[] => [
  new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"),
  choiceOf({
    label: "namespace",
    title: "Namespace",
    // A QueueScaler's namespace need not have a process of Millrace.
    series: '{__name__=~"millrace_build_info|millrace_scaler_desired_replicas"}',
    allValue: ".*",
  }),
  choiceOf({
    label: "instance",
    title: "Pod",
    series: 'millrace_build_info{namespace=~"$namespace"}',
    allValue: ".*",
  }),
];

/** These have no value of their own for all, since a row that is repeated needs each. */
const choices = {
  queue: (): Builder<VariableModel> =>
    choiceOf({
      label: "queue",
      title: "Queue",
      series: 'millrace_events_applied_total{namespace=~"$namespace"}',
    }),
  scaler: (): Builder<VariableModel> =>
    choiceOf({
      label: "scaler",
      title: "QueueScaler",
      series: 'millrace_scaler_desired_replicas{namespace=~"$namespace"}',
    }),
};

interface AnnotationOf {
  readonly name: string;
  readonly color: string;
  readonly isShown: boolean;
  readonly expr: string;
  readonly title: string;
}

const STEP = "60s";

function annotation(of: AnnotationOf): Builder<AnnotationQuery> {
  const builder = new AnnotationQueryBuilder()
    .name(of.name)
    .datasource(DATASOURCE)
    .enable(of.isShown)
    .iconColor(of.color)
    .target(
      new DataqueryBuilder().refId("Annotation").datasource(DATASOURCE).expr(of.expr).interval(STEP).range(),
    )
    .titleFormat(of.title)
    .step(STEP);
  return {
    build() {
      const { placement: _, ...rest } = builder.build();
      return rest;
    },
  };
}

const scalings = () =>
  annotation({
    name: "Scalings",
    color: "blue",
    isShown: true,
    expr: `${sum(`changes(${chosen("millrace_scaler_replica_changes_total")}[$__rate_interval])`, "namespace", "scaler", "direction")} > 0`,
    title: "{{scaler}} scaled {{direction}}",
  });

const BUILD = ["namespace", "role", "version"] as const;

/** A version that a role did not have within the hour before, for as long as it takes to see it. */
const deploys = () => {
  const info = chosen("millrace_build_info");
  return annotation({
    name: "Deploys",
    color: "purple",
    isShown: true,
    expr: `${count(info, ...BUILD)} unless ${count(`last_over_time(${info}[1h] offset 2m)`, ...BUILD)}`,
    title: "{{role}} {{version}} is new",
  });
};

/** Hidden at first, since scaling starts processes all the time. */
const starts = () => {
  const young = `time() - ${chosen("process_start_time_seconds")} < 60`;
  return annotation({
    name: "Starts",
    color: "green",
    isShown: false,
    expr: count(`${chosen("millrace_build_info")} and on (namespace, instance) (${young})`, ...BUILD),
    title: "{{role}} {{version}} started",
  });
};

const otherDashboards = () =>
  placedInSight(
    new DashboardLinkBuilder("Millrace")
      .type(DashboardLinkType.Dashboards)
      .tags([TAG])
      .includeVars(true)
      .keepTime(true),
  );

const runbooks = () =>
  placedInSight(
    new DashboardLinkBuilder("Runbooks")
      .type(DashboardLinkType.Link)
      .icon("doc")
      .tooltip("What to do about each alert")
      .url(RUNBOOK_BASE)
      .targetBlank(true),
  );
