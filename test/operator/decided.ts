import type { Signals } from "../../src/signals.ts";

/** What a pass for a scaler tells of it, of which all is known; `more` goes over it. */
export const decidedOf = (more: Partial<Signals["scaler.decided"]> = {}): Signals["scaler.decided"] => ({
  namespace: "shop",
  scaler: "mailer",
  reason: "Arrivals",
  message: "40 messages wait",
  brokerReachable: true,
  observationAgeSeconds: 1,
  backlog: 40,
  estimates: { arrivalsPerSecond: 1, messagesPerSecondPerReplica: 2, waitSeconds: 3 },
  replicas: { desired: 3, current: 2, ready: 1 },
  limited: false,
  bottleneck: false,
  objectiveSeconds: 30,
  bounds: { min: 0, max: 9 },
  conditions: { Ready: true, DeadLetters: false },
  ...more,
});
