import type { Model } from "./model.ts";

/** A day of a queue: how many messages a second are published when, and what goes wrong. */
export interface Trace {
  readonly name: string;
  readonly seed: number;
  readonly durationSeconds: number;
  /** Mean of the messages published in each second. */
  readonly perSecond: Float64Array;
  /** Replicas at the start; without, as many as its first second needs. */
  readonly initialReplicas?: number;
  /** What the store makes of the rate of every replica at a second: 1 where it is as fast as ever. */
  readonly serviceFactor?: (second: number) => number;
  /** From and until when, in seconds, the broker cannot be asked. */
  readonly outages?: readonly (readonly [from: number, until: number])[];
  readonly model?: Partial<Model>;
}

export function traceOf(
  of: Pick<Trace, "name" | "seed" | "durationSeconds">,
  perSecondAt: (second: number) => number,
  more: Partial<Trace> = {},
): Trace {
  const perSecond = Float64Array.from({ length: of.durationSeconds }, (_, second) =>
    Math.max(0, perSecondAt(second)),
  );
  return { ...of, perSecond, ...more };
}

/** From `start` to `end` as `share` goes from 0 to 1. */
export function between(start: number, end: number, share: number): number {
  return start + (end - start) * Math.min(1, Math.max(0, share));
}
