import type { Document } from "mongodb";
import { monthOf } from "../../domain/distinct-name.ts";
import { MillraceError } from "../../errors.ts";
import type { PeriodCount, PeriodFilter } from "../../ports/store.ts";
import type { Runner } from "./connection.ts";
import type { Fold, FoldLog } from "./fold-log.ts";
import { byCodePoint, mergePage, type Source, type Window } from "./merge-page.ts";

/**
 * Totals as of the latest fold, and the parts that are still open. A fold that is being applied is in some totals already:
 * it is taken out of those and added as a whole, and its parts are left out. Where a further fold has come in between, the
 * answer is made anew.
 */
export async function periodCounts(
  runner: Runner,
  log: FoldLog,
  { granularity, from, to, page }: PeriodFilter,
): Promise<readonly PeriodCount[]> {
  const endAt = performance.now() + runner.bound.maxTimeMS;
  for (let tries = 1; ; tries += 1) {
    const fold = await log.latest();
    const sources = granularity === "day" ? daySources(runner, fold) : monthSources(runner, fold);
    const counts = await mergePage(sources, { from, to, after: page.after, limit: page.limit });
    if ((await log.latest()).number === fold.number) return counts;
    if (performance.now() > endAt) {
      throw new MillraceError("STORE_UNAVAILABLE", "its counts were being folded all the time");
    }
    await runner.pause(tries);
  }
}

function daySources(runner: Runner, fold: Fold): readonly Source[] {
  return [
    (window) => totals(runner, fold, "day", window),
    (window) => openParts(runner, fold, "$rows.day", window),
    (window) =>
      unfinished(
        fold.rows.filter(({ period }) => period.length === 10),
        window,
      ),
  ];
}

function monthSources(runner: Runner, fold: Fold): readonly Source[] {
  const rows = fold.rows.map((row) =>
    row.period.length === 10 ? { ...row, period: monthOf(row.period) } : row,
  );
  return [
    (window) => totals(runner, fold, "month", window),
    (window) => monthsOfDays(runner, fold, window),
    (window) => openParts(runner, fold, { $substrBytes: ["$rows.day", 0, 7] }, window),
    (window) => unfinished(rows, window),
  ];
}

/** Totals of one granularity. Each page is one command, and so one state of the database. */
async function totals(
  runner: Runner,
  fold: Fold,
  kind: "day" | "month",
  { from, to, after, limit }: Window,
): Promise<readonly PeriodCount[]> {
  const start =
    after === undefined
      ? { $gte: `${kind} ${from ?? ""}` }
      : { $gt: `${kind} ${after.period} ${after.metric}` };
  const ids = { ...start, $lt: `${kind} ${to ?? "~"}!` };
  const found = await runner.run(({ total }) =>
    total
      .find(
        { $and: [{ _id: ids }, shown(fold)] },
        { ...runner.bound, sort: { _id: 1 }, limit, batchSize: limit + 1 },
      )
      .toArray(),
  );
  return found.map(({ period, metric, count, upTo, last }) => ({
    period,
    metric,
    count: count - (!fold.finished && upTo === fold.number ? last : 0),
  }));
}

/** Totals of days, by their month. */
async function monthsOfDays(runner: Runner, fold: Fold, window: Window): Promise<readonly PeriodCount[]> {
  const { from, to, after } = window;
  const ids = { $gte: `day ${after?.period ?? from ?? ""}`, $lt: `day ${to ?? "~"}~` };
  const last = fold.finished ? 0 : { $cond: [{ $eq: ["$upTo", fold.number] }, "$last", 0] };
  return grouped(window, (stages) =>
    runner.run(({ total }) =>
      total
        .aggregate(
          [
            { $match: { $and: [{ _id: ids }, shown(fold)] } },
            {
              $group: {
                _id: { period: { $substrBytes: ["$period", 0, 7] }, metric: "$metric" },
                count: { $sum: { $subtract: ["$count", last] } },
              },
            },
            ...stages,
          ],
          { ...runner.bound, allowDiskUse: true, batchSize: window.limit + 1 },
        )
        .toArray(),
    ),
  );
}

/** Parts that no fold has counted, by day or month. */
async function openParts(
  runner: Runner,
  fold: Fold,
  period: string | Document,
  window: Window,
): Promise<readonly PeriodCount[]> {
  const { from, to, after } = window;
  const days: Document = { $gte: after?.period ?? from ?? "", $lt: `${to ?? "~"}~` };
  const counted = fold.parts.length === 0 ? {} : { _id: { $nin: [...fold.parts] } };
  return grouped(window, (stages) =>
    runner.run(({ distinctName }) =>
      distinctName
        .aggregate(
          [
            { $match: { open: 1, ...counted } },
            { $unwind: "$rows" },
            { $match: { "rows.day": days } },
            { $group: { _id: { period, metric: "$rows.metric" }, count: { $sum: "$rows.count" } } },
            ...stages,
          ],
          { ...runner.bound, allowDiskUse: true, batchSize: window.limit + 1 },
        )
        .toArray(),
    ),
  );
}

/** Runs an aggregation of groups `{period, metric}` with the stages that leave the window's first ones, in order. */
async function grouped(
  { after, limit }: Window,
  aggregate: (stages: Document[]) => Promise<readonly Document[]>,
): Promise<readonly PeriodCount[]> {
  const rest = {
    $or: [
      { "_id.period": { $gt: after?.period } },
      { "_id.period": after?.period, "_id.metric": { $gt: after?.metric } },
    ],
  };
  const stages = [{ $sort: { "_id.period": 1, "_id.metric": 1 } }, { $limit: limit }];
  const groups = await aggregate(after === undefined ? stages : [{ $match: rest }, ...stages]);
  return groups.map(({ _id, count }) => ({
    period: String(_id.period),
    metric: String(_id.metric),
    count: Number(count),
  }));
}

/** The rows of a fold that is not finished; one period and metric may be in several. */
async function unfinished(
  rows: readonly PeriodCount[],
  { from, to, after }: Window,
): Promise<readonly PeriodCount[]> {
  return rows
    .filter(({ period }) => (from === undefined || period >= from) && (to === undefined || period <= to))
    .filter((row) => after === undefined || byCodePoint(row, after) > 0)
    .toSorted(byCodePoint);
}

/** Totals that may have something to show: an empty one may hold the part of a fold that is taken out of it. */
function shown(fold: Fold): Document {
  const some = { count: { $ne: 0 } };
  return fold.finished ? some : { $or: [some, { upTo: fold.number }] };
}
