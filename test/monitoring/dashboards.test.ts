import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import * as unitsOfGrafana from "@grafana/grafana-foundation-sdk/units";
import { describe, expect, test } from "vitest";
import { dashboardFiles, dashboards, makeDashboards } from "../../cdk8s/monitoring/dashboards.ts";
import { burns, thresholds } from "../../cdk8s/monitoring/objectives.ts";
import { panelsOf } from "../../cdk8s/monitoring/queries.ts";
import { kebabCase, RUNBOOK_BASE } from "../../cdk8s/monitoring/rule.ts";
import { ruleGroups } from "../../cdk8s/monitoring/rules.ts";

const COLUMNS = 24;
const alerts = ruleGroups.flatMap(({ rules }) => rules.flatMap(({ alert = [] }) => alert));
const uids = dashboards.map(({ dashboard }) => dashboard.uid ?? "");
const units = new Set<unknown>(Object.values(unitsOfGrafana));
const all = dashboards.flatMap(({ file, dashboard }) =>
  panelsOf(dashboard).map((panel) => ({ file, title: panel.title ?? "", panel })),
);

/** Cells of the grid that more than one panel takes, or that are outside of it. */
function badCells(panels: Dashboard["panels"] = []): readonly string[] {
  const taken = new Set<string>();
  return panels.flatMap(({ gridPos, title = "" }) => {
    if (gridPos === undefined) return [`${title} has no place`];
    const cells = Array.from({ length: gridPos.w * gridPos.h }, (_, at) => ({
      x: gridPos.x + (at % gridPos.w),
      y: gridPos.y + Math.floor(at / gridPos.w),
    }));
    const bad = cells.filter(({ x, y }) => x >= COLUMNS || !Number.isInteger(x) || taken.has(`${x} ${y}`));
    for (const { x, y } of cells) taken.add(`${x} ${y}`);
    return bad.map(({ x, y }) => `${title} at ${x} ${y}`);
  });
}

describe("the dashboards", () => {
  test("are the five, each in a file of its uid's name", () => {
    expect(dashboards.map(({ file }) => file)).toEqual([
      "millrace-overview.json",
      "millrace-ingestion.json",
      "millrace-workers.json",
      "millrace-operator.json",
      "millrace-store.json",
    ]);
    expect(dashboards.map(({ file }) => file)).toEqual(uids.map((uid) => `${uid}.json`));
  });
  test("are the same text when they are made again", () => {
    expect(JSON.stringify(makeDashboards())).toBe(JSON.stringify(makeDashboards()));
    expect(JSON.stringify(makeDashboards())).toBe(JSON.stringify(dashboards));
  });
  test("are written as JSON that says the same, indented by two, with a line's end", () => {
    for (const { file, dashboard } of dashboards) {
      const text = dashboardFiles().get(file) ?? "";
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(dashboard)));
      expect(text).toMatch(/^\{\n {2}"\w+": /);
      expect(text.endsWith("}\n")).toBe(true);
    }
  });
  test("leave room for each other in one object of Kubernetes, which may have 1 MiB", () => {
    const bytes = Array.from(dashboardFiles().values(), (text) => Buffer.byteLength(text));
    expect(bytes.reduce((sum, one) => sum + one, 0)).toBeLessThan(512 * 1024);
  });
});

