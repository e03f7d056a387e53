import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ruleFile, ruleGroups } from "../../cdk8s/monitoring/rules.ts";
import { whyNoChroot } from "../parts/chroot.ts";
import { portOf } from "../parts/ports.ts";
import { obtainPrometheus, type Prometheus, promtool, startPrometheus } from "../parts/prometheus.ts";
import { alertCases } from "./alert-cases.ts";
import { createExpositions } from "./expositions.ts";
import { selectorsOf } from "./promql.ts";
import { unitTestFiles } from "./unit-test-file.ts";

const OBTAIN_MS = 600_000;
const missing = whyNoChroot();
const rules = ruleGroups.flatMap((group) => group.rules);
/** The names are those of prom-client, which dashboards for any Node rely on. */
const ofPromClient = ["handles", "requests", "resources"].map(
  (of) => `nodejs_active_${of}_total non-counter metrics should not have "_total" suffix`,
);
/** Of promtool, where the text can be read and there is something to mend. */
const LINT_CODE = 3;
const alerts = rules.filter(({ alert }) => alert !== undefined);
const names = alerts.map(({ alert = "" }) => alert);

describe.skipIf(missing !== undefined)(`promtool${missing === undefined ? "" : ` (${missing})`}`, () => {
  beforeAll(() => obtainPrometheus(), OBTAIN_MS);

  test("finds no fault in the rule file", async () => {
    const files = { "rules.yaml": ruleFile() };
    const { code, output } = await promtool({
      words: ["check", "rules", "--lint-fatal", "rules.yaml"],
      files,
    });
    expect(output).toContain(`SUCCESS: ${rules.length} rules found`);
    expect(code).toBe(0);
  });

  test("has cases for every alert, and for no other", () => {
    expect(Object.keys(alertCases).toSorted()).toEqual(names.toSorted());
    const bare = Object.entries(alertCases).filter(
      ([, { firing, silent }]) => Object.keys(firing).length === 0 || Object.keys(silent).length === 0,
    );
    expect(bare.map(([name]) => name)).toEqual([]);
  });

  test.for(alerts)("has $alert fire, and keep silent", async (rule) => {
    const files = unitTestFiles(rule);
    const { code, output } = await promtool({ words: ["test", "rules", "tests.yaml"], files });
    expect(output).toContain("SUCCESS");
    expect(code).toBe(0);
  });

  test.for(["standalone", "operator"] as const)(
    "finds no fault of ours in the metrics of %s",
    async (process) => {
      const expositions = createExpositions();
      expositions.happen();
      const { text } = await expositions[process].metrics();
      const { code, output } = await promtool({ words: ["check", "metrics"], input: text });
      expect(output.trim().split("\n")).toEqual(ofPromClient);
      expect(code).toBe(LINT_CODE);
    },
  );
});

describe.skipIf(missing !== undefined)("Prometheus, with the rules", () => {
  const expositions = createExpositions();
  const servers: Server[] = [];
  let part: Prometheus;
  beforeAll(async () => {
    const addressOf = async (process: "standalone" | "operator"): Promise<string> => {
      const server = createServer((_, response) => {
        void expositions[process].metrics().then(({ text, contentType }) => {
          response.setHeader("content-type", contentType).end(text);
        });
      });
      servers.push(server);
      await once(server.listen(0, "127.0.0.1"), "listening");
      return `127.0.0.1:${portOf(server)}`;
    };
    const job = async (process: "standalone" | "operator") => ({
      job: `millrace/${process}`,
      honorLabels: process === "operator",
      targets: [
        { address: await addressOf(process), labels: { namespace: "shop", instance: `${process}-1` } },
      ],
    });
    expositions.happen();
    const jobs = [await job("standalone"), await job("operator")];
    part = await startPrometheus({ jobs, rules: [ruleFile()] });
  }, OBTAIN_MS);
  afterAll(async () => {
    await part?.[Symbol.asyncDispose]();
    for (const server of servers) server.close();
  });

  test("finds series for each selector of each rule in what processes tell", {
    timeout: 60_000,
  }, async () => {
    const selectors = Array.from(new Set(rules.flatMap(({ expr }) => selectorsOf(expr))));
    expect(selectors.length).toBeGreaterThan(rules.length);
    await vi.waitFor(
      async () => {
        expositions.happen();
        const found = await Promise.all(selectors.map((selector) => part.query(selector)));
        expect(selectors.filter((_, at) => found[at]?.length === 0)).toEqual([]);
      },
      { timeout: 45_000, interval: 500 },
    );
  });

  test("evaluates every rule without an error, and fires those that wait for nothing", async () => {
    await vi.waitFor(
      async () => {
        expositions.happen();
        const states = await part.rules();
        expect(states).toHaveLength(rules.length);
        const faults = states.filter(({ health }) => health !== "ok");
        expect(faults.map(({ name, lastError }) => `${name} ${lastError}`)).toEqual([]);
        const begun = states.filter(({ state }) => state === "firing" || state === "pending");
        expect(begun.map(({ name }) => name).toSorted()).toEqual([
          "MillraceAcceptanceBurn",
          "MillraceAcceptanceSlowBurn",
          "MillraceBrokerBlocked",
          "MillraceBrokerDisconnected",
          "MillraceDeadLetterFlood",
          "MillraceDeadLetters",
          "MillraceEventsRejected",
          "MillraceQueryFailing",
          "MillraceReconcileFailing",
          "MillraceStoreFailing",
          "MillraceWaitBurn",
          "MillraceWaitSlowBurn",
        ]);
      },
      { timeout: 45_000, interval: 500 },
    );
  });
});
