import { randomInt } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, closeCluster, findCluster } from "../../kind/cluster.ts";
import { Ledger } from "../fault/ledger.ts";
import { seededRandom } from "../fault/random.ts";
import { settledVerdict } from "../fault/settled.ts";
import { Traffic } from "../fault/traffic.ts";
import { conditionTests } from "./conditions.ts";
import { consoleTests } from "./console.ts";
import { deletePods } from "./deletions.ts";
import { idleScalingTests } from "./idle-scaling.ts";
import { ingressSender } from "./ingress.ts";
import { componentOf, isReady, Namespace, type Pod, restartsOf } from "./install.ts";
import { monitoringTests } from "./monitoring.ts";
import { plainManifestTests } from "./plain.ts";
import { policyTests } from "./policies.ts";
import { rightsTests } from "./rights.ts";
import { scalingTests } from "./scaling.ts";
import { SteadyClient } from "./steady.ts";
import { kindUp, NAME } from "./up.ts";
import { sum, usageOf } from "./usage.ts";

const VALUES = join(import.meta.dirname, "values.yaml");
const RELEASE = "millrace";
const SETTLE_MS = 120_000;
/** For the clients to be answered after the last pod is ready again: on a slow machine RabbitMQ takes minutes to be itself. */
const ANSWERED_MS = 300_000;
const EVENTS = 20_000;

const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? randomInt(2 ** 31));
const random = seededRandom(seed);
/** Of all that these tests ever post: the views are compared with the whole of it. */
const ledger = new Ledger(random);
const progress = (line: string): void => console.log(line);

let cluster: Cluster;
let millrace: Namespace;
let url: string;
let image: string;

async function verdict() {
  const { missing, wrong, counted } = await settledVerdict(ledger, {
    queryUrl: url,
    pageRows: 10_000,
    settleMs: SETTLE_MS,
    progress,
  });
  progress(`acknowledged ${ledger.acknowledged}, counted ${JSON.stringify(counted)}`);
  return { missing: missing.slice(0, 20), wrong: wrong.slice(0, 20) };
}
const exact = { missing: [], wrong: [] };

async function countedEvents(): Promise<number> {
  const answer = await fetch(`${url}/metrics/hourly_logs/total?limit=10000`);
  const rows = (await answer.json()) as readonly { readonly count: number }[];
  return sum(rows.map(({ count }) => count));
}

/** Posts events until one is acknowledged, and waits until it is counted. Resolves to the seconds since `begunMs`. */
async function firstCounted(begunMs: number): Promise<number> {
  using send = ingressSender(url, 1);
  const before = { acknowledged: ledger.acknowledged, counted: await countedEvents() };
  while (ledger.acknowledged === before.acknowledged) await new SteadyClient(send, ledger, 1000).finish();
  while ((await countedEvents()) === before.counted) await sleep(50);
  return (Date.now() - begunMs) / 1000;
}

beforeAll(async () => {
  progress(`seed ${seed}: MILLRACE_TEST_SEED sets it`);
  const left = await findCluster(NAME);
  if (left !== undefined) await closeCluster(left);
}, 120_000);

afterAll(async () => {
  if (cluster !== undefined && process.env["MILLRACE_TEST_KEEP"] === undefined) await closeCluster(cluster);
}, 120_000);

describe("kind:up", () => {
  test("from no cluster ends with Millrace at work", { timeout: 1_800_000 }, async () => {
    const begun = Date.now();
    const up = await kindUp(VALUES);
    cluster = up.cluster;
    url = `http://127.0.0.1:${cluster.httpPort}`;
    millrace = new Namespace(cluster, RELEASE);
    const path = "jsonpath={.spec.template.spec.containers[0].image}";
    image = await millrace.kubectl("get", "deployment", "millrace-collector", "--output", path);
    const seconds = await firstCounted(begun);
    progress(
      `no cluster: kind:up ${up.seconds.toFixed(0)} s, first event counted after ${seconds.toFixed(1)} s`,
    );
    expect(await verdict()).toEqual(exact);
  });

  test("once more changes nothing", { timeout: 600_000 }, async () => {
    const before = await unscaled();
    const begun = Date.now();
    const up = await kindUp(VALUES);
    const seconds = await firstCounted(begun);
    progress(
      `cluster there: kind:up ${up.seconds.toFixed(0)} s, event counted after ${seconds.toFixed(1)} s`,
    );
    expect(await unscaled()).toEqual(before);
  });
});

