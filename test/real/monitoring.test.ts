import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, type ChannelModel, connect } from "amqplib";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { dashboards } from "../../cdk8s/monitoring/dashboards.ts";
import { queriesOf, resolved } from "../../cdk8s/monitoring/queries.ts";
import { ruleFile, ruleGroups } from "../../cdk8s/monitoring/rules.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { startOtlpReceiver } from "../adapters/otlp-receiver.ts";
import { System } from "../bench/system.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { selectorsOf } from "../monitoring/promql.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import { Authority } from "../parts/authority.ts";
import { type OperatorProcess, startOperator } from "../parts/operator.ts";
import { type Prometheus, startPrometheus } from "../parts/prometheus.ts";
import {
  deploymentsOf,
  makeNamespace,
  makeScaler,
  makeWorkload,
  merge,
  missing,
  startCluster,
} from "./kubernetes-cluster.ts";

const broker = inject("broker");
const store = inject("store");
/** Within the time of a test. */
const poll = { timeout: 40_000, interval: 250 };

/** Also the label that a scrape adds. */
const NAMESPACE = "millrace";
/** What the dashboards' variables stand for, in seconds where it is a time. */
const variables = { namespace: NAMESPACE, instance: ".+", rateInterval: "10s", range: "1m" };
/** Of each process, one a second, before the first question: more than any rate looks back. */
const SCRAPES = 25;

const rules = ruleGroups.flatMap((group) => group.rules);

/** An operator that leads, with a QueueScaler for each worker; their pods never come. */
async function operatorFor(
  system: System,
  managementUrl: string,
  opened: AsyncDisposableStack,
): Promise<OperatorProcess> {
  const api: ApiServerPart = opened.use(await startCluster());
  await makeNamespace(api, NAMESPACE);
  await api.must({
    method: "POST",
    path: `/api/v1/namespaces/${NAMESPACE}/secrets`,
    body: { metadata: { name: "broker" }, stringData: { url: system.brokerUrl, managementUrl } },
  });
  const vhost = decodeURIComponent(new URL(system.brokerUrl).pathname.slice(1));
  for (const queue of projectionNames) {
    const name = queue.toLowerCase();
    await makeWorkload(api, NAMESPACE, name);
    await merge(api, `${deploymentsOf(NAMESPACE)}/${name}/status`, {
      status: { replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1 },
    });
    await makeScaler(api, NAMESPACE, name, {
      scaleTargetRef: { name },
      queue: { name: queue, vhost },
      replicas: { min: 2, max: 5 },
      pollingIntervalSeconds: 1,
    });
  }
  return startOperator(api.kubeConfig());
}

/** At rest, and served with TLS: it has a certificate to tell of. */
async function securedStandalone(opened: AsyncDisposableStack): Promise<Standalone> {
  const folder = opened.adopt(mkdtempSync(join(tmpdir(), "millrace-monitoring-")), (one) =>
    rmSync(one, { recursive: true, force: true }),
  );
  const { cert, key } = await (await Authority.make(folder, "authority")).issue("server");
  return startStandalone({
    environment: { MILLRACE_SERVER_CERT_FILE: cert, MILLRACE_SERVER_KEY_FILE: key },
  });
}

/** More than a process takes at once: some of it is refused with 503. */
const TOO_MANY = 200;
const LONG_NAME = "n".repeat(250);

/** Posts until it is told to stop: good events, invalid ones, ids that have come before, and now and then too much at once. */
async function load(system: System, stop: AbortSignal): Promise<void> {
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${system.collectorUrl}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    await response.arrayBuffer();
  };
  const ask = async (path: string) => (await fetch(`${system.queryUrl}${path}`)).arrayBuffer();
  for (let round = 0; !stop.aborted; round += 1) {
    const events = Array.from({ length: 200 }, (_, index) => ({
      username: `user-${(round * 7 + index) % 1000}`,
      metric: `metric-${index % 10}`,
      count: index,
    }));
    await post("/events", events);
    await post("/event", { username: "ann", metric: "reads", count: 1, id: `id-${round % 5}` });
    await post("/event", { username: "ann", metric: "reads", count: "many" });
    await ask("/metrics/hourly_logs/total");
    if (round % 50 === 20) {
      const long = Array.from({ length: 3000 }, () => ({ username: LONG_NAME, metric: "long", count: 1 }));
      await Promise.all(Array.from({ length: 4 }, () => post("/events", long)));
      await Promise.all(Array.from({ length: TOO_MANY }, () => ask("/metrics/hourly_logs/total")));
    }
    await sleep(20);
  }
}

