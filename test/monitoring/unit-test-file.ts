import { stringify } from "yaml";
import { type Rule, ruleGroups } from "../../cdk8s/monitoring/rules.ts";
import { alertCases, type Given } from "./alert-cases.ts";
import { metricOf, selectorsOf } from "./promql.ts";

/** Files for `promtool test rules tests.yaml`. Of the rules there are the alert and what it reads: all of them would take minutes. */
export function unitTestFiles(rule: Rule): Readonly<Record<string, string>> {
  const read = new Set(selectorsOf(rule.expr).map(metricOf));
  const records = ruleGroups
    .flatMap(({ rules }) => rules)
    .filter(({ record }) => record !== undefined && read.has(record));
  return {
    "rules.yaml": stringify({ groups: [{ name: "tested", rules: [...records, rule] }] }, { lineWidth: 0 }),
    "tests.yaml": unitTestFile(rule),
  };
}

function unitTestFile({ alert = "", labels, annotations, ...rule }: Rule): string {
  const { firing = {}, silent = {} } = alertCases[alert] ?? {};
  const testOf = (name: string, { series, interval = "1m" }: Given, expected: readonly Expected[]) => ({
    name: `${alert}: ${name}`,
    interval,
    input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
    alert_rule_test: expected.map(({ at, alerts }) => ({
      eval_time: at,
      alertname: alert,
      exp_alerts: alerts,
    })),
  });
  const tests = [
    ...Object.entries(firing).map(([name, { at, ...one }]) => {
      const fired = {
        exp_labels: { ...labels, ...one.labels },
        exp_annotations: { ...annotations, description: one.description },
      };
      const early = rule.for === undefined ? [] : [{ at: justBefore(at), alerts: [] }];
      return testOf(name, { at, ...one }, [...early, { at, alerts: [fired] }]);
    }),
    ...Object.entries(silent).map(([name, one]) => testOf(name, one, [{ at: one.at, alerts: [] }])),
  ];
  // Without a wait, all depends on what is evaluated just then, and 3 days of evaluations would take minutes.
  const times = [...Object.values(firing), ...Object.values(silent)].map(({ at }) => Number.parseInt(at, 10));
  const minutes = rule.for === undefined ? times.reduce(greatestCommonDivisor) : 1;
  const evaluation_interval = `${minutes}m`;
  return stringify({ rule_files: ["rules.yaml"], evaluation_interval, tests }, { lineWidth: 0 });
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

interface Expected {
  readonly at: string;
  readonly alerts: readonly object[];
}

/** Cases say when an alert has just come to fire: two minutes before, what it waits for has not been so for long enough. */
const justBefore = (at: string): string => `${Number.parseInt(at, 10) - 2}m`;
