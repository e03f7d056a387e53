import { type Cluster, ClusterError, type ObjectName } from "./cluster.ts";
import { LEASE_LOST, type LeaseStore, runAsLeader } from "./leader.ts";
import { createReconcile, type OperatorParts } from "./reconcile.ts";
import { createWorkQueue } from "./work-queue.ts";

/** Shorter than those of client-go, so that a successor takes over within 17 seconds, and scales before 20 are over. */
const LEASE = { leaseDurationMs: 12_000, renewDeadlineMs: 8000, retryPeriodMs: 1000 };
/** Passes at a time. Most of a pass is a wait for the cluster. */
const WORKERS = 32;

export interface RunningParts extends OperatorParts {
  readonly cluster: Cluster;
  readonly leases: LeaseStore;
  /** Of this process, and of no other. */
  readonly identity: string;
}

/** Works on all scalers while it is the leader, until `stop`. Rejects when the lease was lost, or the cluster cannot be watched. */
export async function runOperator(parts: RunningParts, stop: AbortSignal): Promise<void> {
  const { leases, clock, identity } = parts;
  await runAsLeader(leases, { identity, ...LEASE }, clock, (lost) => lead(parts, lost), stop);
}

async function lead(parts: RunningParts, stop: AbortSignal): Promise<void> {
  const { cluster, clock, emit, identity } = parts;
  emit("leader.changed", { leading: true, identity });
  try {
    const queue = createWorkQueue({ clock, workers: WORKERS });
    const reconcile = createReconcile({ ...parts, cluster: underLease(cluster, stop) });
    await cluster.watch((scaler) => queue.add(keyOf(scaler)), stop);
    for (const { metadata } of cluster.scalers()) queue.add(keyOf(metadata));
    await queue.run(async (key, lateMs) => {
      const begunMs = clock.now();
      const finished = (outcome: "done" | "failed", error: unknown) =>
        emit("reconcile.finished", { outcome, seconds: (clock.now() - begunMs + lateMs) / 1000, error });
      try {
        const again = await reconcile(nameOf(key));
        finished("done", undefined);
        return again;
      } catch (error) {
        finished("failed", error);
        throw error;
      }
    }, stop);
  } finally {
    emit("leader.changed", { leading: false, identity });
  }
}

/** Writes nothing any more once the lease is lost: passes that are in hand then would undo what another leader does. */
function underLease(cluster: Cluster, stop: AbortSignal): Cluster {
  const check = (): void => {
    if (stop.reason === LEASE_LOST) throw new ClusterError("Unavailable", LEASE_LOST);
  };
  return {
    watch: (changed, until) => cluster.watch(changed, until),
    scaler: (name) => cluster.scaler(name),
    scalers: () => cluster.scalers(),
    rivals: (namespace) => cluster.rivals(namespace),
    target: (namespace, ref) => cluster.target(namespace, ref),
    secret: (name, maxAgeMs) => cluster.secret(name, maxAgeMs),
    async scale(namespace, ref, seen, replicas) {
      check();
      return cluster.scale(namespace, ref, seen, replicas);
    },
    async report(scaler, status) {
      check();
      return cluster.report(scaler, status);
    },
    async announce(scaler, notice) {
      check();
      return cluster.announce(scaler, notice);
    },
  };
}

/** Neither a namespace nor a name has a slash in it. */
const keyOf = ({ namespace, name }: ObjectName): string => `${namespace}/${name}`;
function nameOf(key: string): ObjectName {
  const [namespace = "", name = ""] = key.split("/");
  return { namespace, name };
}
