import { beforeEach, describe, expect, test } from "vitest";
import type { BrokerAddress, BrokerFigures, QueueId, Reading } from "../../operator/broker-figures.ts";
import type { QueueScalerSpec } from "../../operator/queue-scaler.ts";
import { createReconcile, type Reconcile } from "../../operator/reconcile.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { SignalName } from "../../src/signals.ts";
import { MemoryCluster } from "./memory-cluster.ts";
import { figuresOf, scalerOf, targetOf } from "./scalers.ts";

const name = { namespace: "shop", name: "mine" };
/** With the plain rule, so that what is wanted can be told from the figures. */
const plain = { messagesPerReplica: 10 } as const;

let nowMs: number;
let cluster: MemoryCluster;
let reading: (at: number) => Reading;
let asked: { readonly broker: BrokerAddress; readonly queue: QueueId; readonly maxAgeMs: number }[];
let signals: SignalName[];
let reconcile: Reconcile;

const clock: Clock = { now: () => nowMs, sleep: async () => {} };
const figures: BrokerFigures = {
  read: async (broker, queue, maxAgeMs) => {
    asked.push({ broker, queue, maxAgeMs });
    return reading(nowMs);
  },
};
const ready =
  (messages: number) =>
  (at: number): Reading => ({
    ok: true,
    at,
    figures: figuresOf(at, { ready: messages, published: messages }),
  });
const fault =
  (of: "Unreachable" | "Unauthorized" | "QueueNotFound") =>
  (at: number): Reading => ({
    ok: false,
    at,
    fault: of,
    message: `it is ${of}`,
  });
const operatorStarts = (): Reconcile =>
  createReconcile({ cluster, figures, clock, emit: (signal) => signals.push(signal) });
const put = (spec: Partial<QueueScalerSpec>) => cluster.put(scalerOf("mine", { ...plain, ...spec }));
const replicas = () => cluster.targets.get("shop/worker")?.replicas;
const status = () => cluster.scaler(name)?.status;
const condition = (type: string) => status()?.conditions?.find((one) => one.type === type);
/** So many passes, at the rhythm of the scaler. */
async function passes(count: number): Promise<number | undefined> {
  let again: number | undefined;
  for (let pass = 0; pass < count; pass++) {
    again = (await reconcile(name)).againInMs;
    nowMs += 2000;
  }
  return again;
}

beforeEach(() => {
  nowMs = Date.parse("2026-05-01T12:00:00Z");
  cluster = new MemoryCluster();
  cluster.targets.set("shop/worker", targetOf(1));
  cluster.secrets.set("shop/broker", { username: "u", password: "p" });
  asked = [];
  signals = [];
  reading = ready(45);
  reconcile = operatorStarts();
  put({});
});

describe("a pass", () => {
  test("reads the queue, scales the workload, and reports both", async () => {
    const again = await passes(5);
    expect(asked[0]).toMatchObject({
      broker: { url: "http://rabbitmq.shop:15672/", username: "u", password: "p" },
      queue: { vhost: "/", name: "orders", deadLetterQueue: "orders.dead" },
    });
    expect(replicas()).toBe(5);
    expect(status()).toMatchObject({ desiredReplicas: 5, currentReplicas: 5, setReplicas: 5, backlog: 45 });
    expect(condition("Ready")).toMatchObject({ status: "True" });
    expect(cluster.notices.map(({ reason }) => reason)).toContain("ScaledUp");
    expect(signals).toEqual(expect.arrayContaining(["replicas.changed", "scaler.decided"]));
    expect(again).toBeGreaterThan(1800);
    expect(again).toBeLessThan(2200);
  });

  test("asks for figures that are younger than its interval", async () => {
    await passes(1);
    expect(asked[0]?.maxAgeMs).toBeLessThan(2000);
  });

  test("writes no status that says the same", async () => {
    await passes(60);
    const { reports } = cluster;
    await passes(14);
    expect(cluster.reports).toBeLessThanOrEqual(reports + 1);
  });

  test("for a scaler that is gone forgets it, and does not come again", async () => {
    await passes(1);
    cluster.remove(name);
    expect(await reconcile(name)).toEqual({ againInMs: undefined });
    expect(signals.at(-1)).toBe("scaler.forgotten");
  });
});

test.for<[string, Partial<QueueScalerSpec>]>([
  ["is paused", { paused: true }],
  ["observes", { mode: "Observe" }],
])("a scaler that %s scales nothing, and says so", async ([, spec]) => {
  put(spec);
  await passes(5);
  expect(replicas()).toBe(1);
  expect(condition("Paused")).toMatchObject({ status: "True" });
  expect(status()?.backlog).toBe(45);
});
test("what an observing scaler would do is in its status", async () => {
  put({ mode: "Observe" });
  await passes(5);
  expect(status()).toMatchObject({ desiredReplicas: 5, currentReplicas: 1 });
});

