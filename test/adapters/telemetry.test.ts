import { describe, expect, test } from "vitest";
import { createOperatorMetrics } from "../../src/adapters/telemetry/operator-metrics.ts";
import type { Prometheus } from "../../src/adapters/telemetry/process-metrics.ts";
import { createPrometheus } from "../../src/adapters/telemetry/prometheus.ts";
import type { Backlog } from "../../src/ports/broker.ts";
import type { Signals } from "../../src/signals.ts";
import { samplesIn } from "../bench/operator-metrics.ts";
import { decidedOf } from "../operator/decided.ts";

type Labels = Readonly<Record<string, string>>;

/** The values of a metric, by the labels that are told of it. */
async function valuesOf(
  { metrics }: Prometheus,
  name: string,
  labels: Labels = {},
): Promise<readonly number[]> {
  const { text } = await metrics();
  return samplesIn(text)
    .filter(
      (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
    )
    .map(({ value }) => value);
}

const settings = { version: "1.2.3", role: "hourlyLog", maxWaitSeconds: 7 };
const stored = (events: number, ageSeconds: number | undefined): Signals["delivery.settled"] => ({
  queue: "hourlyLog",
  outcome: "ack",
  events,
  attempt: 1,
  seconds: 0.01,
  ageSeconds,
  error: undefined,
});

describe("the metrics of a process", () => {
  test("name its version, that of Node, and its role", async () => {
    const labels = { version: "1.2.3", node: process.versions.node, role: "hourlyLog" };
    expect(await valuesOf(createPrometheus(settings), "millrace_build_info", labels)).toEqual([1]);
    expect(
      await valuesOf(createOperatorMetrics("1.2.3", []), "millrace_build_info", { role: "operator" }),
    ).toEqual([1]);
  });

  test("have the memory that it holds and the delay of its event loop", async () => {
    const prometheus = createPrometheus(settings);
    expect(await valuesOf(prometheus, "process_resident_memory_bytes")).toEqual([expect.any(Number)]);
    expect(await valuesOf(prometheus, "nodejs_eventloop_lag_p99_seconds")).toEqual([expect.any(Number)]);
  });

  test("tell of files whether they fail now, and of a certificate when it expires, where there is one", async () => {
    const prometheus = createPrometheus(settings);
    expect((await prometheus.metrics()).text).not.toContain("millrace_file_failing");
    let server = { failing: false, expiresAtMs: 5000 as number | undefined };
    prometheus.emit("file.watched", { file: "server", state: () => server });
    prometheus.emit("file.watched", {
      file: "keys",
      state: () => ({ failing: true, expiresAtMs: undefined }),
    });
    const [expiry, failing] = ["millrace_certificate_expiry_timestamp_seconds", "millrace_file_failing"];
    expect(await valuesOf(prometheus, failing, { file: "server" })).toEqual([0]);
    expect(await valuesOf(prometheus, failing, { file: "keys" })).toEqual([1]);
    expect(await valuesOf(prometheus, expiry)).toEqual([5]);
    server = { failing: true, expiresAtMs: 7000 };
    expect(await valuesOf(prometheus, failing, { file: "server" })).toEqual([1]);
    expect(await valuesOf(prometheus, expiry, { certificate: "server" })).toEqual([7]);
    server = { failing: false, expiresAtMs: undefined };
    expect(await valuesOf(prometheus, expiry)).toEqual([]);
  });

  test.for([
    ["millrace_events_total", { outcome: "accepted" }],
    ["millrace_events_late_total", { queue: "accountName" }],
    ["millrace_deliveries_total", { queue: "hourlyLog", outcome: "deadLetter" }],
    [
      "millrace_store_failures_total",
      { queue: "distinctName", operation: "claim", code: "STORE_UNAVAILABLE" },
    ],
    ["millrace_sweeps_total", { outcome: "failed" }],
    ["millrace_swept_rows_total", { kind: "merged" }],
    ["millrace_broker_blocked", {}],
  ] as const)("have %s%j at zero before anything has happened", async ([name, labels]) => {
    expect(await valuesOf(createPrometheus(settings), name, labels)).toEqual([0]);
  });

  test("have no more series for a hundred thousand messages than for the first", async () => {
    const prometheus = createPrometheus(settings);
    const one = (i: number) => {
      prometheus.emit("request.answered", {
        server: "collector",
        route: "/event",
        status: 200,
        seconds: 0.001,
      });
      prometheus.emit("message.published", { events: 1, bytes: 100 + i, seconds: 0.001, waitSeconds: 0 });
      prometheus.emit("delivery.settled", stored(1, 0.1));
      prometheus.emit("store.called", {
        queue: "hourlyLog",
        operation: "apply",
        seconds: 0.001,
        code: undefined,
      });
    };
    one(0);
    const { length } = samplesIn((await prometheus.metrics()).text);
    for (let i = 1; i < 100_000; i += 1) one(i);
    expect(samplesIn((await prometheus.metrics()).text)).toHaveLength(length);
    expect(await valuesOf(prometheus, "millrace_events_applied_total", { queue: "hourlyLog" })).toEqual([
      100_000,
    ]);
  });
});

describe("an event's age", () => {
  test("later than the objective makes each event of its message late, and at it or unknown none", async () => {
    const prometheus = createPrometheus(settings);
    for (const [events, age] of [
      [5, 7],
      [3, undefined],
      [2, 7.001],
      [4, 900],
    ] as const)
      prometheus.emit("delivery.settled", stored(events, age));
    expect(await valuesOf(prometheus, "millrace_events_late_total", { queue: "hourlyLog" })).toEqual([6]);
    expect(await valuesOf(prometheus, "millrace_events_applied_total", { queue: "hourlyLog" })).toEqual([14]);
  });

  test("is told by buckets of which one ends at the objective", async () => {
    const prometheus = createPrometheus(settings);
    for (const age of [6.9, 7, 7.1]) prometheus.emit("delivery.settled", stored(1, age));
    expect(await valuesOf(prometheus, "millrace_event_age_seconds_bucket", { le: "7" })).toEqual([2]);
  });
});

describe("what is in hand", () => {
  test("is told of a collector as it is at the scrape, and of no other process", async () => {
    const prometheus = createPrometheus(settings);
    expect(await valuesOf(prometheus, "millrace_requests_in_hand")).toEqual([]);
    let requests = 3;
    prometheus.emit("collector.opened", {
      load: () => ({ requests, bytes: 10, bytesLimit: 20, messages: 1 }),
    });
    expect(await valuesOf(prometheus, "millrace_requests_in_hand")).toEqual([3]);
    requests = 4;
    expect(await valuesOf(prometheus, "millrace_requests_in_hand")).toEqual([4]);
    expect(await valuesOf(prometheus, "millrace_request_bytes_limit")).toEqual([20]);
    expect(await valuesOf(prometheus, "millrace_messages_in_flight")).toEqual([1]);
  });

  test("is told of each worker in the process, with the age of the oldest", async () => {
    const prometheus = createPrometheus(settings);
    const oldestAcceptedAtMs = Date.now() - 60_000;
    prometheus.emit("worker.opened", {
      queue: "hourlyLog",
      load: () => ({ deliveries: 2, oldestAcceptedAtMs }),
    });
    const idle = { deliveries: 0, oldestAcceptedAtMs: undefined };
    prometheus.emit("worker.opened", { queue: "accountName", load: () => idle });
    const age = "millrace_oldest_delivery_age_seconds";
    expect((await valuesOf(prometheus, age, { queue: "hourlyLog" }))[0]).toBeGreaterThanOrEqual(60);
    expect(await valuesOf(prometheus, age, { queue: "accountName" })).toEqual([0]);
    expect(await valuesOf(prometheus, "millrace_deliveries_in_hand")).toEqual([2, 0]);
    expect(await valuesOf(prometheus, "millrace_wait_objective_seconds", { queue: "hourlyLog" })).toEqual([
      7,
    ]);
  });
});

describe("a sweep", () => {
  test("tells when it was finished and how far the totals lag, and before the first nothing of either", async () => {
    const prometheus = createPrometheus(settings);
    expect(await valuesOf(prometheus, "millrace_last_sweep_timestamp_seconds")).toEqual([]);
    const begunSeconds = Date.now() / 1000;
    for (const compactionLagSeconds of [40, 12]) {
      prometheus.emit("sweep.finished", {
        expired: 1,
        forgotten: 2,
        merged: 0,
        discarded: 5,
        seconds: 1,
        compactionLagSeconds,
      });
    }
    // Also in a sweep that fails later.
    prometheus.emit("months.discarded", { counts: 7, before: "2026-01" });
    expect(await valuesOf(prometheus, "millrace_compaction_lag_seconds")).toEqual([12]);
    expect((await valuesOf(prometheus, "millrace_last_sweep_timestamp_seconds"))[0]).toBeGreaterThanOrEqual(
      begunSeconds,
    );
    expect(await valuesOf(prometheus, "millrace_swept_rows_total", { kind: "forgotten" })).toEqual([4]);
    expect(await valuesOf(prometheus, "millrace_swept_rows_total", { kind: "discarded" })).toEqual([7]);
  });
});

describe("the broker", () => {
  test("is connected or not, and blocked or not, as it was last told", async () => {
    const prometheus = createPrometheus(settings);
    prometheus.emit("broker.connected", { connection: "publish" });
    prometheus.emit("broker.blocked", { reason: "disk" });
    expect(await valuesOf(prometheus, "millrace_broker_connected", { connection: "publish" })).toEqual([1]);
    expect(await valuesOf(prometheus, "millrace_broker_blocked")).toEqual([1]);
    prometheus.emit("broker.disconnected", { connection: "publish", error: new Error("gone") });
    prometheus.emit("broker.unblocked", {});
    expect(await valuesOf(prometheus, "millrace_broker_connected", { connection: "publish" })).toEqual([0]);
    expect(await valuesOf(prometheus, "millrace_broker_blocked")).toEqual([0]);
  });

  test("that does not answer leaves its figures out, and two scrapes at a time each have them", async () => {
    const answers: PromiseWithResolvers<Backlog>[] = [];
    const prometheus = createPrometheus(settings, () => {
      const answer = Promise.withResolvers<Backlog>();
      answers.push(answer);
      return answer.promise;
    });
    const both = [prometheus.metrics(), prometheus.metrics()];
    while (answers.length < 6) await Promise.resolve();
    for (const { resolve } of answers) resolve({ ready: 1, unsettled: 2, deadLetters: 3 });
    for (const { text } of await Promise.all(both)) {
      const dead = samplesIn(text).filter(({ labels }) => labels["state"] === "dead");
      expect(dead.map(({ value }) => value)).toEqual([3, 3, 3]);
    }
    const third = prometheus.metrics();
    while (answers.length < 9) await Promise.resolve();
    for (const { reject } of answers.slice(6)) reject(new Error("gone"));
    expect((await third).text).not.toMatch(/^millrace_queue_messages\{/m);
  });
});

describe("a QueueScaler", () => {
  const decided = decidedOf({ reason: "Stream" });
  const of = { namespace: "shop", scaler: "mailer" };

  test("has every reason at zero from its first pass, its bounds and its objective", async () => {
    const metrics = createOperatorMetrics("1.2.3", ["Stream", "Idle"]);
    metrics.emit("scaler.decided", decided);
    expect(await valuesOf(metrics, "millrace_scaler_decisions_total", { ...of, reason: "Stream" })).toEqual([
      1,
    ]);
    expect(await valuesOf(metrics, "millrace_scaler_decisions_total", { ...of, reason: "Idle" })).toEqual([
      0,
    ]);
    expect(await valuesOf(metrics, "millrace_scaler_replica_changes_total", of)).toEqual([0, 0]);
    expect(await valuesOf(metrics, "millrace_scaler_max_replicas", of)).toEqual([9]);
    expect(await valuesOf(metrics, "millrace_scaler_objective_seconds", of)).toEqual([30]);
  });

  test("has no bounds and no objective while its spec cannot be followed", async () => {
    const metrics = createOperatorMetrics("1.2.3", []);
    metrics.emit("scaler.decided", decided);
    const broken = { objectiveSeconds: undefined, bounds: { min: undefined, max: undefined } };
    metrics.emit("scaler.decided", { ...decided, ...broken });
    for (const name of ["objective_seconds", "min_replicas", "max_replicas"]) {
      expect(await valuesOf(metrics, `millrace_scaler_${name}`, of)).toEqual([]);
    }
  });

  test("has its conditions, without those that became unknown", async () => {
    const metrics = createOperatorMetrics("1.2.3", []);
    const condition = (name: string) =>
      valuesOf(metrics, "millrace_scaler_condition", { ...of, condition: name });
    metrics.emit("scaler.decided", decided);
    expect(await condition("Ready")).toEqual([1]);
    expect(await condition("DeadLetters")).toEqual([0]);
    metrics.emit("scaler.decided", { ...decided, conditions: { Ready: false } });
    expect(await condition("Ready")).toEqual([0]);
    expect(await condition("DeadLetters")).toEqual([]);
  });

  test("leaves no series behind when it is gone", async () => {
    const metrics = createOperatorMetrics("1.2.3", ["Stream"]);
    metrics.emit("scaler.decided", decided);
    metrics.emit("replicas.changed", { ...of, target: "x", from: 1, to: 2, reason: "Stream", message: "" });
    metrics.emit("scaler.forgotten", of);
    const { text } = await metrics.metrics();
    expect(samplesIn(text).filter(({ labels }) => labels["scaler"] === "mailer")).toEqual([]);
  });
});
