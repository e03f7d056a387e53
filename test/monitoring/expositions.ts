import { reasons } from "../../operator/decide.ts";
import { createOperatorMetrics } from "../../src/adapters/telemetry/operator-metrics.ts";
import type { Prometheus } from "../../src/adapters/telemetry/process-metrics.ts";
import { createPrometheus } from "../../src/adapters/telemetry/prometheus.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { asMillraceError } from "../../src/errors.ts";
import { decidedOf } from "../operator/decided.ts";

/** Metrics as the processes have them, of which a test makes things happen. */
export interface Expositions {
  readonly standalone: Prometheus;
  readonly operator: Prometheus;
  /** Of each kind of thing that a metric tells of, one. */
  happen(): void;
}

const error = asMillraceError(new Error("of the test"), "INTERNAL");

export function createExpositions(): Expositions {
  const build = { version: "0.0.0", role: "standalone", maxWaitSeconds: 30 };
  const backlog = { ready: 3, unsettled: 2, deadLetters: 1 };
  const standalone = createPrometheus(build, async () => backlog);
  const operator = createOperatorMetrics("0.0.0", Object.keys(reasons));
  standalone.emit("collector.opened", {
    load: () => ({ requests: 1, bytes: 100, bytesLimit: 1000, messages: 1 }),
  });
  standalone.emit("console.opened", { load: () => ({ pages: 1 }) });
  standalone.emit("file.watched", {
    file: "server",
    state: () => ({ failing: false, expiresAtMs: Date.now() + 90 * 86_400_000 }),
  });
  for (const queue of projectionNames) {
    standalone.emit("worker.opened", {
      queue,
      load: () => ({ deliveries: 1, oldestAcceptedAtMs: Date.now() }),
    });
  }
  operator.emit("leader.changed", { leading: true, identity: "operator-1" });
  return {
    standalone,
    operator,
    happen() {
      happenIn(standalone);
      happenInOperator(operator);
    },
  };
}

function happenIn({ emit }: Prometheus): void {
  for (const [server, route] of [
    ["collector", "/event"],
    ["query", "/accounts/:username"],
  ] as const) {
    for (const status of [200, 400, 503]) emit("request.answered", { server, route, status, seconds: 0.01 });
  }
  emit("events.rejected", { events: 1 });
  emit("message.published", { events: 10, bytes: 1000, seconds: 0.01, waitSeconds: 0.001 });
  emit("publish.failed", { events: 1, code: "PUBLISH_UNCONFIRMED", error });
  emit("broker.connected", { connection: "consume" });
  emit("broker.disconnected", { connection: "publish", error });
  emit("broker.blocked", { reason: "memory" });
  for (const queue of projectionNames) {
    for (const [outcome, ageSeconds] of [
      ["ack", 60],
      ["retry", undefined],
      ["deadLetter", undefined],
    ] as const) {
      emit("delivery.settled", { queue, outcome, events: 10, attempt: 1, seconds: 0.01, ageSeconds, error });
    }
    for (const operation of ["claim", "apply"] as const) {
      emit("store.called", { queue, operation, seconds: 0.01, code: undefined });
      emit("store.called", { queue, operation, seconds: 0.01, code: "STORE_UNAVAILABLE" });
    }
    emit("store.waiting", { queue, error });
    emit("duplicates.skipped", { queue, events: 1 });
    emit("settlement.waiting", { queue, error });
  }
  const removed = { expired: 1, forgotten: 1, merged: 1, discarded: 1 };
  emit("months.discarded", { counts: 1, before: "2026-01" });
  emit("sweep.finished", { ...removed, seconds: 0.1, compactionLagSeconds: 5 });
  emit("sweep.failed", { error });
}

function happenInOperator({ emit }: Prometheus): void {
  const scaler = { namespace: "events", scaler: "orders" };
  emit(
    "scaler.decided",
    decidedOf({ ...scaler, limited: true, conditions: { Ready: true, Conflict: false } }),
  );
  emit("replicas.changed", { ...scaler, target: "orders", from: 0, to: 1, reason: "", message: "" });
  emit("replicas.changed", { ...scaler, target: "orders", from: 1, to: 0, reason: "", message: "" });
  for (const outcome of ["done", "failed"] as const) {
    emit("reconcile.finished", { outcome, seconds: 0.01, error });
  }
  emit("request.made", { to: "rabbitmq", verb: "GET", resource: "queue", outcome: "200", seconds: 0.01 });
  emit("report.lost", { ...scaler, error });
  emit("watch.restarted", { resource: "queuescalers", error });
}
