import type { Observation, ScalingSpec } from "../decide.ts";
import type { Fleet } from "./forecast.ts";
import { type Change, LONGEST, type Remembered, withChange } from "./memory.ts";

/** Share of a newly measured start in what is known of starts. */
const STARTUP_GAIN = 0.3;

/** Seconds from a replica's creation until it consumes. */
export function startupOf(spec: ScalingSpec, memory: Remembered): number {
  return memory.startupSeconds ?? spec.hints.startupSeconds;
}

/** What is known of the replicas after this observation: how many were ready when, and how long a start takes. */
export function withReplicas(spec: ScalingSpec, memory: Remembered, seen: Observation): Remembered {
  const { nowMs, replicas } = seen;
  const { current, ready } = replicas;
  const first = memory.atMs === undefined;
  // What has changed did so right after the last call, if it is what that call decided.
  const atMs = memory.atMs ?? nowMs;
  const grown = { atMs, replicas: first ? 0 : current - memory.current };
  const shrunk = { atMs, replicas: first ? 0 : memory.current - current };
  const come = first ? 0 : ready - memory.ready;
  const asked = withChange(memory.asked, grown);
  return {
    ...memory,
    sinceMs: memory.sinceMs ?? nowMs,
    atMs: nowMs,
    current,
    ready,
    startupSeconds: startupAfter(startupOf(spec, memory), memory, { asked, come, atMs, nowMs }),
    asked: newest(asked, current - ready),
    readyFrom:
      memory.readyFrom.at(-1)?.replicas === ready
        ? memory.readyFrom
        : [...memory.readyFrom, { atMs: nowMs, replicas: ready }].slice(-LONGEST),
    grown: withChange(memory.grown, grown),
    shrunk: withChange(memory.shrunk, shrunk),
  };
}

interface Starts {
  readonly asked: readonly Change[];
  /** Replicas that have become ready between the last call and this one. */
  readonly come: number;
  readonly atMs: number;
  readonly nowMs: number;
}

/** The oldest that were asked for are taken to be the first that are ready. */
function startupAfter(known: number, memory: Remembered, { asked, come, atMs, nowMs }: Starts) {
  let { startupSeconds } = memory;
  let left = come;
  for (const { atMs: askedMs, replicas } of asked) {
    if (left <= 0) break;
    const some = Math.min(left, replicas);
    const leastSeconds = (atMs - askedMs) / 1000;
    const mostSeconds = (nowMs - askedMs) / 1000;
    const before = startupSeconds ?? known;
    // Between two calls that are far apart it may have been at any time: as far as it can be, it was as long as known.
    const took =
      mostSeconds - leastSeconds > known / 2
        ? Math.min(mostSeconds, Math.max(leastSeconds, before))
        : (leastSeconds + mostSeconds) / 2;
    startupSeconds = before + (1 - (1 - STARTUP_GAIN) ** some) * (took - before);
    left -= some;
  }
  return startupSeconds;
}

/** The newest of the list, so many in all. */
function newest(list: readonly Change[], replicas: number): readonly Change[] {
  let left = Math.max(0, replicas);
  const kept: Change[] = [];
  for (const change of list.toReversed()) {
    const some = Math.min(left, change.replicas);
    if (some > 0) kept.unshift({ ...change, replicas: some });
    left -= some;
  }
  return kept;
}

/** Seconds that replicas were ready between two times, summed up over them. */
export function readySeconds({ readyFrom }: Remembered, fromMs: number, untilMs: number): number {
  let sum = 0;
  for (const [index, { atMs, replicas }] of readyFrom.entries()) {
    const from = index === 0 ? fromMs : Math.max(fromMs, atMs);
    const until = Math.min(untilMs, readyFrom[index + 1]?.atMs ?? untilMs);
    if (until > from) sum += ((until - from) / 1000) * replicas;
  }
  return sum;
}

/** Whether their number was the same all the time between two times. */
export function wereSteady({ readyFrom }: Remembered, fromMs: number, untilMs: number): boolean {
  return !readyFrom.some(({ atMs }, index) => index > 0 && atMs > fromMs && atMs <= untilMs);
}

/** Those that are ready, and from when on those that are starting will be. */
export function fleetOf(spec: ScalingSpec, memory: Remembered, { nowMs, replicas }: Observation): Fleet {
  const startup = startupOf(spec, memory);
  const fleet = [{ fromSeconds: 0, replicas: Math.min(replicas.ready, replicas.current) }];
  // Those of which we do not know when they were asked for come last.
  const unknown = replicas.current - replicas.ready - sumOf(memory.asked);
  for (const { atMs, replicas: more } of [...memory.asked, { atMs: nowMs, replicas: unknown }]) {
    if (more <= 0) continue;
    const last = fleet.at(-1) ?? { fromSeconds: 0, replicas: 0 };
    const soonest = Math.max(1, startup - (nowMs - atMs) / 1000);
    fleet.push({ fromSeconds: Math.max(last.fromSeconds, soonest), replicas: last.replicas + more });
  }
  return fleet;
}

function sumOf(changes: readonly Change[]): number {
  return changes.reduce((sum, { replicas }) => sum + replicas, 0);
}

/** Replicas by which the number has changed within the last seconds. */
export function changedWithin(changes: readonly Change[], nowMs: number, seconds: number): number {
  return sumOf(changes.filter(({ atMs }) => nowMs - atMs < seconds * 1000));
}