describe.for(dashboards)("$file", ({ dashboard }) => {
  const panels = panelsOf(dashboard);

  test("tells what it is for, and has the tag that links the dashboards", () => {
    expect(dashboard.title).toMatch(/^Millrace: [a-z]+$/);
    expect(dashboard.description?.length).toBeGreaterThan(20);
    expect(dashboard.tags).toEqual(["millrace"]);
    expect(dashboard.id).toBeUndefined();
  });
  test("offers a data source, namespaces and pods, all of them at first", () => {
    const [datasource, ...others] = dashboard.templating.list ?? [];
    expect([datasource?.name, datasource?.type, datasource?.query]).toEqual([
      "datasource",
      "datasource",
      "prometheus",
    ]);
    expect(others.slice(0, 2).map(({ name }) => name)).toEqual(["namespace", "instance"]);
    for (const { multi, includeAll, current } of others) {
      expect({ multi, includeAll, value: current?.value }).toEqual({
        multi: true,
        includeAll: true,
        value: "$__all",
      });
    }
    // A target without the label is one of all, too.
    expect(others.slice(0, 2).map(({ allValue }) => allValue)).toEqual([".*", ".*"]);
  });
  test("marks scalings and deploys in its graphs", () => {
    const annotations = dashboard.annotations.list ?? [];
    expect(annotations.map(({ name, enable }) => [name, enable])).toEqual([
      ["Scalings", true],
      ["Deploys", true],
      ["Starts", false],
    ]);
  });
  test("begins with figures that tell whether it is well", () => {
    const [row, ...rest] = dashboard.panels ?? [];
    expect(row?.title).toBe("Is it well?");
    const next = rest.findIndex(({ type }) => type === "row");
    const first = rest.slice(0, next);
    expect(first.length).toBeGreaterThan(4);
    expect(first.filter(({ type }) => type !== "stat")).toEqual([]);
    expect(first.filter((panel) => "fieldConfig" in panel && panel.fieldConfig?.defaults.thresholds)).toEqual(
      first,
    );
  });
  test("gives every panel an id and a title of its own", () => {
    const ids = (dashboard.panels ?? []).map(({ id }) => id);
    expect(ids).toEqual(ids.map((_, index) => index + 1));
    const places = panels.map(({ title, type }) => `${title} (${type})`);
    expect(places.filter((one, at) => places.indexOf(one) !== at)).toEqual([]);
  });
  test("puts no panel on another or beside the grid, and leaves no line half full", () => {
    expect(badCells(dashboard.panels)).toEqual([]);
    const cells = (dashboard.panels ?? []).map(({ gridPos }) => (gridPos?.w ?? 0) * (gridPos?.h ?? 0));
    const bottom = Math.max(
      ...(dashboard.panels ?? []).map(({ gridPos }) => (gridPos?.y ?? 0) + (gridPos?.h ?? 0)),
    );
    expect(cells.reduce((sum, one) => sum + one, 0)).toBe(bottom * COLUMNS);
  });
  test("links to its siblings by their tag and to the runbooks, in sight", () => {
    const links = dashboard.links ?? [];
    expect(links.map(({ type, tags, url, placement }) => ({ type, tags, url, placement }))).toEqual([
      { type: "dashboards", tags: ["millrace"], url: undefined, placement: undefined },
      { type: "link", tags: [], url: RUNBOOK_BASE, placement: undefined },
    ]);
    expect(links[0]).toMatchObject({ includeVars: true, keepTime: true });
  });
  test("repeats rows for variables alone that it has", () => {
    const names = (dashboard.templating.list ?? []).map(({ name }) => name);
    const repeated = (dashboard.panels ?? []).flatMap(({ repeat = [] }) => repeat);
    expect(repeated.filter((name) => !names.includes(name))).toEqual([]);
  });
});

test("a panel over another, or beside the grid, is found", () => {
  const at = (x: number): Panel => ({ type: "stat", title: `at ${x}`, gridPos: { x, y: 0, w: 2, h: 1 } });
  expect(badCells([at(0), at(2)])).toEqual([]);
  expect(badCells([at(0), at(1)])).toEqual(["at 1 at 1 0"]);
  expect(badCells([at(23)])).toEqual(["at 23 at 24 0"]);
});

