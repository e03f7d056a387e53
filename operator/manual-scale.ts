import type { QueueScalerSpec } from "./queue-scaler.ts";

/** What is known of how the present number of replicas came about. */
export interface Hand {
  /** Replicas that this scaler has last set or left as they were; undefined before it has. */
  readonly setReplicas: number | undefined;
  /** What it has last tried to set, or was about to: the answer may have been lost, or the operator may have ended before it came. */
  readonly triedReplicas: number | undefined;
  /** Until when somebody else's number stays, in milliseconds since 1970; undefined where nobody's does. */
  readonly respectedUntilMs: number | undefined;
}

export interface ManualScale {
  readonly hand: Hand;
  /** Somebody else has set the number since the last look. */
  readonly noticed: boolean;
  /** The number stays as it is. */
  readonly respected: boolean;
}

/**
 * Notices that somebody else has set the number of replicas, and whether that is respected now. After a restart, `hand` is
 * what the status says.
 */
export function manualScale(
  { policy, forSeconds }: QueueScalerSpec["manualScale"],
  hand: Hand,
  currentReplicas: number,
  nowMs: number,
): ManualScale {
  const { setReplicas, triedReplicas } = hand;
  const noticed =
    setReplicas !== undefined && currentReplicas !== setReplicas && currentReplicas !== triedReplicas;
  const untilMs = noticed ? nowMs + forSeconds * 1000 : hand.respectedUntilMs;
  const respected = policy === "Respect" && untilMs !== undefined && nowMs < untilMs;
  return {
    hand: {
      setReplicas: currentReplicas,
      triedReplicas,
      respectedUntilMs: respected ? untilMs : undefined,
    },
    noticed,
    respected,
  };
}
