import type { Estimates, Memory, QueueFigures } from "../decide.ts";
import { noRate, type Rate, rateOf } from "./rate.ts";

/** Something that happened to a number of replicas, in milliseconds since 1970. */
export interface Change {
  readonly atMs: number;
  readonly replicas: number;
}

/** What `decide` remembers from one call to the next: plain values, and no list longer than `LONGEST`. */
export interface Remembered {
  /** Of the first call and of the last; undefined before. */
  readonly sinceMs: number | undefined;
  readonly atMs: number | undefined;
  readonly current: number;
  readonly ready: number;
  /** Seconds from the creation of a replica until it is ready; undefined until measured. */
  readonly startupSeconds: number | undefined;
  /** Replicas that were asked for and are not ready yet, the oldest first. */
  readonly asked: readonly Change[];
  /** How many were ready from when on, the oldest first. */
  readonly readyFrom: readonly Change[];
  readonly grown: readonly Change[];
  readonly shrunk: readonly Change[];

  /** The last reading that was taken into account. */
  readonly sample: QueueFigures | undefined;
  readonly arrivals: Rate;
  /** Of one replica: messages done over the seconds that it was busy. */
  readonly service: Rate;
  /** Of the last while, if no messages waited for replicas. */
  readonly slack: Slack;
  /** Of the last messages that were done, how many there are and how many of them became dead letters. */
  readonly done: number;
  readonly dead: number;
  /** For how long nothing has been ready, unacknowledged or published, as far as readings prove it. */
  readonly idleSeconds: number;
  /** What a smaller number of busy replicas has brought in all, to tell whether more bring more. */
  readonly throughput: Throughput | undefined;
  /** Readings in a row by which more replicas brought nothing. */
  readonly fruitless: number;
  /** Times in a row that replicas were added in vain. */
  readonly vain: number;
  /** Until when none is added because of that. */
  readonly boundUntilMs: number | undefined;
  readonly boundSeconds: number;

  readonly surplus: Surplus | undefined;
  readonly tooFew: TooFew | undefined;
  readonly unknownSinceMs: number | undefined;
  readonly unconsumedSinceMs: number | undefined;
}

/** What replicas did that were not busy all the time, summed up over them. */
export interface Slack {
  readonly done: number;
  /** Of the replicas, as far as the messages in their hands tell. */
  readonly busySeconds: number;
}
export const noSlack: Slack = { done: 0, busySeconds: 0 };

export interface Throughput {
  readonly atMs: number;
  readonly replicas: number;
  readonly perSecond: number;
}

/** Replicas that have not been needed for a while. */
export interface Surplus {
  readonly atMs: number;
  /** Seconds of them, summed up over them. */
  readonly replicaSeconds: number;
  /** The most that would have done meanwhile. */
  readonly enough: number;
}

/** Replicas that turned out to be too few, and for what; so that they are not tried again at once. */
export interface TooFew {
  readonly atMs: number;
  readonly replicas: number;
  readonly arrivalsPerSecond: number;
  readonly messagesPerSecondPerReplica: number;
}

/** Most entries of a list in the memory. */
export const LONGEST = 12;
/** How long what an earlier operator has learned counts as if this one had seen it. */
const KEPT = { seconds: 5, counts: 10 };

/** What `decide` starts with: what an earlier operator has left in a status, if anything. */
export function initialMemory(kept: Partial<Estimates> | undefined): Memory {
  const start: Remembered = {
    sinceMs: undefined,
    atMs: undefined,
    current: 0,
    ready: 0,
    startupSeconds: known(kept?.startupSeconds),
    asked: [],
    readyFrom: [],
    grown: [],
    shrunk: [],
    sample: undefined,
    arrivals: rateKept(known(kept?.arrivalsPerSecond)),
    service: rateKept(known(kept?.messagesPerSecondPerReplica) || undefined),
    slack: noSlack,
    done: 0,
    dead: 0,
    idleSeconds: 0,
    throughput: undefined,
    fruitless: 0,
    vain: 0,
    boundUntilMs: undefined,
    boundSeconds: 0,
    surplus: undefined,
    tooFew: undefined,
    unknownSinceMs: undefined,
    unconsumedSinceMs: undefined,
  };
  return { ...start };
}

/** What a status says may have been written by anybody. */
function known(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function rateKept(value: number | undefined): Rate {
  return value === undefined ? noRate : rateOf(value, KEPT);
}

/** The list with one more change, if it is one; where it gets too long the two oldest become one. */
export function withChange(list: readonly Change[], change: Change): readonly Change[] {
  if (change.replicas <= 0) return list;
  const longer = [...list, change];
  const [first, second, ...rest] = longer;
  if (longer.length <= LONGEST || first === undefined || second === undefined) return longer;
  return [{ atMs: second.atMs, replicas: first.replicas + second.replicas }, ...rest];
}

/** The same where the clock has been set back: nothing is remembered of a time to come. */
export function untilNow(memory: Remembered, nowMs: number): Remembered {
  if (memory.atMs === undefined || memory.atMs <= nowMs) return memory;
  const earlier = (list: readonly Change[]) =>
    list.map((change) => ({ ...change, atMs: Math.min(nowMs, change.atMs) }));
  const at = (ms: number | undefined) => (ms === undefined ? undefined : Math.min(nowMs, ms));
  return {
    ...memory,
    sinceMs: at(memory.sinceMs),
    atMs: nowMs,
    asked: earlier(memory.asked),
    readyFrom: earlier(memory.readyFrom),
    grown: earlier(memory.grown),
    shrunk: earlier(memory.shrunk),
    boundUntilMs: at(memory.boundUntilMs),
    surplus: undefined,
    tooFew: undefined,
    unknownSinceMs: at(memory.unknownSinceMs),
    unconsumedSinceMs: at(memory.unconsumedSinceMs),
  };
}
