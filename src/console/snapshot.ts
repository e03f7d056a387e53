import type { Access } from "../domain/key.ts";
import type { ProjectionName } from "../domain/projection.ts";

/** What the console shows of one instant. A figure that is not known is null: JSON has no undefined. */
export interface Snapshot {
  readonly atMs: number;
  /** Over the time since the snapshot before. */
  readonly events: {
    readonly acceptedPerSecond: number | null;
    readonly rejectedPerSecond: number | null;
    readonly failedPerSecond: number | null;
    /** Since the collectors of now were started. */
    readonly acceptedTotal: number | null;
  };
  readonly queues: Readonly<Record<ProjectionName, QueueSnapshot>>;
  readonly processes: readonly ProcessSnapshot[];
}

export interface QueueSnapshot {
  /** Messages. */
  readonly ready: number | null;
  readonly unsettled: number | null;
  readonly deadLetters: number | null;
  /** Events. */
  readonly storedPerSecond: number | null;
  /** Age of the oldest message in the workers' hands, which is the oldest of the queue; null where no worker tells. */
  readonly oldestWaitSeconds: number | null;
  readonly objectiveSeconds: number | null;
  /** Workers that answer. */
  readonly workers: number;
  /** As the operator sees it; null where there is none, or none that answers. */
  readonly scaler: ScalerSnapshot | null;
}

export interface ScalerSnapshot {
  readonly desired: number | null;
  readonly current: number | null;
  readonly ready: number | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly forecastWaitSeconds: number | null;
  readonly limited: boolean;
  readonly bottleneck: boolean;
}

export interface ProcessSnapshot {
  readonly role: string;
  /** Address and port of its metrics. */
  readonly address: string;
  /** Why it cannot be read; null where it can. */
  readonly fault: string | null;
}

/** What the operator has decided. */
export interface DecisionLog {
  /** `none`: this installation has no operator. `unreachable`: none answers that leads. */
  readonly operator: "none" | "unreachable" | "leading";
  /** The last decision for each QueueScaler. */
  readonly scalers: readonly ScalerDecision[];
  /** The last changes of replicas, newest first, at most 50. */
  readonly changes: readonly ReplicaChange[];
}
export interface ScalerDecision {
  readonly namespace: string;
  readonly scaler: string;
  readonly atMs: number;
  readonly reason: string;
  /** A sentence with the figures. */
  readonly message: string;
  readonly desired: number | null;
  readonly current: number | null;
}
export interface ReplicaChange {
  readonly namespace: string;
  readonly scaler: string;
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
  readonly message: string;
}
/** The answer of `GET /decisions` on the operator's admin port. */
export interface OperatorDecisions extends Pick<DecisionLog, "scalers" | "changes"> {
  readonly leading: boolean;
}

/** What the page must know before it shows anything. */
export interface ConsoleSetup {
  readonly version: string;
  /** Whether an event may be sent from the page: there is a collector that it can be passed on to. */
  readonly canSend: boolean;
  /** Whether dead letters can be shown: this process reaches the broker. */
  readonly canReplay: boolean;
  /** What needs a key: sending events, reading, or listing and replaying dead letters. */
  readonly needsKeyFor: readonly Access[];
}

/** A row of `GET /dead-letters`. */
export interface DeadLetterRow {
  readonly id: string;
  readonly queue: ProjectionName;
  readonly reason: string;
  readonly attempts: number;
  /** RFC 3339. */
  readonly deadAt: string;
  readonly contentType: string;
  /** As text, at most 2,000 characters. */
  readonly body: string;
}
