import type { ProjectionName } from "../domain/projection.ts";
import type { Sample } from "./prometheus-text.ts";
import type { Reading } from "./reading.ts";
import type { DecisionLog, QueueSnapshot, ScalerSnapshot, Snapshot } from "./snapshot.ts";

/** One process as it was last read. */
export interface Observed {
  /** `standalone` has all roles but the operator's. */
  readonly role: string;
  /** Name or address of where it is, with its port. */
  readonly address: string;
  readonly fault: string | undefined;
  /** Undefined where there is a fault. */
  readonly reading: Reading | undefined;
  /** The reading before that. */
  readonly before: Reading | undefined;
  /** As its source names it. */
  readonly host: string;
}

type Labels = Readonly<Record<string, string>>;

/** What all processes together say, at `atMs` since 1970. */
export function snapshotOf(atMs: number, observed: readonly Observed[]): Snapshot {
  const collectors = havingRole(observed, "collector");
  const perSecond = (outcome: string) =>
    total(collectors, (one) => rate(one, "millrace_events_total", { outcome }));
  return {
    atMs,
    events: {
      acceptedPerSecond: perSecond("accepted"),
      rejectedPerSecond: perSecond("rejected"),
      failedPerSecond: perSecond("failed"),
      acceptedTotal: total(collectors, (one) =>
        value(one.reading, "millrace_events_total", { outcome: "accepted" }),
      ),
    },
    queues: {
      accountName: queueOf("accountName", observed),
      distinctName: queueOf("distinctName", observed),
      hourlyLog: queueOf("hourlyLog", observed),
    },
    processes: observed.map(({ role, address, fault }) => ({ role, address, fault: fault ?? null })),
  };
}

/** What the operator that leads has decided. */
export function decisionsOf(observed: readonly Observed[], hasOperator: boolean): DecisionLog {
  const leading = observed.find(({ reading }) => reading?.decisions?.leading === true)?.reading?.decisions;
  if (leading !== undefined)
    return { operator: "leading", scalers: leading.scalers, changes: leading.changes };
  return { operator: hasOperator ? "unreachable" : "none", scalers: [], changes: [] };
}

function queueOf(queue: ProjectionName, observed: readonly Observed[]): QueueSnapshot {
  const workers = havingRole(observed, queue);
  const messages = (state: string) =>
    greatest(observed, (one) => value(one.reading, "millrace_queue_messages", { queue, state }));
  const scaler = scalerOf(queue, observed);
  const operators = scaler === undefined ? [] : [scaler.operator];
  return {
    ready: messages("ready"),
    unsettled: messages("unsettled"),
    deadLetters: messages("dead"),
    storedPerSecond: total(workers, (one) => rate(one, "millrace_events_applied_total", { queue })),
    oldestWaitSeconds: greatest(workers, (one) =>
      value(one.reading, "millrace_oldest_delivery_age_seconds", { queue }),
    ),
    objectiveSeconds:
      greatest(workers, (one) => value(one.reading, "millrace_wait_objective_seconds", { queue })) ??
      greatest(operators, (one) =>
        value(one.reading, "millrace_scaler_objective_seconds", scaler?.labels ?? {}),
      ),
    workers: workers.length,
    scaler: scaler === undefined ? null : scalerSnapshot(scaler),
  };
}

/** Those that answer, of a role: a process has the metrics of other roles too, and they stand still. */
function havingRole(observed: readonly Observed[], role: string): readonly Observed[] {
  return observed.filter(
    (one) => one.reading !== undefined && (one.role === role || one.role === "standalone"),
  );
}

interface Scaler {
  readonly operator: Observed;
  readonly labels: Labels;
}

/** What a QueueScaler of the chart is called after the name of the release. */
const components: Readonly<Record<ProjectionName, string>> = {
  accountName: "account-name",
  distinctName: "distinct-name",
  hourlyLog: "hourly-log",
};

/**
 * The QueueScaler of a queue, by its name: it ends with that of the component, or is that of the queue. Where an operator works
 * for several installations, the one that the source of the workers is named after goes first.
 */
function scalerOf(queue: ProjectionName, observed: readonly Observed[]): Scaler | undefined {
  const operator = observed.find(({ reading }) => value(reading, "millrace_operator_leading", {}) === 1);
  const known = operator?.reading?.samples.get("millrace_scaler_max_replicas") ?? [];
  const named = known.filter(({ labels }) => {
    const scaler = labels.get("scaler") ?? "";
    return scaler === queue || scaler === components[queue] || scaler.endsWith(`-${components[queue]}`);
  });
  const hosts = observed.filter(({ role }) => role === queue).map(({ host }) => host);
  const found =
    named.find(({ labels }) => hosts.some((host) => host.startsWith(`${labels.get("scaler")}-admin`))) ??
    named[0];
  if (operator === undefined || found === undefined) return undefined;
  return { operator, labels: Object.fromEntries(found.labels) };
}

function scalerSnapshot({ operator, labels }: Scaler): ScalerSnapshot {
  const figure = (name: string): number | null =>
    value(operator.reading, `millrace_scaler_${name}`, labels) ?? null;
  return {
    desired: figure("desired_replicas"),
    current: figure("current_replicas"),
    ready: figure("ready_replicas"),
    minimum: figure("min_replicas"),
    maximum: figure("max_replicas"),
    forecastWaitSeconds: figure("forecast_wait_seconds"),
    limited: figure("limited") === 1,
    bottleneck: figure("bottleneck") === 1,
  };
}

const matches = ({ labels }: Sample, wanted: Labels): boolean =>
  Object.entries(wanted).every(([name, text]) => labels.get(name) === text);

/** Undefined where it is not told, or is no number that JSON has. */
function value(reading: Reading | undefined, name: string, labels: Labels): number | undefined {
  const found = reading?.samples.get(name)?.find((sample) => matches(sample, labels))?.value;
  return Number.isFinite(found) ? found : undefined;
}

/** Growth of a counter in a second; undefined until the same process was read twice. */
function rate({ reading, before }: Observed, name: string, labels: Labels): number | undefined {
  const [now, then] = [value(reading, name, labels), value(before, name, labels)];
  if (reading === undefined || before === undefined || now === undefined || then === undefined)
    return undefined;
  const started = [reading, before].map((one) => value(one, "process_start_time_seconds", {}));
  // Another process at the same address: its counters began anew.
  if (started[0] !== started[1] || now < then || reading.atMs <= before.atMs) return undefined;
  return ((now - then) * 1000) / (reading.atMs - before.atMs);
}

function total(processes: readonly Observed[], of: (one: Observed) => number | undefined): number | null {
  const known = processes.map(of).filter((one) => one !== undefined);
  return known.length === 0 ? null : known.reduce((sum, one) => sum + one, 0);
}

function greatest(processes: readonly Observed[], of: (one: Observed) => number | undefined): number | null {
  const known = processes.map(of).filter((one) => one !== undefined);
  return known.length === 0
    ? null
    : known.reduce((most, one) => Math.max(most, one), Number.NEGATIVE_INFINITY);
}