describe.skipIf(broker === undefined || store === undefined || missing !== undefined)(
  "a Prometheus that scrapes the whole system under load",
  () => {
    const opened = new AsyncDisposableStack();
    const stop = new AbortController();
    let prometheus: Prometheus;
    let loading: Promise<void> | undefined;
    /** How many series an expression comes to. */
    const count = async (expr: string) => (await prometheus.query(expr)).length;

    beforeAll(async () => {
      if (broker === undefined || store === undefined) return;
      const traces = opened.use(await startOtlpReceiver());
      const system = opened.use(
        await System.start(
          { broker: { ...broker, pids: [] }, store: { ...store, pids: [] } },
          {
            MILLRACE_SWEEP_INTERVAL_MS: "1000",
            MILLRACE_UNCONFIRMED_MAX_BYTES: String(1024 * 1024),
            OTEL_EXPORTER_OTLP_ENDPOINT: traces.url,
          },
        ),
      );
      const operator = opened.use(await operatorFor(system, broker.managementUrl, opened));
      const secured = opened.use(await securedStandalone(opened));
      prometheus = opened.use(
        await startPrometheus({
          rules: [ruleFile()],
          jobs: [
            ...Array.from(system.admin, ([role, address]) => ({
              job: `millrace/${role}`,
              targets: [
                { address, labels: { namespace: NAMESPACE, instance: `${role}-0`, pod: `${role}-0` } },
              ],
            })),
            {
              job: "millrace/standalone",
              targets: [
                {
                  address: new URL(secured.adminUrl).host,
                  labels: { namespace: NAMESPACE, instance: "standalone-0", pod: "standalone-0" },
                },
              ],
            },
            {
              job: "millrace/operator",
              honorLabels: true,
              targets: [
                {
                  address: new URL(operator.adminUrl).host,
                  labels: { namespace: NAMESPACE, instance: "operator-0", pod: "operator-0" },
                },
              ],
            },
          ],
        }),
      );
      const model = opened.adopt<ChannelModel>(await connect(system.brokerUrl), (one) => one.close());
      const channel: Channel = await model.createChannel();
      for (const queue of projectionNames)
        channel.sendToQueue(queue, Buffer.from("rubbish"), { persistent: true });
      loading = load(system, stop.signal);
      await vi.waitUntil(async () => {
        const scrapes = await prometheus.query("min(count_over_time(up[1h]))");
        return Number(scrapes[0]?.value[1] ?? 0) >= SCRAPES;
      }, poll);
    }, 300_000);
    afterAll(async () => {
      stop.abort();
      await loading;
      await opened.disposeAsync();
    });

    test("reaches every process", async () => {
      const targets = await prometheus.targets();
      expect(targets.map(({ health, lastError }) => ({ health, lastError }))).toEqual(
        targets.map(() => ({ health: "up", lastError: "" })),
      );
      expect(targets).toHaveLength(8);
    });

    test("finds every metric of the documentation, and no other of Millrace's", async () => {
      const page = readFileSync(join(import.meta.dirname, "../../docs/metrics.md"), "utf8");
      const documented = new Set(
        Array.from(page.matchAll(/^\| `(millrace_\w+)` \| (\w+) /gm), ([, name = "", type]) =>
          type === "histogram" ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
        ).flat(),
      );
      expect(documented.size).toBeGreaterThan(50);
      const found = async () => {
        const series = await prometheus.query('group by (__name__) ({__name__=~"millrace_.+"})');
        return new Set(series.map(({ metric }) => metric["__name__"] ?? ""));
      };
      await expect.poll(async () => Array.from(documented.difference(await found())), poll).toEqual([]);
      expect(Array.from((await found()).difference(documented))).toEqual([]);
    });

    test.for(rules.filter(({ record }) => record !== undefined))("has data for $record", async (rule) => {
      await expect.poll(() => count(rule.expr), poll).toBeGreaterThan(0);
      await expect.poll(() => count(rule.record ?? ""), poll).toBeGreaterThan(0);
    });

    // An alert that is silent answers nothing: what it looks at must be there.
    test.for(rules.filter(({ alert }) => alert !== undefined))(
      "has data for all that $alert looks at",
      async ({ expr }) => {
        await prometheus.query(expr);
        const selectors = selectorsOf(expr);
        expect(selectors.length).toBeGreaterThan(0);
        for (const selector of selectors) await expect.poll(() => count(selector), poll).toBeGreaterThan(0);
      },
    );

    test("evaluates every rule without an error", async () => {
      const states = await prometheus.rules();
      expect(states).toHaveLength(rules.length);
      expect(states.filter(({ health }) => health !== "ok")).toEqual([]);
    });

    test.for(
      dashboards.flatMap(({ file, dashboard }) => queriesOf(dashboard).map((query) => ({ file, ...query }))),
    )("answers $file, $panel: $expr", async ({ expr, mayBeEmpty }) => {
      const asked = resolved(expr, variables);
      await expect.poll(() => count(asked), poll).toBeGreaterThanOrEqual(mayBeEmpty ? 0 : 1);
    });
  },
);
