/** A rule as Prometheus reads it; one of `record` and `alert` is there. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
export interface RuleGroup {
  readonly name: string;
  /** Between two evaluations; by default what Prometheus is set to. */
  readonly interval?: string;
  readonly rules: readonly Rule[];
}

/** Stable names, as the types of problems are; each page is a file of docs/runbooks. */
export const RUNBOOK_BASE = "https://millrace.io/runbooks/";

/** Such as `millrace-broker-blocked` of `MillraceBrokerBlocked`. */
export const kebabCase = (name: string): string =>
  name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase();

export interface AlertOptions {
  /** `page` wakes somebody, `ticket` is for the next working day. */
  readonly severity: "page" | "ticket";
  readonly expr: string;
  readonly for?: string;
  /** The same for every firing: no figures. */
  readonly summary: string;
  /** With the figures, in the template language of Prometheus. */
  readonly description: string;
}

export function alert(name: string, { severity, expr, summary, description, ...rest }: AlertOptions): Rule {
  return {
    alert: name,
    expr: oneLine(expr),
    ...(rest.for === undefined ? {} : { for: rest.for }),
    labels: { severity },
    annotations: { summary, description, runbook_url: `${RUNBOOK_BASE}${kebabCase(name)}.md` },
  };
}

/** `name` is `level:metric:operation`, the level being the labels that are left. */
export const record = (name: string, expr: string): Rule => ({ record: name, expr: oneLine(expr) });

const oneLine = (expr: string): string => expr.replaceAll(/\s+/g, " ").trim();
