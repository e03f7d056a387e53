import type { QueueFigures } from "../decide.ts";
import type { Remembered } from "./memory.ts";
import { readySeconds, wereSteady } from "./replicas.ts";

/** Growth of the number of replicas that is enough to tell what it brings. */
export const ENOUGH_GROWTH = 1.3;
const FIRST_TRY = 2;
/** Share of the proportional gain below which it has brought nothing. */
const NO_GAIN = 0.2;
/** Readings in a row that must say so, each of so many messages; */
const READINGS = 2;
const MESSAGES = 20;
/** and times in a row that replicas were added: once may be a store that got slow at that moment. */
const GROWTHS = 2;
/** After that none is added for so long, twice as long each time it is tried again in vain. */
const FIRST_BOUND_SECONDS = 60;
const LAST_BOUND_SECONDS = 960;
/** What fewer replicas brought longer ago than that may have been another store's day. */
const COMPARABLE_SECONDS = 60;
/** More by this factor from as many replicas: what slowed them down has passed. */
const RECOVERED = 1.3;

/**
 * Whether more replicas bring more throughput, told while all of them are busy and their number stays (as the autoscaler of
 * Apache Flink's operator does, which calls it ineffective scaling).
 */
export function withThroughput(
  memory: Remembered,
  old: QueueFigures,
  now: QueueFigures,
  done: number,
): Remembered {
  if (old.ready === 0 && now.ready === 0) return { ...memory, ...unbound, throughput: undefined };
  if (old.ready === 0 || now.ready === 0) return { ...memory, fruitless: 0, throughput: undefined };
  if (done === 0) return memory;
  const atMs = now.sampledAtMs;
  const seconds = (atMs - old.sampledAtMs) / 1000;
  const replicas = readySeconds(memory, old.sampledAtMs, atMs) / seconds;
  const perSecond = done / seconds;
  const isSteady = wereSteady(memory, old.sampledAtMs, atMs);
  const measured = isSteady ? { ...memory, fruitless: 0, throughput: { replicas, perSecond, atMs } } : memory;
  const before = memory.throughput;
  if (before === undefined || replicas < before.replicas) return measured;
  if (isBound(memory)) return perSecond > before.perSecond * RECOVERED ? { ...measured, ...unbound } : memory;
  const isOld = atMs - before.atMs > COMPARABLE_SECONDS * 1000;
  if (replicas === before.replicas || isOld) return measured;
  if (replicas < before.replicas * ENOUGH_GROWTH || done < MESSAGES) return memory;
  const gain = (perSecond / before.perSecond - 1) / (replicas / before.replicas - 1);
  if (gain >= NO_GAIN) return { ...measured, ...unbound };
  if (memory.fruitless + 1 < READINGS || !isSteady) return { ...memory, fruitless: memory.fruitless + 1 };
  const vain = memory.vain + 1;
  if (vain < GROWTHS) return { ...measured, vain };
  const boundSeconds = Math.min(LAST_BOUND_SECONDS, memory.boundSeconds * 2 || FIRST_BOUND_SECONDS);
  return { ...measured, vain, boundSeconds, boundUntilMs: atMs + boundSeconds * 1000 };
}

const unbound = { fruitless: 0, vain: 0, boundSeconds: 0, boundUntilMs: undefined } as const;

/** Whether the last replicas that were added have brought nothing, so that no more are tried for now. */
export function isBound({ boundUntilMs, sample }: Remembered): boolean {
  return boundUntilMs !== undefined && sample !== undefined && sample.sampledAtMs < boundUntilMs;
}

/** The most replicas that may be tried: enough to tell whether they bring anything, where the last ones brought nothing. */
export function mostToTry({ fruitless, vain, throughput }: Remembered): number {
  if ((vain === 0 && fruitless === 0) || throughput === undefined) return Number.POSITIVE_INFINITY;
  return Math.ceil(throughput.replicas * (vain < GROWTHS ? FIRST_TRY : ENOUGH_GROWTH));
}
