/** Bounds of a request's or a call's duration, in seconds. */
export const CALL_SECONDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

const AGE_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120, 300, 900, 3600];

/** Bounds of an event's age, in seconds, of which one is the objective: how many were in time is exact. */
export function ageBuckets(objectiveSeconds: number): number[] {
  return Array.from(new Set([...AGE_SECONDS, objectiveSeconds])).toSorted((a, b) => a - b);
}

/** Bounds of the number of events in a message. */
export const MESSAGE_EVENTS: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
];
