import type { Clock } from "../src/ports/clock.ts";
import type { Emit, SignalName, Signals } from "../src/signals.ts";

/** Changes of replicas that are remembered. */
const KEPT = 50;

type Of = "namespace" | "scaler";
interface ScalerDecision extends Pick<Signals["scaler.decided"], Of> {
  readonly atMs: number;
  readonly reason: string;
  readonly message: string;
  readonly desired: number | null;
  readonly current: number | null;
}
interface ReplicaChange extends Pick<Signals["replicas.changed"], Of | "from" | "to" | "reason" | "message"> {
  readonly atMs: number;
}

/** What this operator has decided since it leads; the answer of `GET /decisions`. */
export interface Decisions {
  readonly leading: boolean;
  /** The last decision for each QueueScaler. */
  readonly scalers: readonly ScalerDecision[];
  /** Newest first. */
  readonly changes: readonly ReplicaChange[];
}

/** Where a pass came to no decision, as where the workload is not there. */
const UNDECIDED = "Undecided";

/** Remembers decisions as signals tell them. */
export function createDecisions(clock: Clock): { readonly emit: Emit; readonly now: () => Decisions } {
  let leading = false;
  const scalers = new Map<string, ScalerDecision>();
  const changes: ReplicaChange[] = [];
  const subscribers: { readonly [K in SignalName]?: (fact: Signals[K]) => void } = {
    "leader.changed": (fact) => {
      leading = fact.leading;
      if (!leading) scalers.clear();
    },
    "scaler.decided": ({ namespace, scaler, reason = UNDECIDED, message = "", replicas }) => {
      const { desired = null, current = null } = replicas;
      const atMs = clock.now();
      scalers.set(`${namespace}/${scaler}`, { namespace, scaler, atMs, reason, message, desired, current });
    },
    "scaler.forgotten": ({ namespace, scaler }) => void scalers.delete(`${namespace}/${scaler}`),
    "replicas.changed": ({ namespace, scaler, from, to, reason, message }) => {
      changes.unshift({ namespace, scaler, atMs: clock.now(), from, to, reason, message });
      changes.splice(KEPT);
    },
  };
  return {
    emit: (name, fact) => subscribers[name]?.(fact),
    now: () => ({ leading, scalers: Array.from(scalers.values()), changes: [...changes] }),
  };
}
