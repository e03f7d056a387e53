import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { describe, expect, test } from "vitest";
import { dashboardFiles } from "../../cdk8s/monitoring/dashboards.ts";
import { budgetOf, burnRatio, burns, objectives } from "../../cdk8s/monitoring/objectives.ts";
import { kebabCase, RUNBOOK_BASE } from "../../cdk8s/monitoring/rule.ts";
import { ruleFile, ruleGroups } from "../../cdk8s/monitoring/rules.ts";
import { createExpositions } from "./expositions.ts";
import { expressionOf } from "./expressions.ts";
import { metricOf, selectorsOf } from "./promql.ts";

const runbooks = join(import.meta.dirname, "../../docs/runbooks");
const rules = ruleGroups.flatMap((group) => group.rules);
const alerts = rules.flatMap(({ alert, ...rule }) => (alert === undefined ? [] : [{ ...rule, name: alert }]));
const records = rules.flatMap(({ record }) => (record === undefined ? [] : [record]));
const names = alerts.map(({ name }) => name);
/** Those that Prometheus itself makes. */
const ofPrometheus = ["up"];

describe("the objectives", () => {
  test("leave a budget, and burn rates that are shares of it", () => {
    expect([budgetOf("acceptance"), budgetOf("wait")]).toEqual([0.001, 0.01]);
    const limits = [...burns.page, ...burns.ticket].map((burn) => burnRatio("acceptance", burn));
    expect(limits).toEqual([0.0144, 0.006, 0.001]);
  });
});

