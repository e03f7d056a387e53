import { describe, expect, test } from "vitest";
import { dashboards } from "../../cdk8s/monitoring/dashboards.ts";
import { panelsOf, panelsThatMayBeEmpty, queriesOf, resolved } from "../../cdk8s/monitoring/queries.ts";
import { createExpositions } from "./expositions.ts";
import { expressionOf } from "./expressions.ts";

const choices = { namespace: "a|b", instance: ".*", rateInterval: "1m", range: "1h" };
/** What a scrape adds to every series. */
const OF_SCRAPE = ["namespace", "instance", "job", "pod"];
/** Labels that an expression makes itself. */
const MADE = ["of"];

/** A metric as a process tells it. */
interface Metric {
  readonly type: string;
  /** What each has been seen to be. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

async function metricsThere(): Promise<ReadonlyMap<string, Metric>> {
  const expositions = createExpositions();
  expositions.standalone.emit("tracing.opened", {
    endpoint: "",
    figures: () => ({ exported: 1, dropped: 0, failed: 0 }),
  });
  expositions.happen();
  const found = new Map<string, Metric>();
  for (const { metrics } of [expositions.standalone, expositions.operator]) {
    const { text } = await metrics();
    for (const [, name = "", type = ""] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
      const parts = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      for (const part of parts) {
        const labels = new Map(found.get(`${name}${part}`)?.labels);
        for (const [, inside = ""] of text.matchAll(new RegExp(`^${name}${part}\\{(.*)\\} `, "gm"))) {
          for (const [, label = "", value = ""] of inside.matchAll(/(\w+)="([^"]*)"/g)) {
            labels.set(label, new Set([...(labels.get(label) ?? []), value]));
          }
        }
        found.set(`${name}${part}`, { type, labels });
      }
    }
  }
  return found;
}

const there = await metricsThere();
const labelsOf = (metric: string): readonly string[] => Array.from(there.get(metric)?.labels.keys() ?? []);
const valuesOf = (metric: string, label: string): readonly string[] =>
  Array.from(there.get(metric)?.labels.get(label) ?? []);

/** A target may look for either of several metrics by name. */
const metricsOf = (selector: { readonly metric: string; readonly labels: readonly string[] }) =>
  selector.metric === "" && selector.labels.includes("__name__") ? [] : [selector.metric];

const queries = dashboards.flatMap(({ file, dashboard }) =>
  queriesOf(dashboard).map((query) => ({ file, ...query, ...expressionOf(resolved(query.expr, choices)) })),
);
const used = new Set(queries.flatMap(({ selectors }) => selectors.flatMap(metricsOf)));

/** Of prom-client's own metrics, panels show a few; the others are for a closer look. */
const isOurs = (name: string) => name.startsWith("millrace_");

describe("the reader of expressions", () => {
  test.for([
    ["sum by (a) (rate(m[5m]))", true],
    ["sum(rate(m[5m])", false],
    ["foo bar", false],
    ["sum bye (a) (m)", false],
    ['m{a="1"', false],
    ["m[5x]", false],
    ["rate($m)", false],
  ] as const)("of %j says whether it is PromQL: %j", ([expr, isGood]) => {
    expect(expressionOf(expr).errors.length === 0).toBe(isGood);
  });
  test("finds metrics, matched labels, functions of ranges, and the labels of the answer", () => {
    const { selectors, groupings, answer } = expressionOf(
      'sum by (a) (rate(m_total{b="1", c=~"2"}[5m])) and on (a) n',
    );
    expect(selectors).toEqual([
      {
        metric: "m_total",
        labels: ["b", "c"],
        matchers: [
          { label: "b", operator: "=", value: "1" },
          { label: "c", operator: "=~", value: "2" },
        ],
        function: "rate",
      },
      { metric: "n", labels: [], matchers: [], function: undefined },
    ]);
    expect(groupings).toEqual(["a"]);
    expect(answer).toEqual(["a"]);
    expect(expressionOf("m and on (a) n").answer).toBeUndefined();
    expect(expressionOf("histogram_quantile(0.5, sum by (le, a) (rate(m_bucket[1m])))").answer).toEqual([
      "a",
    ]);
  });
});

describe("variables", () => {
  test("are replaced by what was chosen, and an unknown one is an error", () => {
    expect(resolved('rate(m{namespace=~"$namespace"}[$__rate_interval]) > $__range', choices)).toBe(
      'rate(m{namespace=~"a|b"}[1m]) > 1h',
    );
    expect(resolved('m{queue=~"$queue", scaler=~"$scaler"}', { ...choices, queue: "q" })).toBe(
      'm{queue=~"q", scaler=~".*"}',
    );
    expect(() => resolved("m{a=~'$other'}", choices)).toThrow("$other");
  });
  test.for(dashboards)("of $file are all that its questions need", ({ dashboard }) => {
    const offered = (dashboard.templating.list ?? []).map(({ name }) => name);
    const asked = queriesOf(dashboard).flatMap(({ expr }) =>
      Array.from(expr.matchAll(/\$(?!__)(\w+)/g), ([, name = ""]) => name),
    );
    expect(asked.filter((name) => !offered.includes(name))).toEqual([]);
    expect(offered.filter((name) => name !== "datasource" && !asked.includes(name))).toEqual([]);
  });
});

describe("a question", () => {
  test.for(queries)("of $file, $panel, is PromQL: $expr", ({ expr, errors, selectors }) => {
    expect(errors).toEqual([]);
    expect(selectors.length).toBeGreaterThan(0);
    expect(resolved(expr, choices)).not.toContain("$");
  });
  test("asks for metrics that a process tells, by labels that they have", () => {
    const faults = queries.flatMap(({ file, panel, selectors }) =>
      selectors.flatMap(({ metric, labels }) => {
        if (metricsOf({ metric, labels }).length === 0) return [];
        if (!there.has(metric)) return [`${file}, ${panel}: no metric ${metric}`];
        const known = [...OF_SCRAPE, ...labelsOf(metric)];
        return labels
          .filter((label) => !known.includes(label))
          .map((label) => `${file}, ${panel}: ${metric} has no ${label}`);
      }),
    );
    expect(faults).toEqual([]);
  });
  test("asks for values that these labels have", () => {
    const faults = queries.flatMap(({ file, panel, selectors }) =>
      selectors.flatMap(({ metric, matchers }) =>
        matchers
          .filter(({ label }) => !OF_SCRAPE.includes(label) && label !== "__name__")
          .filter(({ label, operator, value }) => {
            const pattern = operator.includes("~") ? new RegExp(`^(${value})$`) : undefined;
            return !valuesOf(metric, label).some((one) => pattern?.test(one) ?? one === value);
          })
          .map(({ label, value }) => `${file}, ${panel}: ${metric} has no ${label} like ${value}`),
      ),
    );
    expect(faults).toEqual([]);
  });
  test("groups and matches by labels that one of its metrics has", () => {
    const faults = queries.flatMap(({ file, panel, selectors, groupings }) => {
      const known = [...OF_SCRAPE, ...MADE, ...selectors.flatMap(({ metric }) => labelsOf(metric))];
      return groupings
        .filter((label) => !known.includes(label))
        .map((label) => `${file}, ${panel}: by ${label}`);
    });
    expect(faults).toEqual([]);
  });
  test("takes the rate of what only grows, and of nothing else", () => {
    const rates = ["rate", "increase", "changes"];
    const faults = queries
      .filter(({ panel }) => !panel.startsWith("variable"))
      .flatMap(({ file, panel, selectors }) =>
        selectors
          .filter(({ metric, function: called = "" }) => {
            const grows = ["counter", "histogram"].includes(there.get(metric)?.type ?? "");
            return grows ? !rates.includes(called) : ["rate", "increase"].includes(called);
          })
          .map(({ metric, function: called }) => `${file}, ${panel}: ${called ?? "nothing"} of ${metric}`),
      );
    expect(faults).toEqual([]);
  });
  test("of every panel and annotation is narrowed by the chosen namespaces and pods", () => {
    const faults = queries
      .filter(({ panel }) => !panel.startsWith("variable"))
      .flatMap(({ file, panel, selectors }) =>
        selectors
          .filter(({ labels }) => !labels.includes("namespace") || !labels.includes("instance"))
          .map(({ metric }) => `${file}, ${panel}: ${metric}`),
      );
    expect(faults).toEqual([]);
  });
  test("names its series by labels that the answer has", () => {
    const faults = dashboards.flatMap(({ file, dashboard }) =>
      panelsOf(dashboard).flatMap(({ title = "", targets = [] }) =>
        targets.flatMap((target) => {
          if (!("expr" in target) || !("legendFormat" in target)) return [`${file}, ${title}: no legend`];
          const { answer, selectors } = expressionOf(resolved(String(target.expr), choices));
          const labels = Array.from(
            String(target.legendFormat).matchAll(/\{\{(\w+)\}\}/g),
            ([, one = ""]) => one,
          );
          const known = answer ?? [...OF_SCRAPE, ...selectors.flatMap(({ metric }) => labelsOf(metric))];
          return labels
            .filter((label) => !known.includes(label))
            .map((label) => `${file}, ${title}: ${label}`);
        }),
      ),
    );
    expect(faults).toEqual([]);
  });
});

test("every metric of Millrace's is shown by a panel", () => {
  const whole = (name: string) =>
    there.get(name)?.type === "histogram" ? name.replace(/_(bucket|sum|count)$/, "") : name;
  const shown = new Set(Array.from(used, whole));
  const ours = Array.from(there.keys()).filter(isOurs).map(whole);
  expect(new Set(ours).size).toBeGreaterThan(50);
  expect(ours.filter((name) => !shown.has(name))).toEqual([]);
});

test("what may be empty is said of panels that there are", () => {
  const titles = dashboards.flatMap(({ dashboard }) => panelsOf(dashboard).map(({ title }) => title));
  expect(Object.keys(panelsThatMayBeEmpty).filter((title) => !titles.includes(title))).toEqual([]);
  const open = queries.filter(({ mayBeEmpty, panel }) => mayBeEmpty && !panel.startsWith("annotation"));
  expect(open.map(({ panel }) => panel).toSorted()).toEqual(Object.keys(panelsThatMayBeEmpty).toSorted());
});