describe("a panel", () => {
  test.for(all)(
    "$file, $title: has a description, a unit of Grafana's, and the chosen data source",
    ({ panel }) => {
      expect(panel.title).toMatch(/^[A-Z]/);
      expect(panel.description).toMatch(/^[A-Z0-9].{20,}[.]$/);
      expect(units.has(panel.fieldConfig?.defaults.unit)).toBe(true);
      expect(panel.datasource).toEqual({ type: "prometheus", uid: "${datasource}" });
      expect(panel.targets?.length).toBeGreaterThan(0);
      const letters = panel.targets?.map((target) => "refId" in target && target.refId);
      expect(letters).toEqual(letters?.map((_, index) => "ABCDEFGH"[index]));
    },
  );
  test.for(all)("$file, $title: tells its series apart by name", ({ panel }) => {
    const legends = panel.targets?.map((target) => ("legendFormat" in target ? target.legendFormat : ""));
    expect(new Set(legends).size).toBe(panel.targets?.length);
    expect(legends?.filter((legend) => legend === "" && panel.type !== "stat")).toEqual([]);
  });
  test.for(all)("$file, $title: has thresholds that rise", ({ panel }) => {
    const values = panel.fieldConfig?.defaults.thresholds?.steps.map(({ value }) => value) ?? [null];
    expect(values[0]).toBeNull();
    expect(values.slice(1)).toEqual(values.slice(1).toSorted((a, b) => (a ?? 0) - (b ?? 0)));
  });

  const links = all.flatMap(({ file, title, panel }) =>
    (panel.links ?? []).map(({ url = "" }) => ({ file, title, url })),
  );
  test("links to dashboards that there are, and to runbooks of alerts that there are", () => {
    const runbooks = alerts.map((alert) => `${RUNBOOK_BASE}${kebabCase(alert)}.md`);
    const details = uids.map((uid) => `/d/${uid}?\${__all_variables}&\${__url_time_range}`);
    expect(links.filter(({ url }) => ![...runbooks, ...details].includes(url))).toEqual([]);
    expect(links.filter(({ file, url }) => url.startsWith(`/d/${file.slice(0, -".json".length)}?`))).toEqual(
      [],
    );
  });
  test("leads to each dashboard from the overview, and to the runbook of every alert from somewhere", () => {
    const urls = links.map(({ url }) => url);
    const ofOverview = links.filter(({ file }) => file === "millrace-overview.json").map(({ url }) => url);
    expect(uids.slice(1).filter((uid) => !ofOverview.some((url) => url.startsWith(`/d/${uid}?`)))).toEqual(
      [],
    );
    expect(alerts.filter((alert) => !urls.includes(`${RUNBOOK_BASE}${kebabCase(alert)}.md`))).toEqual([]);
  });
});

test.for([
  ["millrace-overview.json", "Acceptance: budget burnt", burns.page.map(({ factor }) => factor)],
  ["millrace-overview.json", "Wait: budget burnt", burns.page.map(({ factor }) => factor)],
  ["millrace-overview.json", "Accepted, 1 h", [0.999]],
  ["millrace-overview.json", "In time, 1 h", [0.99]],
  ["millrace-overview.json", "Store calls failed", [thresholds.storeFailureRatio]],
  ["millrace-ingestion.json", "Rejected, 1 h", [thresholds.rejectedRatio]],
  ["millrace-ingestion.json", "Event loop: delay, 99 %", [thresholds.eventLoopLagSeconds]],
  ["millrace-operator.json", "Oldest figures", [thresholds.observationAgeSeconds]],
  ["millrace-store.json", "Since the last sweep", [thresholds.sweepAgeSeconds]],
  ["millrace-store.json", "Compaction lag", [thresholds.compactionLagSeconds]],
] as const)("%s, %s: turns where alerts begin to count: %j", ([file, title, numbers]) => {
  const panel = all.find((one) => one.file === file && one.title === title)?.panel;
  const steps = panel?.fieldConfig?.defaults.thresholds?.steps.map(({ value }) => value);
  expect(steps).toEqual(expect.arrayContaining([...numbers]));
});
