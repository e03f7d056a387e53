import { createOperatorMetrics } from "../src/adapters/telemetry/operator-metrics.ts";
import type { Prometheus } from "../src/adapters/telemetry/process-metrics.ts";
import { createPrometheus } from "../src/adapters/telemetry/prometheus.ts";
import type { SignalName, Signals } from "../src/signals.ts";
import { version } from "../src/version.ts";
import { page, table } from "./page.ts";

/** One of each, to see which labels its metrics have. */
const signals: { readonly [K in SignalName]: Signals[K] } = {
  "role.started": { role: "" },
  "role.stopped": { role: "" },
  "collector.opened": { load: () => ({ requests: 0, bytes: 0, bytesLimit: 0, messages: 0 }) },
  "console.opened": { load: () => ({ pages: 0 }) },
  "worker.opened": { queue: "hourlyLog", load: () => ({ deliveries: 0, oldestAcceptedAtMs: undefined }) },
  "file.watched": { file: "", state: () => ({ failing: false, expiresAtMs: 0 }) },
  "certificates.renewed": { purpose: "" },
  "certificates.refused": { purpose: "", error: undefined },
  "request.answered": { server: "collector", route: "", status: 200, seconds: 0 },
  "request.failed": { route: "", error: undefined },
  "events.rejected": { events: 1 },
  "message.published": { events: 1, bytes: 0, seconds: 0, waitSeconds: 0 },
  "publish.failed": { events: 1, code: "INTERNAL", error: undefined },
  "delivery.settled": {
    queue: "hourlyLog",
    outcome: "ack",
    events: 1,
    attempt: 1,
    seconds: 0,
    ageSeconds: 0,
    error: undefined,
  },
  "duplicates.skipped": { queue: "hourlyLog", events: 1 },
  "broker.connected": { connection: "" },
  "broker.disconnected": { connection: "", error: undefined },
  "broker.blocked": { reason: "" },
  "broker.unblocked": {},
  "settlement.waiting": { queue: "hourlyLog", error: undefined },
  "store.called": { queue: "hourlyLog", operation: "apply", seconds: 0, code: undefined },
  "store.waiting": { queue: "hourlyLog", error: undefined },
  "months.discarded": { counts: 0, before: "" },
  "months.spared": { before: "", aheadSeconds: 0 },
  "sweep.finished": {
    expired: 0,
    forgotten: 0,
    merged: 0,
    discarded: 0,
    seconds: 0,
    compactionLagSeconds: 0,
  },
  "sweep.failed": { error: undefined },
  "tracing.opened": { endpoint: "", figures: () => ({ exported: 0, dropped: 0, failed: 0 }) },
  "tracing.ignored": { variable: "", reason: "" },
  "spans.lost": { spans: 1, reason: "" },
  "keys.changed": { keys: 1, added: [], removed: [] },
  "keys.unreadable": { keys: 1, error: undefined },
  "audit.recorded": {
    by: "",
    action: "key.created",
    from: undefined,
    count: 0,
    ids: [],
    settled: undefined,
    outcome: "done",
    code: undefined,
  },
  "leader.changed": { leading: true, identity: "" },
  "scaler.decided": {
    namespace: "",
    scaler: "",
    reason: "",
    message: "",
    brokerReachable: true,
    observationAgeSeconds: 0,
    backlog: 0,
    estimates: { arrivalsPerSecond: 0, messagesPerSecondPerReplica: 0, waitSeconds: 0 },
    replicas: { desired: 0, current: 0, ready: 0 },
    limited: false,
    bottleneck: false,
    objectiveSeconds: 0,
    bounds: { min: 0, max: 0 },
    conditions: { Ready: true },
  },
  "scaler.forgotten": { namespace: "", scaler: "other" },
  "replicas.changed": { namespace: "", scaler: "", target: "", from: 0, to: 1, reason: "", message: "" },
  "report.lost": { namespace: "", scaler: "", error: undefined },
  "reconcile.finished": { outcome: "done", seconds: 0, error: undefined },
  "request.made": { to: "kubernetes", verb: "", resource: "", outcome: "", seconds: 0 },
  "watch.restarted": { resource: "", error: undefined },
};

/** Every metric, as the registries themselves tell it. */
export async function metricsPage(): Promise<string> {
  const ofRoles = await metricRows(
    createPrometheus({ version, role: "", maxWaitSeconds: 30 }, async () => ({
      ready: 0,
      unsettled: 0,
      deadLetters: 0,
    })),
  );
  const ofOperator = await metricRows(createOperatorMetrics(version, []));
  return page(
    "# Metrics",
    "`GET /metrics` on the admin port answers in the text format of Prometheus. Durations are in seconds. No label holds a " +
      "username or the name of a metric that a client chose. `millrace_queue_messages` is there in processes that see " +
      "the broker, and `millrace_broker_disconnections_total` where that is RabbitMQ; `millrace_file_failing` is where keys or certificates are in files, and " +
      "`millrace_certificate_expiry_timestamp_seconds` where certificates are. Beside these there are the `process_` and `nodejs_` metrics of `prom-client`.",
    table(["Name", "Type", "Labels", "What it is"], ofRoles),
    "## The operator",
    "The operator has these in their place. `namespace` and `scaler` name a QueueScaler; its series are gone with it. A figure that is not known is missing.",
    table(["Name", "Type", "Labels", "What it is"], ofOperator),
  );
}

async function metricRows({ emit, metrics }: Prometheus): Promise<readonly (readonly string[])[]> {
  for (const name of Object.keys(signals) as SignalName[]) emit(name, signals[name]);
  const { text } = await metrics();
  return Array.from(text.matchAll(/^# HELP (millrace_\w+) (.*)$/gm), ([, name = "", help = ""]) => {
    const type = new RegExp(`^# TYPE ${name} (\\w+)$`, "m").exec(text)?.[1] ?? "";
    return [`\`${name}\``, type, labelsOf(name, text), help];
  });
}

function labelsOf(name: string, text: string): string {
  const series = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\} `, "m").exec(text)?.[1] ?? "";
  const labels = Array.from(series.matchAll(/(\w+)="/g), ([, label = ""]) => label);
  const own = labels.filter((label) => label !== "le");
  return own.length === 0 ? "none" : own.map((label) => `\`${label}\``).join(", ");
}
