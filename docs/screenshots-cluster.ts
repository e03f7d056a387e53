import type { DecisionLog, QueueSnapshot, ReplicaChange, Snapshot } from "../src/console/snapshot.ts";
import type { ProjectionName } from "../src/domain/projection.ts";

/** Five minutes of a cluster that there never was. */
export interface MadeUp {
  readonly snapshots: readonly Snapshot[];
  readonly log: DecisionLog;
}

const SECONDS = 300;
const OBJECTIVE_SECONDS = 30;
const EVENTS_A_MESSAGE = 24;
const START_SECONDS = 9;
const CALM_SECONDS = 45;

interface Workers {
  readonly name: ProjectionName;
  readonly scaler: string;
  /** Events a second that one replica stores. */
  readonly speed: number;
  readonly letters: number;
  waiting: number;
  desired: number;
  /** When each replica is ready, in seconds from the start. */
  readyAt: number[];
  calmSince: number;
}
const workersOf = (name: ProjectionName, component: string, speed: number, letters: number): Workers => ({
  name,
  scaler: `millrace-worker-${component}`,
  speed,
  letters,
  waiting: 0,
  desired: 1,
  readyAt: [0],
  calmSince: 0,
});

/** Ends at this instant. */
export function madeUpCluster(nowMs: number): MadeUp {
  const all = [
    workersOf("accountName", "account-name", 1400, 0),
    workersOf("distinctName", "distinct-name", 1100, 0),
    workersOf("hourlyLog", "hourly-log", 560, 2),
  ];
  const snapshots: Snapshot[] = [];
  const changes: ReplicaChange[] = [];
  let total = 1_284_310;
  for (let second = 0; second < SECONDS; second += 1) {
    const atMs = nowMs - (SECONDS - 1 - second) * 1000;
    const accepted = loadAt(second);
    total += accepted;
    const queues = all.map((workers) => {
      const change = scaled(workers, second, accepted);
      if (change !== undefined) changes.unshift({ ...change, namespace: "millrace", atMs });
      return [workers.name, worked(workers, second, accepted)] as const;
    });
    snapshots.push({
      atMs,
      events: {
        acceptedPerSecond: accepted,
        rejectedPerSecond: second % 37 === 0 ? 4 : 1 + (second % 3),
        failedPerSecond: 0,
        acceptedTotal: total,
      },
      queues: Object.fromEntries(queues) as Snapshot["queues"],
      processes: processesOf(all),
    });
  }
  const scalers = all.map(({ scaler, desired, speed }, at) => ({
    namespace: "millrace",
    scaler,
    atMs: nowMs - at * 700,
    reason: "Steady",
    message: `${Math.round(loadAt(SECONDS) / EVENTS_A_MESSAGE)} messages a second come in, a replica does ${Math.round(speed / EVENTS_A_MESSAGE)} a second: ${desired} replicas keep the wait under ${OBJECTIVE_SECONDS} s`,
    desired,
    current: desired,
  }));
  return { snapshots, log: { operator: "leading", scalers, changes } };
}

/** A calm, then six times as much within half a minute, then slowly less. */
function loadAt(second: number): number {
  const rise = Math.min(1, Math.max(0, (second - 95) / 30));
  const fall = Math.max(0, second - 170) * 11;
  const noise = 25 * Math.sin(second * 1.7) + 18 * Math.sin(second * 0.61) + 40 * Math.sin(second / 19);
  return Math.round(480 + rise * 2500 - Math.min(1150, fall) + noise);
}

function scaled(workers: Workers, second: number, accepted: number) {
  const { speed, waiting, desired, scaler } = workers;
  const wanted = Math.min(10, Math.ceil((accepted + waiting / 12) / speed));
  if (wanted >= desired) workers.calmSince = second;
  const down = wanted < desired && second - workers.calmSince >= CALM_SECONDS;
  // The operator looks every other second.
  if (second % 2 === 1 || (wanted <= desired && !down)) return undefined;
  const to = down ? desired - 1 : wanted;
  workers.desired = to;
  workers.calmSince = second;
  const kept = workers.readyAt.slice(0, to);
  workers.readyAt = [...kept, ...Array.from({ length: to - kept.length }, () => second + START_SECONDS)];
  const [messages, rate, each] = [waiting, accepted, speed].map((events) =>
    Math.round(events / EVENTS_A_MESSAGE),
  );
  const message = down
    ? `${rate} messages a second come in; a replica does ${each} a second: ${to} replicas keep the wait under ${OBJECTIVE_SECONDS} s`
    : `${messages} messages wait and ${rate} a second come in; a replica does ${each} a second: ${to} replicas keep the wait under ${OBJECTIVE_SECONDS} s`;
  return { scaler, from: desired, to, reason: down ? "ScalingDown" : "Arrivals", message };
}

function worked(workers: Workers, second: number, accepted: number): QueueSnapshot {
  const ready = workers.readyAt.filter((at) => at <= second).length;
  const stored = Math.min(workers.waiting + accepted, ready * workers.speed);
  workers.waiting += accepted - stored;
  const wait = 0.12 + workers.waiting / (ready * workers.speed);
  return {
    ready: Math.round(workers.waiting / EVENTS_A_MESSAGE),
    unsettled: Math.round(Math.min(2 + stored / 400, 8 * ready)),
    deadLetters: workers.letters,
    storedPerSecond: stored,
    oldestWaitSeconds: wait,
    objectiveSeconds: OBJECTIVE_SECONDS,
    workers: ready,
    scaler: {
      desired: workers.desired,
      current: workers.desired,
      ready,
      minimum: 1,
      maximum: 10,
      forecastWaitSeconds: wait,
      limited: false,
      bottleneck: false,
    },
  };
}

function processesOf(all: readonly Workers[]): Snapshot["processes"] {
  const roles = ["collector", "collector", "operator", "query", "sweeper"];
  const replicas = all.flatMap(({ name, readyAt }) => readyAt.map(() => name));
  return [...roles, ...replicas].map((role, at) => ({
    role,
    address: `10.244.1.${at + 12}:9090`,
    fault: null,
  }));
}
