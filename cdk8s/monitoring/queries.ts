import {
  type Dashboard,
  type Panel,
  type RowPanel,
  VariableType,
} from "@grafana/grafana-foundation-sdk/dashboard";

/** One question that a dashboard asks Prometheus. */
export interface DashboardQuery {
  /** The panel's title, or which annotation or variable it is. */
  readonly panel: string;
  readonly expr: string;
  /** Whether no answer at all is one that a system at work, with its operator, may give. */
  readonly mayBeEmpty: boolean;
}

export interface Choices {
  /** Regular expressions, as a choice of several is one. */
  readonly namespace: string;
  readonly instance: string;
  /** Durations of Prometheus, such as `1m`. */
  readonly rateInterval: string;
  readonly range: string;
  /** Of the dashboards that have such a variable; all where it is left out. */
  readonly queue?: string;
  readonly scaler?: string;
}

/** By their titles, with the reason. */
export const panelsThatMayBeEmpty: Readonly<Record<string, string>> = {
  "Requests refused or without an answer": "a status has its series from its first answer on",
  "Spans of traces": "traces are exported only where that is set",
};

/** Panels of a dashboard without its rows. */
export function panelsOf({ panels = [] }: Dashboard): readonly Panel[] {
  return panels.flatMap((panel) => (isRow(panel) ? panel.panels : [panel]));
}

const isRow = (panel: Panel | RowPanel): panel is RowPanel => panel.type === "row";

/** Everything that a dashboard asks: its panels, then its annotations, then its variables. */
export function queriesOf(dashboard: Dashboard): readonly DashboardQuery[] {
  const ofPanels = panelsOf(dashboard).flatMap(({ title = "", targets = [] }) =>
    targets.map((target) => ({
      panel: title,
      expr: exprOf(target),
      mayBeEmpty: Object.hasOwn(panelsThatMayBeEmpty, title),
    })),
  );
  const ofAnnotations = (dashboard.annotations.list ?? [])
    .filter(({ target }) => target !== undefined)
    .map(({ name, target }) => ({ panel: `annotation ${name}`, expr: exprOf(target), mayBeEmpty: true }));
  const ofVariables = (dashboard.templating.list ?? [])
    .filter(({ type }) => type === VariableType.Query)
    .map(({ name, query }) => ({
      panel: `variable ${name}`,
      expr: selectorOf(typeof query === "string" ? query : ""),
      mayBeEmpty: false,
    }));
  return [...ofPanels, ...ofAnnotations, ...ofVariables];
}

function exprOf(target: object | undefined): string {
  if (target === undefined || !("expr" in target) || typeof target.expr !== "string") {
    throw new Error("a target without an expression");
  }
  return target.expr;
}

/** The series whose labels a variable offers, out of Grafana's `label_values(series, label)`. */
function selectorOf(query: string): string {
  const selector = /^label_values\((.+), \w+\)$/.exec(query)?.[1];
  if (selector === undefined) throw new Error(`a variable's query that is no label_values(): ${query}`);
  return selector;
}

/** The expression that Grafana would send, with its variables replaced. */
export function resolved(expr: string, choices: Choices): string {
  const values: Readonly<Record<string, string>> = {
    namespace: choices.namespace,
    instance: choices.instance,
    queue: choices.queue ?? ".*",
    scaler: choices.scaler ?? ".*",
    __rate_interval: choices.rateInterval,
    __range: choices.range,
  };
  return expr.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no such variable: $${name} in ${expr}`);
    return value;
  });
}
