import { type DayCount, monthOf } from "../../domain/distinct-name.ts";
import type { PeriodCount } from "../../ports/store.ts";
import type { Runner } from "./connection.ts";
import { bytesOf } from "./distinct-name.ts";
import type { FoldContent, FoldLog } from "./fold-log.ts";

/** Bounds of one fold. A reader that meets a new fold starts over, so they are few and large. */
const MAX_PARTS = 2000;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_TOTALS = 2000;
/** Time after which a call goes on to its next task or ends, in milliseconds; the sweeper's lease is longer than the first two. */
const PARTS_MS = 4000;
const MONTHS_MS = 2000;
const DISCARD_MS = 2000;

/** A fold to come, and how many totals it empties. */
interface Plan extends FoldContent {
  readonly emptied: number;
}

/**
 * Folds every open part into the days, then the days before `firstDayKept` into their months. Resolves to how many days and
 * metrics this call has moved. Any number of callers may race: see fold-log.ts.
 */
export async function compact(
  runner: Runner,
  log: FoldLog,
  firstDayKept: string,
  nowMs: number,
): Promise<number> {
  let moved = 0;
  const added = (emptied: number): void => void (moved += emptied);
  await foldWhile(log, { plan: () => openParts(runner), added }, PARTS_MS, nowMs);
  await foldWhile(log, { plan: () => oldDays(runner, firstDayKept), added }, MONTHS_MS, nowMs);
  return moved;
}

/** Which months go, and who is told how many of them with a metric do. */
export interface Discard {
  readonly firstMonthKept: string;
  readonly discarded: (counts: number) => void;
}

/**
 * Folds that take from every month before `firstMonthKept` all that it has. What is left of it, an empty total, goes once no
 * fold that it has taken can be applied again, as that of a day that was merged: see expiry.ts.
 */
export function discardMonths(
  runner: Runner,
  log: FoldLog,
  { firstMonthKept, discarded }: Discard,
  nowMs: number,
): Promise<void> {
  const folds = { plan: () => oldMonths(runner, firstMonthKept), added: discarded };
  return foldWhile(log, folds, DISCARD_MS, nowMs);
}

interface Folds {
  readonly plan: () => Promise<Plan | undefined>;
  /** Called for each fold that this call adds. From then on it is decided, whoever takes it to its end. */
  readonly added: (emptied: number) => void;
}

/** Adds fold after fold until nothing is left to plan, or the time is up. */
async function foldWhile(log: FoldLog, folds: Folds, forMs: number, nowMs: number): Promise<void> {
  const endAt = performance.now() + forMs;
  do {
    const previous = await log.latest();
    await log.finish(previous);
    // Read only now: it is exact as long as no other fold comes in between, and then ours is refused.
    const planned = await folds.plan();
    if (planned === undefined) return;
    const added = await log.add(previous, planned, nowMs);
    if (added === undefined) continue;
    folds.added(planned.emptied);
    await log.finish(added);
  } while (performance.now() < endAt);
}

/** When the oldest part was inserted that no fold has counted. */
export async function oldestOpenPart(runner: Runner): Promise<number | undefined> {
  const [oldest] = await runner.run(({ distinctName }) =>
    distinctName
      .find({ open: 1 }, { ...runner.bound, projection: { at: 1 }, sort: { at: 1 }, limit: 1 })
      .toArray(),
  );
  return oldest?.at;
}

async function openParts(runner: Runner): Promise<Plan | undefined> {
  const parts = await runner.run(async ({ distinctName }) => {
    const found = new Map<string, readonly DayCount[]>();
    let bytes = 0;
    const options = { ...runner.bound, projection: { rows: 1 }, limit: MAX_PARTS, batchSize: 500 };
    for await (const { _id: id, rows = [] } of distinctName.find({ open: 1 }, options)) {
      found.set(id, rows);
      bytes += rows.reduce((sum, row) => sum + bytesOf(row), 0);
      if (bytes >= MAX_BYTES) break;
    }
    return found;
  });
  if (parts.size === 0) return undefined;
  const counts = Array.from(parts.values()).flatMap((rows) =>
    rows.map(({ day, metric, count }) => ({ period: day, metric, count })),
  );
  return { rows: summed(counts), parts: Array.from(parts.keys()), emptied: 0 };
}

async function oldDays(runner: Runner, firstDayKept: string): Promise<Plan | undefined> {
  const days = await totalsBefore(runner, "day", firstDayKept);
  if (days.length === 0) return undefined;
  const moves = days.flatMap(({ period, metric, count }) => [
    { period, metric, count: -count },
    { period: monthOf(period), metric, count },
  ]);
  return { rows: summed(moves), parts: [], emptied: days.length };
}

async function oldMonths(runner: Runner, firstMonthKept: string): Promise<Plan | undefined> {
  const months = await totalsBefore(runner, "month", firstMonthKept);
  if (months.length === 0) return undefined;
  const rows = months.map(({ period, metric, count }) => ({ period, metric, count: -count }));
  return { rows, parts: [], emptied: months.length };
}

/** The first totals of a granularity, those that have something. */
function totalsBefore(
  runner: Runner,
  kind: "day" | "month",
  period: string,
): Promise<readonly PeriodCount[]> {
  return runner.run(({ total }) =>
    total
      .find(
        { _id: { $gte: `${kind} `, $lt: `${kind} ${period}` }, count: { $ne: 0 } },
        { ...runner.bound, sort: { _id: 1 }, limit: MAX_TOTALS, batchSize: MAX_TOTALS + 1 },
      )
      .toArray(),
  );
}

function summed(counts: readonly PeriodCount[]): readonly PeriodCount[] {
  const sums = new Map<string, PeriodCount>();
  for (const one of counts) {
    const key = `${one.period} ${one.metric}`;
    sums.set(key, { ...one, count: one.count + (sums.get(key)?.count ?? 0) });
  }
  return Array.from(sums.values());
}
