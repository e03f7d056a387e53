import { afterAll, beforeAll, expect, test } from "vitest";
import { ruleGroups } from "../../cdk8s/monitoring/rules.ts";
import { ADMIN_PORT } from "../../cdk8s/workloads/components.ts";
import { adminAddresses, differences } from "./admin-ports.ts";
import type { Namespace } from "./install.ts";
import { type BundledPrometheus, reachPrometheus } from "./prometheus.ts";

const RELEASE = "millrace";
/** As millrace_build_info calls them; of workers, those that these tests never leave without a pod. */
const ROLES = ["collector", "distinctName", "hourlyLog", "operator", "query", "sweeper"];
const poll = { timeout: 120_000, interval: 1000 };
const timeout = 150_000;

/** The tests of the Prometheus that comes along with the chart. */
export function monitoringTests(installed: () => Namespace): void {
  let prometheus: BundledPrometheus;
  beforeAll(async () => {
    prometheus = await reachPrometheus(installed(), RELEASE);
  }, 60_000);
  afterAll(() => prometheus?.[Symbol.dispose]());

  test("scrapes every pod that has figures, in each role, and all are up", { timeout }, async () => {
    const faults = async () => {
      const there = (await adminAddresses(installed())).map((address) => `${address} up`);
      const targets = (await prometheus.targets()).filter(
        ({ scrapeUrl }) => new URL(scrapeUrl).port === String(ADMIN_PORT),
      );
      return differences(
        there,
        targets.map(({ scrapeUrl, health }) => `${new URL(scrapeUrl).host} ${health}`),
      );
    };
    await expect.poll(faults, poll).toEqual([]);
    const roles = async () =>
      (await prometheus.query("count by (role) (millrace_build_info == 1 and on (instance) up == 1)")).map(
        ({ metric }) => metric["role"],
      );
    await expect.poll(roles, poll).toEqual(expect.arrayContaining(ROLES));
    // What was gone a moment ago still has its last figure.
    const down = async () => (await prometheus.query("up == 0")).map(({ metric }) => metric);
    await expect.poll(down, poll).toEqual([]);
  });

  test("tells each series by the namespace, the component and the process that it is of", async () => {
    const samples = await prometheus.query("millrace_build_info");
    const labels = samples.map(({ metric }) =>
      [metric["namespace"], metric["job"], metric["role"]].join(" "),
    );
    expect(labels).toContain(`${RELEASE} ${RELEASE}/collector collector`);
    expect(labels).toContain(`${RELEASE} ${RELEASE}/operator operator`);
    const scalers = await prometheus.query("count by (namespace, scaler) (millrace_scaler_desired_replicas)");
    expect(scalers.map(({ metric }) => `${metric["namespace"]} ${metric["scaler"]}`)).toContain(
      `${RELEASE} ${RELEASE}-worker-hourly-log`,
    );
  });

  test("evaluates every rule of the chart without a fault", { timeout }, async () => {
    const names = ruleGroups.flatMap(({ rules }) => rules.map((rule) => rule.record ?? rule.alert));
    const health = async () =>
      (await prometheus.rules()).map((rule) => `${rule.name} ${rule.health} ${rule.lastError ?? ""}`.trim());
    await expect
      .poll(async () => (await health()).toSorted(), poll)
      .toEqual(names.map((name) => `${name} ok`).toSorted());
    const firing = async () =>
      (await prometheus.rules()).filter(({ state }) => state === "firing").map(({ name }) => name);
    // A worker that is scaled to none is none that is down.
    await expect.poll(firing, poll).not.toContain("MillraceTargetDown");
    console.log(`alerts that fire: ${(await firing()).join(", ") || "none"}`);
  });
}
