/** What a policy is told of the day before it begins. */
export interface PolicyContext {
  readonly sloSeconds: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly prefetch: number;
  readonly hintServiceRate: number;
}

/** What it sees each second: what the broker counted at `sampleTime`, and the replicas there are. Times in seconds. */
export interface PolicyObservation {
  readonly time: number;
  readonly sampleTime: number;
  /** Whether the broker can be asked; while it cannot, the figures stay. */
  readonly available: boolean;
  readonly ready: number;
  readonly unacked: number;
  readonly arrivalTotal: number;
  readonly deliveredTotal: number;
  readonly ackedTotal: number;
  readonly redeliveredTotal: number;
  readonly replicasCurrent: number;
  readonly replicasReady: number;
}

/** Answers with the replicas it wants; null leaves them as they are. */
export interface Policy {
  readonly name: string;
  decide(observation: PolicyObservation): number | null;
}

export type PolicyFactory = (context: PolicyContext) => Policy;
