import type { Notice } from "./cluster.ts";
import type { QueueScalerSpec } from "./queue-scaler.ts";
import type { Condition } from "./queue-scaler-status.ts";

/** Conditions whose change is news: whether True is the good news, and the name of the Event either way. */
const news: Readonly<
  Record<string, { readonly good: "True" | "False"; readonly True: string; readonly False: string }>
> = {
  Ready: { good: "True", True: "Ready", False: "NotReady" },
  BrokerReachable: { good: "True", True: "BrokerReachable", False: "BrokerUnreachable" },
  Limited: { good: "False", True: "Limited", False: "NoLongerLimited" },
  Conflict: { good: "False", True: "Conflict", False: "ConflictOver" },
  Bottleneck: { good: "False", True: "Bottleneck", False: "BottleneckOver" },
  DeadLetters: { good: "False", True: "DeadLetters", False: "DeadLettersGone" },
};

/** What is worth an Event of how the conditions have changed. The first status is news only where something is wrong. */
export function noticesOf(
  before: readonly Condition[] = [],
  after: readonly Condition[] = [],
): readonly Notice[] {
  return after.flatMap(({ type, status, reason, message }) => {
    const words = news[type];
    const earlier = before.find((one) => one.type === type)?.status;
    if (words === undefined || status === "Unknown" || status === earlier) return [];
    const isGood = status === words.good;
    if (isGood && (earlier === undefined || earlier === "Unknown")) return [];
    const note = `${reason}: ${message}`;
    return [{ type: isGood ? "Normal" : "Warning", reason: words[status], action: "Observe", note }];
  });
}

export function scaledNotice(from: number, to: number, message: string): Notice {
  const reason = to > from ? "ScaledUp" : "ScaledDown";
  return { type: "Normal", reason, action: "Scale", note: `from ${from} to ${to} replicas: ${message}` };
}

/** Somebody else has set the number of replicas. */
export function manualNotice(
  replicas: number,
  { policy, forSeconds }: QueueScalerSpec["manualScale"],
): Notice {
  const fate =
    policy === "Respect"
      ? `which stay for ${forSeconds} s`
      : "which the next decision overrides, as spec.manualScale says";
  return {
    type: "Normal",
    reason: "ManualScale",
    action: "Observe",
    note: `somebody else has set ${replicas} replicas, ${fate}`,
  };
}