/** Names of all pods but the workers' and collectors', which come and go by themselves, and of what makes these: anew where they change. */
async function unscaled(): Promise<readonly string[]> {
  const pods = (await millrace.pods()).filter((pod) => !/^(worker-|collector$)/.test(componentOf(pod)));
  const sets = await millrace.list<Pod>("replicasets");
  return [...pods, ...sets].map(({ metadata }) => metadata.name).toSorted();
}

describe("an install", () => {
  test("has every pod ready without a restart, in a namespace that enforces restricted pods", {
    timeout: 240_000,
  }, async () => {
    await sleep(20_000);
    const pods = await millrace.pods();
    expect(pods.map(componentOf).toSorted()).toEqual(
      expect.arrayContaining([
        "collector",
        "mongodb",
        "operator",
        "prometheus",
        "query",
        "rabbitmq",
        "sweeper",
        "worker-hourly-log",
      ]),
    );
    // One that a scaler has only now added takes a while.
    const unsound = async () =>
      (await millrace.pods())
        .filter((pod) => !isReady(pod) || restartsOf(pod) > 0)
        .map((pod) => pod.metadata.name);
    await expect.poll(unsound, { timeout: 120_000, interval: 1000 }).toEqual([]);
    const [namespace] = JSON.parse(
      `[${await millrace.kubectl("get", "namespace", RELEASE, "--output=json")}]`,
    );
    expect(namespace.metadata.labels["pod-security.kubernetes.io/enforce"]).toBe("restricted");
  });

  test("has figures for the autoscaler, and tells what it uses at rest", { timeout: 120_000 }, async () => {
    const withoutFigures = async () => {
      const known = (await usageOf(millrace)).map(({ pod }) => pod);
      return (await millrace.pods())
        .map(({ metadata }) => metadata.name)
        .filter((pod) => !known.includes(pod));
    };
    await expect.poll(withoutFigures, { timeout: 90_000, interval: 2000 }).toEqual([]);
    const used = await usageOf(millrace);
    for (const { pod, cores, mebibytes } of used) {
      progress(`at rest: ${pod} ${(cores * 1000).toFixed(0)}m ${mebibytes.toFixed(0)}Mi`);
    }
    const total = [
      sum(used.map(({ cores }) => cores)).toFixed(3),
      sum(used.map((one) => one.mebibytes)).toFixed(0),
    ];
    progress(`at rest in all: ${total[0]} cores, ${total[1]} MiB in ${used.length} pods`);
  });

  describe("with network policies", () => {
    policyTests(() => ({ millrace, image }));
  });

  describe("with the bundled Prometheus", () => {
    monitoringTests(() => millrace);
  });

  describe("with the console", () => {
    consoleTests(() => ({ millrace, url, ledger, verdict }));
  });

  test("gets a further collector when the load grows", { timeout: 300_000 }, async () => {
    using send = ingressSender(url, 64);
    const client = new SteadyClient(send, ledger, 400);
    const desired = async () =>
      (await millrace.list<Autoscaler>("horizontalpodautoscalers"))[0]?.status.desiredReplicas;
    try {
      await expect.poll(desired, { timeout: 240_000, interval: 1000 }).toBe(3);
    } finally {
      await client.finish();
    }
    expect(client.failures).toEqual([]);
  });

  describe("with an operator", () => {
    rightsTests(() => millrace);
    conditionTests(() => millrace);
    idleScalingTests(() => ({ millrace, url, ledger, verdict }));
    scalingTests(() => ({ millrace, url, ledger, verdict }));
  });

  test("is upgraded under 50 events a second without a failed request", { timeout: 600_000 }, async () => {
    const before = (await millrace.pods("collector")).map((pod) => pod.metadata.name);
    using send = ingressSender(url, 32);
    const client = new SteadyClient(send, ledger, 50);
    await sleep(2000);
    const changed = ["--set", "settings.prefetch=64", "--set", "query.nodeOptions=--max-old-space-size=100"];
    const begun = Date.now();
    await millrace.helm(
      "upgrade",
      RELEASE,
      "charts/millrace",
      "--reuse-values",
      ...changed,
      "--wait",
      "--timeout=5m",
    );
    progress(`upgrade: ${((Date.now() - begun) / 1000).toFixed(0)} s`);
    await sleep(2000);
    await client.finish();
    progress(`upgrade: ${client.posted} events posted once, ${client.failures.length} failed`);
    expect(client.failures).toEqual([]);
    expect((await millrace.pods("collector")).filter((pod) => before.includes(pod.metadata.name))).toEqual(
      [],
    );
    expect(await verdict()).toEqual(exact);
  });

  test(`counts each of ${EVENTS} events once while pods are deleted`, { timeout: 1_500_000 }, async () => {
    const workloads = await millrace.list<Pod>("deployments,statefulsets");
    const deleted = new Map(workloads.map((workload) => [componentOf(workload), 0]));
    const fewest = () => Math.min(...deleted.values());
    using send = ingressSender(url, 16);
    const stop = new AbortController();
    const goal = ledger.acknowledged + EVENTS;
    const traffic = new Traffic({ send, random, ledger, clients: 16, eventsPerSecond: 250 });
    const deleting = deletePods(millrace, random, deleted, stop.signal);
    const deadline = Date.now() + 900_000;
    while ((ledger.acknowledged < goal || fewest() === 0) && Date.now() < deadline) {
      await sleep(2000);
      progress(traffic.line());
    }
    stop.abort();
    await deleting;
    await millrace.waitForPods();
    await traffic.finish(ANSWERED_MS);
    progress(`pods deleted: ${JSON.stringify(Object.fromEntries(deleted))}`);
    expect(ledger.acknowledged).toBeGreaterThanOrEqual(goal);
    expect(fewest()).toBeGreaterThan(0);
    expect(traffic.faults()).toEqual([]);
    expect(await verdict()).toEqual(exact);
  });

  test("passes its own test", { timeout: 180_000 }, async () => {
    const said = await millrace.helm("test", RELEASE, "--timeout=2m");
    expect(said).toMatch(/Phase:\s+Succeeded/);
  });

  // The operator makes it, and the next one takes it up.
  const LEASE = ["lease.coordination.k8s.io/millrace-operator"];
  test("leaves its volumes when it goes, and nothing else", { timeout: 300_000 }, async () => {
    await millrace.helm("uninstall", RELEASE, "--wait", "--timeout=4m");
    await expect
      .poll(async () => millrace.contents(), { timeout: 120_000, interval: 1000 })
      .toEqual([
        ...LEASE,
        "persistentvolumeclaim/data-millrace-mongodb-0",
        "persistentvolumeclaim/data-millrace-prometheus-0",
        "persistentvolumeclaim/data-millrace-rabbitmq-0",
      ]);
  });

  test("is not made on volumes whose passwords are gone, and says what to do", {
    timeout: 300_000,
  }, async () => {
    const install = async () => millrace.helm("install", RELEASE, "charts/millrace");
    await expect(install()).rejects.toThrow("volumes of an earlier install are here");
    expect(await millrace.contents()).toHaveLength(4);
    await millrace.kubectl("delete", "pvc", "--selector", `app.kubernetes.io/instance=${RELEASE}`);
    expect(await millrace.contents()).toEqual(LEASE);
    await millrace.remove();
  });
});

interface Autoscaler {
  readonly status: { readonly desiredReplicas?: number };
}

describe("the plain manifests", () => {
  plainManifestTests(() => ({ cluster, url, image }));
});
