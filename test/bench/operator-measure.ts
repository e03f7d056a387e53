import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds } from "./cpu.ts";
import { type MetricSample, movedBy, type Observed, observedBy, samplesIn } from "./operator-metrics.ts";
import type { World } from "./operator-world.ts";
import { residentBytes, watchResident } from "./resident.ts";

/** What one stretch of time has brought. */
export interface Measured {
  readonly seconds: number;
  readonly operatorCores: number;
  readonly apiServerCores: number;
  readonly brokerCores: number;
  readonly residentBytes: number;
  readonly peakBytes: number;
  /** As the operator counts them, by verb and resource, such as `patch queuescalers/status`. */
  readonly asked: ReadonlyMap<string, number>;
  /** As the API server counts them, those of all its clients. */
  readonly answered: ReadonlyMap<string, number>;
  /** Of the operator to the broker, by verb, resource and outcome. */
  readonly brokerAsked: ReadonlyMap<string, number>;
  /** In seconds. */
  readonly passes: Observed;
  readonly failedPasses: number;
  /** What the API server itself takes to write a status, in seconds. */
  readonly statusWrites: Observed;
}

interface Snapshot {
  readonly atMs: number;
  readonly operator: readonly MetricSample[];
  readonly apiServer: readonly MetricSample[];
  readonly cpu: { readonly operator: number; readonly apiServer: number; readonly broker: number };
}

/** Watches what the operator does for so many seconds. Rejects where it has ended meanwhile. */
export async function measure(world: World, seconds: number): Promise<Measured> {
  const { operator } = world;
  const pid = operator.pid ?? 0;
  using resident = watchResident(pid);
  const before = await snapshot(world);
  await sleep(seconds * 1000);
  const after = await snapshot(world);
  if (operator.endings.length > 0 || operator.pid !== pid) throw new Error(operator.endings.join("\n"));
  const passed = (after.atMs - before.atMs) / 1000;
  const cores = (of: keyof Snapshot["cpu"]) => (after.cpu[of] - before.cpu[of]) / passed;
  const requests = (nameOf: (labels: MetricSample["labels"]) => string | undefined) =>
    movedBy(before.operator, after.operator, "millrace_operator_requests_total", nameOf);
  const outcomes = movedBy(
    before.operator,
    after.operator,
    "millrace_reconcile_duration_seconds_count",
    ({ outcome }) => outcome,
  );
  const asked = requests(({ to, verb, resource }) =>
    to === "kubernetes" ? `${verb} ${resource}` : undefined,
  );
  return {
    seconds: passed,
    operatorCores: cores("operator"),
    apiServerCores: cores("apiServer"),
    brokerCores: cores("broker"),
    residentBytes: (await residentBytes(pid)) ?? 0,
    peakBytes: resident.peakBytes(),
    asked,
    answered: movedBy(before.apiServer, after.apiServer, "apiserver_request_total", nameOfServed),
    brokerAsked: requests(({ to, verb, resource, outcome }) =>
      to === "rabbitmq" ? `${verb} ${resource} ${outcome}` : undefined,
    ),
    passes: observedBy(before.operator, after.operator, "millrace_reconcile_duration_seconds"),
    failedPasses: outcomes.get("failed") ?? 0,
    statusWrites: observedBy(before.apiServer, after.apiServer, "apiserver_request_duration_seconds", {
      resource: "queuescalers",
      subresource: "status",
    }),
  };
}

async function snapshot({ api, broker, operator }: World): Promise<Snapshot> {
  const [metrics, served] = await Promise.all([
    operator.metrics(),
    api.must({ method: "GET", path: "/metrics" }),
  ]);
  return {
    atMs: performance.now(),
    operator: samplesIn(metrics),
    apiServer: samplesIn(String(served["said"])),
    cpu: {
      operator: cpuSeconds(operator.pid === undefined ? [] : [operator.pid]),
      apiServer: cpuSeconds(api.pids),
      broker: cpuSeconds(broker.pids),
    },
  };
}

const VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  APPLY: "patch",
};

/** As the operator would call it. */
function nameOfServed({ verb = "", resource = "", subresource = "" }: MetricSample["labels"]): string {
  const of = subresource === "" ? resource : `${resource}/${subresource}`;
  return `${VERBS[verb] ?? verb.toLowerCase()} ${of}`;
}

export function sumOf(counts: ReadonlyMap<string, number>): number {
  return Array.from(counts.values()).reduce((sum, count) => sum + count, 0);
}
