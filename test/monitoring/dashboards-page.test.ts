import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { dashboards } from "../../cdk8s/monitoring/dashboards.ts";
import { dashboardsPage } from "../../docs/dashboards-page.ts";

const docs = join(import.meta.dirname, "../../docs");
const page = join(docs, "dashboards.md");

test("its links lead to files that there are", () => {
  const links = Array.from(dashboardsPage().matchAll(/\]\((?!https?:)([^)#]+)\)/g), ([, to = ""]) => to);
  expect(links.length).toBeGreaterThan(20);
  expect(links.filter((to) => !existsSync(join(dirname(page), to)))).toEqual([]);
});

test("runbooks name panels and rows that there are", () => {
  const titles = new Map(
    dashboards.map(({ dashboard }) => [
      dashboard.title ?? "",
      (dashboard.panels ?? []).map(({ title = "" }) => title.replace(/\$\w+/, "…")),
    ]),
  );
  const runbooks = join(docs, "runbooks");
  const named = readdirSync(runbooks).flatMap((file) =>
    readFileSync(join(runbooks, file), "utf8")
      .split("\n")
      .flatMap((line) => line.split(/(?=\*\*Millrace: )/))
      .flatMap((part) => {
        const [, dashboard = "", rest = ""] = /^\*\*(Millrace: \w+)\*\*(.*)$/.exec(part) ?? [];
        const names = Array.from(rest.matchAll(/\*([^*]+)\*/g), ([, name = ""]) => name);
        return names.map((name) => ({ file, dashboard, name }));
      }),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ dashboard, name }) => titles.get(dashboard)?.includes(name) !== true)).toEqual([]);
});