describe("the rule file", () => {
  test("is what the groups are", () => {
    expect(parse(ruleFile())).toEqual({ groups: ruleGroups });
  });
  test("has no name twice", () => {
    const all = [...names, ...records, ...ruleGroups.map(({ name }) => name)];
    expect(all.filter((name, at) => all.indexOf(name) !== at)).toEqual([]);
  });
  test("names what it records by level, metric and operation, and each is read by an alert", () => {
    expect(records.length).toBeGreaterThan(0);
    expect(records.filter((name) => !/^[a-z_]+:millrace_\w+:[a-z0-9_]+$/.test(name))).toEqual([]);
    const read = new Set(alerts.flatMap(({ expr }) => selectorsOf(expr)).map(metricOf));
    expect(records.filter((name) => !read.has(name))).toEqual([]);
  });
  test("reads no metric that no process has", async () => {
    const expositions = createExpositions();
    expositions.happen();
    const texts = await Promise.all(
      [expositions.standalone, expositions.operator].map(({ metrics }) => metrics()),
    );
    const told = texts.flatMap(({ text }) =>
      Array.from(text.matchAll(/^[a-z]\w*(?=[{ ])/gm), ([name]) => name),
    );
    const known = new Set([...told, ...records, ...ofPrometheus]);
    const read = rules.flatMap(({ expr }) => selectorsOf(expr)).map(metricOf);
    expect(read.length).toBeGreaterThan(rules.length);
    expect(read.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe("an alert", () => {
  test.for(alerts)("$name says how urgent it is, what is the case, and what to do", (alert) => {
    const { labels, annotations = {}, name } = alert;
    expect(name).toMatch(/^Millrace([A-Z][a-z]+)+$/);
    expect(labels?.["severity"]).toMatch(/^(page|ticket)$/);
    expect(Object.keys(annotations).toSorted()).toEqual(["description", "runbook_url", "summary"]);
    expect(annotations["summary"]).toMatch(/^[A-Z][^{}]*\.$/);
    expect(annotations["description"]).toMatch(/\.$/);
    expect(annotations["runbook_url"]).toBe(`${RUNBOOK_BASE}${kebabCase(name)}.md`);
  });
  test("names its runbook by itself, in kebab-case", () => {
    expect(kebabCase("MillraceBrokerBlocked")).toBe("millrace-broker-blocked");
  });
  test("wakes nobody but for what users notice", () => {
    const pages = alerts.filter(({ labels }) => labels?.["severity"] === "page").map(({ name }) => name);
    expect(pages.toSorted()).toEqual([
      "MillraceAcceptanceBurn",
      "MillraceDeadLetterFlood",
      "MillraceQueueStalled",
      "MillraceServiceAbsent",
      "MillraceWaitBurn",
    ]);
  });
});

describe("the runbooks", () => {
  const pages = readdirSync(runbooks).filter((name) => name !== "README.md");
  const pageOf = (name: string): string => readFileSync(join(runbooks, `${kebabCase(name)}.md`), "utf8");
  const headings = ["What it means", "What users notice", "How to look", "What to do", "When it ends"];

  test("are one page an alert, and no others", () => {
    expect(pages.toSorted()).toEqual(names.map((name) => `${kebabCase(name)}.md`).toSorted());
  });
  test.for(names)("have on the page of %s what whoever is called needs", (name) => {
    const page = pageOf(name);
    const found = Array.from(page.matchAll(/^## (.*)$/gm), ([, heading]) => heading);
    expect(page.split("\n", 1)[0]).toBe(`# ${name}`);
    expect(found).toEqual(headings);
    const severity = alerts.find((alert) => alert.name === name)?.labels?.["severity"];
    expect(page).toContain(`Severity: ${severity}.`);
    expect(page.length).toBeGreaterThan(600);
  });
  test("read no metric that the rules' processes do not have", () => {
    const documented = readFileSync(join(runbooks, "../metrics.md"), "utf8");
    const read = names.flatMap((name) => pageOf(name).match(/\bmillrace_[a-z_]+\w/g) ?? []);
    expect(read.length).toBeGreaterThan(names.length);
    const base = (metric: string) => metric.replace(/_(bucket|count|sum)$/, "");
    expect(read.filter((metric) => !documented.includes(`\`${base(metric)}\``))).toEqual([]);
  });
  test.for([
    ["MillraceAcceptanceBurn", "acceptance", "page"],
    ["MillraceAcceptanceSlowBurn", "acceptance", "ticket"],
    ["MillraceWaitBurn", "wait", "page"],
    ["MillraceWaitSlowBurn", "wait", "ticket"],
  ] as const)("tell of %s the figures of its objective", ([name, objective, severity]) => {
    const shares = [objectives[objective], ...burns[severity].map((burn) => burnRatio(objective, burn))];
    const page = pageOf(name);
    expect(shares.map(percent).filter((share) => !page.includes(share))).toEqual([]);
  });
  test("ask Prometheus in its language", () => {
    const asked = names.flatMap((name) =>
      Array.from(pageOf(name).matchAll(/^```promql\n(.*?)^```/gms), ([, text = ""]) =>
        text.trim().split("\n"),
      ).flat(),
    );
    expect(asked.length).toBeGreaterThan(15);
    expect(asked.flatMap((expr) => expressionOf(expr).errors)).toEqual([]);
  });
  test("send to dashboards and panels that are there", () => {
    const titles = JSON.stringify([...dashboardFiles().values()].map((text): unknown => JSON.parse(text)));
    const sent = names.flatMap((name) =>
      Array.from(pageOf(name).matchAll(/\*\*(Millrace: \w+)\*\*|(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)/g)).map(
        ([, dashboard, panel]) => dashboard ?? panel ?? "",
      ),
    );
    expect(sent.length).toBeGreaterThan(names.length);
    const ofPrometheusItself = ["Targets"];
    const lost = sent.filter(
      (title) => !ofPrometheusItself.includes(title) && !titles.includes(`"title":${JSON.stringify(title)}`),
    );
    expect(lost).toEqual([]);
  });
  test("are listed in the README with the alerts' own summaries, as they come in the rules", () => {
    const readme = readFileSync(join(runbooks, "README.md"), "utf8");
    const rows = alerts.map(
      ({ name, labels, annotations }) =>
        `| [${name}](${kebabCase(name)}.md) | ${labels?.["severity"]} | ${annotations?.["summary"]} |`,
    );
    expect(readme.split("\n").filter((line) => line.startsWith("| ["))).toEqual(rows);
  });
  test("link to files that are there", () => {
    const broken = [...pages, "README.md"].flatMap((page) => {
      const text = readFileSync(join(runbooks, page), "utf8");
      return Array.from(text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g), ([, to = ""]) => to)
        .filter((to) => !existsSync(join(runbooks, to)))
        .map((to) => `${page}: ${to}`);
    });
    expect(broken).toEqual([]);
  });
});

const percent = (share: number): string => `${Number((100 * share).toFixed(4))} %`;
