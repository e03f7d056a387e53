import type { BrokenScaler, QueueScaler } from "./queue-scaler.ts";
import type { QueueScalerStatus } from "./queue-scaler-status.ts";

export interface ObjectName {
  readonly namespace: string;
  readonly name: string;
}

export interface TargetRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** A workload that can be scaled, as it was last seen. */
export interface Target {
  /** `spec.replicas`. */
  readonly replicas: number;
  /** Of them those that are ready; undefined where the kind does not tell. */
  readonly readyReplicas: number | undefined;
  readonly selector: string | undefined;
  /** Changes with the object; a write that names another one is refused. */
  readonly resourceVersion: string;
}

/** Another autoscaler that has a workload as its target. */
export interface Rival {
  /** Such as `HorizontalPodAutoscaler worker`. */
  readonly what: string;
  readonly namespace: string;
  readonly target: TargetRef;
}

/** A notable change, as an Event of Kubernetes. */
export interface Notice {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  /** What was done, such as `Scale`. */
  readonly action: string;
  readonly note: string;
}

/** Why the cluster refused. */
export type ClusterFault =
  | "NotFound"
  | "Forbidden"
  | "Conflict"
  | "Invalid"
  | "Unavailable"
  /** The kind is not known to the cluster, or it has no scale subresource. */
  | "NoSuchKind";

export class ClusterError extends Error {
  readonly fault: ClusterFault;

  constructor(fault: ClusterFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

type Named = Pick<QueueScaler, "metadata">;

/**
 * What the operator needs of Kubernetes. What is watched is answered from memory, without a request; every other method
 * makes one, and rejects with a ClusterError within its bounded wait.
 */
export interface Cluster {
  /**
   * Watches scalers, workloads of the usual kinds, and other autoscalers, until `stop`. Resolves once all of them have been
   * listed. `changed` is told each scaler that is new, changed, gone, or whose workload or rivals changed.
   */
  watch(changed: (scaler: ObjectName) => void, stop: AbortSignal): Promise<void>;
  /** As last seen; undefined once it is gone. */
  scaler(name: ObjectName): QueueScaler | BrokenScaler | undefined;
  /** All but those whose spec cannot be followed. */
  scalers(): readonly QueueScaler[];
  /** Other autoscalers of this namespace, as last seen. */
  rivals(namespace: string): readonly Rival[];
  /** Watched for Deployments and StatefulSets; read from the scale subresource for every other kind. */
  target(namespace: string, ref: TargetRef): Promise<Target>;
  /**
   * Sets the number of replicas by the scale subresource, if the workload is still the one that was seen. Resolves to the
   * workload as it is then; from then on `target` never answers an older one.
   */
  scale(namespace: string, ref: TargetRef, seen: Target, replicas: number): Promise<Target>;
  /** Its data, decoded; remembered for at most `maxAgeMs`. */
  secret(name: ObjectName, maxAgeMs: number): Promise<Readonly<Record<string, string>>>;
  /** Server-side apply of the whole status. */
  report(scaler: Named, status: QueueScalerStatus): Promise<void>;
  /** Writes an Event about the scaler; equal ones in a row become a series. */
  announce(scaler: Named, notice: Notice): Promise<void>;
}