describe("in the way", () => {
  test("another autoscaler: nothing is scaled until it is gone", async () => {
    const target = { apiVersion: "apps/v1", kind: "Deployment", name: "worker" };
    cluster.rivalsThere.push({ what: "HorizontalPodAutoscaler worker", namespace: "shop", target });
    await passes(5);
    expect(replicas()).toBe(1);
    expect(condition("Conflict")).toMatchObject({ status: "True" });
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "Conflict" });
    cluster.rivalsThere.pop();
    await passes(5);
    expect(replicas()).toBe(5);
    expect(condition("Ready")).toMatchObject({ status: "True" });
  });

  test("no workload", async () => {
    cluster.targets.clear();
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "TargetNotFound" });
    expect(condition("Ready")?.message).toMatch(/worker/);
    expect(status()?.backlog).toBe(45);
  });

  test("no Secret", async () => {
    cluster.secrets.clear();
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "SecretNotFound" });
    expect(condition("BrokerReachable")).toMatchObject({ status: "Unknown" });
  });

  test("a Secret that lacks what is needed", async () => {
    cluster.secrets.set("shop/broker", {});
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "SecretInvalid" });
    expect(condition("Ready")?.message).toMatch(/broker/);
  });

  test("a broker that does not answer: the number stays", async () => {
    await passes(5);
    reading = fault("Unreachable");
    await passes(50);
    expect(replicas()).toBe(5);
    expect(condition("BrokerReachable")).toMatchObject({ status: "False", reason: "Unreachable" });
    expect(condition("Ready")).toMatchObject({ status: "False" });
  });

  test("no queue", async () => {
    reading = fault("QueueNotFound");
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "QueueNotFound" });
    expect(condition("BrokerReachable")).toMatchObject({ status: "True" });
  });

  test("credentials that are refused: the Secret is read again soon", async () => {
    reading = fault("Unauthorized");
    await passes(2);
    expect(cluster.secretAges[1]).toBeLessThan(cluster.secretAges[0] ?? 0);
    expect(condition("BrokerReachable")).toMatchObject({ status: "False", reason: "Unauthorized" });
  });

  test("a right that the operator lacks", async () => {
    cluster.refuse("scale", "Forbidden");
    await passes(5);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "ScaleForbidden" });
    cluster.refuse("scale", undefined);
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "True" });
    expect(replicas()).toBe(5);
  });

  test("somebody who changes the workload at the same moment: it is looked at again at once", async () => {
    await passes(4);
    cluster.targets.set("shop/worker", targetOf(1));
    cluster.refuse("scale", "Conflict");
    expect(await passes(1)).toBeLessThan(1000);
    expect(condition("Ready")).toMatchObject({ status: "True" });
  });

  test("somebody who changes the workload each time: it is tried ever less often, and told", async () => {
    await passes(4);
    cluster.targets.set("shop/worker", targetOf(1));
    cluster.refuse("scale", "Conflict");
    const again = [await passes(1), await passes(1), await passes(1), await passes(4)].map((ms) => ms ?? 0);
    expect(again.slice(0, 3)).toEqual([250, 500, 1000]);
    expect(again[3]).toBeGreaterThan(1800);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "ScaleConflict" });
    cluster.refuse("scale", undefined);
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "True" });
  });

  test("a Secret that may not be read: it is named", async () => {
    cluster.refuse("secret", "Forbidden");
    await passes(1);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "SecretForbidden" });
    expect(condition("Ready")?.message).toMatch(/^Secret broker: /);
  });

  test("a status that could not be written is written by the next pass", async () => {
    cluster.refuse("report", "Unavailable");
    await passes(5);
    expect(signals).toContain("report.lost");
    expect(replicas()).toBe(5);
    cluster.refuse("report", undefined);
    await passes(1);
    expect(status()).toMatchObject({ currentReplicas: 5 });
  });
});

describe("a number that somebody else has set", () => {
  const respect = { manualScale: { policy: "Respect", forSeconds: 60 } } as const;
  const byHand = (number: number) => cluster.targets.set("shop/worker", targetOf(number));

  test("is overridden, and the Events tell of it", async () => {
    await passes(5);
    byHand(9);
    await passes(1);
    expect(cluster.notices.filter(({ reason }) => reason === "ManualScale")).toHaveLength(1);
    reading = ready(75);
    await passes(5);
    expect(replicas()).toBe(8);
  });

  test("stays for its time where it is respected, also over a restart of the operator", async () => {
    put(respect);
    await passes(5);
    byHand(2);
    await passes(10);
    expect(replicas()).toBe(2);
    expect(status()).toMatchObject({ reason: "ManualScale", desiredReplicas: 5 });
    expect(condition("Paused")).toMatchObject({ status: "True", reason: "ManualScale" });
    reconcile = operatorStarts();
    await passes(10);
    expect(replicas()).toBe(2);
    await passes(20);
    expect(replicas()).toBe(5);
    expect(condition("Paused")).toMatchObject({ status: "False" });
  });

  test("is respected, and what keeps the operator from scaling still shows", async () => {
    put(respect);
    cluster.refuse("scale", "Forbidden");
    await passes(5);
    const { reports } = cluster;
    await passes(4);
    expect(condition("Ready")).toMatchObject({ status: "False", reason: "ScaleForbidden" });
    expect(cluster.reports).toBe(reports);
  });

  test("is not what the operator had set just before it ended", async () => {
    put(respect);
    cluster.afterScale = () => cluster.refuse("report", "Unavailable");
    await passes(5);
    expect(replicas()).toBe(5);
    expect(status()).toMatchObject({ desiredReplicas: 5, setReplicas: 1 });
    cluster.refuse("report", undefined);
    cluster.afterScale = () => {};
    reconcile = operatorStarts();
    reading = ready(75);
    await passes(5);
    expect(replicas()).toBe(8);
  });
});

test("a scaler that was made anew under its name is another one", async () => {
  put({ manualScale: { policy: "Respect", forSeconds: 60 } });
  await passes(5);
  cluster.put(scalerOf("mine", plain, { uid: "another" }));
  cluster.targets.set("shop/worker", targetOf(2));
  await passes(5);
  expect(replicas()).toBe(5);
});
