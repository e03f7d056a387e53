import type { Document } from "mongodb";
import { DAY_MS } from "../../domain/distinct-name.ts";
import type { HourlyEntry } from "../../domain/hourly-log.ts";
import { hourWindow } from "../../domain/retention.ts";
import { averageOf, merge } from "../../domain/summary.ts";
import { MillraceError } from "../../errors.ts";
import type { MetricSummary, MetricTotal, Page, PerUserFilter, UserTotal } from "../../ports/store.ts";
import type { Connection } from "./connection.ts";
import { cut, documentId, partsOf, textBytes } from "./document-id.ts";
import { assertThere, type Insert, insertOf, insertsInto } from "./inserts.ts";
import type { HourlyDocument, HourlyTotal } from "./schema.ts";
import { wholeNumber } from "./whole-number.ts";

const ROW_BYTES = 160;
const bytesOf = ({ username, metric }: Pick<HourlyEntry, "username" | "metric">): number =>
  ROW_BYTES + textBytes(username) + textBytes(metric);
/** A document is of use for an hour after its last second; then a day more, as a clock may be off. */
const KEEP_MS = 3_600_000 + DAY_MS;
const LATEST_SECOND = (8.64e15 - KEEP_MS) / 1000;

/** One document a message, never changed; it leaves the hour as a whole, when the message has nothing left to show. */
export function hourlyEntriesIn(
  connection: Connection,
): (messageId: string, entries: readonly HourlyEntry[], nowMs: number) => Promise<void> {
  const inserts = insertsInto(connection, ({ hourlyLog }) => hourlyLog);
  return async (messageId, entries, nowMs) => {
    const { after } = hourWindow(nowMs);
    // Cut before what is too old is left out: each part is the same whenever it is written.
    const cuts = cut(entries.map(checked), bytesOf).map((part, index) => ({
      _id: documentId(messageId, index),
      users: part.filter(({ second }) => second > after),
    }));
    // Nothing, where every entry is too old to be ever shown again.
    const left = cuts.filter(({ users }) => users.length > 0);
    const last = left.flatMap(({ users }) => users).reduce((most, { second }) => Math.max(most, second), 0);
    const shared = {
      last,
      expiresAt: new Date(last * 1000 + KEEP_MS),
      ...partsOf(left.map(({ _id }) => _id)),
    };
    assertThere(await inserts.write(left.map((one) => insertFor({ ...one, ...shared }))));
  };
}

function checked(entry: HourlyEntry): HourlyEntry {
  const { metric, username } = entry;
  const second = wholeNumber(entry.second, "second");
  if (Math.abs(second) > LATEST_SECOND)
    throw new MillraceError("CHANGE_REFUSED", `second ${second} is in no calendar`);
  return {
    second,
    metric,
    username,
    minimum: wholeNumber(entry.minimum, "minimum"),
    maximum: wholeNumber(entry.maximum, "maximum"),
    sumHigh: wholeNumber(entry.sumHigh, "sumHigh"),
    sumLow: wholeNumber(entry.sumLow, "sumLow"),
    count: wholeNumber(entry.count, "count"),
  };
}

function insertFor(document: Omit<HourlyDocument, "totals">): Insert<HourlyDocument> {
  const { users } = document;
  const bytes = users.reduce((sum, entry) => sum + 2 * bytesOf(entry), 0);
  return insertOf({ ...document, totals: totalsOf(users) }, bytes);
}

function totalsOf(entries: readonly HourlyEntry[]): readonly HourlyTotal[] {
  const totals = new Map<string, HourlyTotal>();
  for (const { username: _, ...entry } of entries) {
    const key = `${entry.second}\0${entry.metric}`;
    const total = totals.get(key);
    totals.set(key, total === undefined ? entry : { ...entry, ...merge(total, entry) });
  }
  return Array.from(totals.values());
}

/** What a group of rows comes to. Each half of a sum stays far below 2^53: see domain/summary.ts. */
const summed = {
  minimum: { $min: "$row.minimum" },
  maximum: { $max: "$row.maximum" },
  sumHigh: { $sum: "$row.sumHigh" },
  sumLow: { $sum: "$row.sumLow" },
  count: { $sum: "$row.count" },
};

export async function hourlyTotals(
  connection: Connection,
  { limit, after }: Page<{ readonly metric: string }>,
  nowMs: number,
): Promise<readonly MetricTotal[]> {
  const match = after === undefined ? {} : { "row.metric": { $gt: after.metric } };
  return grouped(connection, rowsOf("totals", match, nowMs), { _id: 1 }, limit);
}

export async function hourlyTotalsByCount(
  connection: Connection,
  limit: number,
  nowMs: number,
): Promise<readonly MetricTotal[]> {
  return grouped(connection, rowsOf("totals", {}, nowMs), { count: -1, _id: 1 }, limit);
}

async function grouped(
  connection: Connection,
  rows: readonly Document[],
  order: Document,
  limit: number,
): Promise<readonly MetricTotal[]> {
  const groups = await connection.run(({ hourlyLog }) =>
    hourlyLog
      .aggregate(
        [...rows, { $group: { _id: "$row.metric", ...summed } }, { $sort: order }, { $limit: limit }],
        { ...connection.bound, allowDiskUse: true, batchSize: limit + 1 },
      )
      .toArray(),
  );
  return groups.map((group) => ({ metric: String(group["_id"]), ...summaryOf(group) }));
}

export async function hourlyPerUser(
  connection: Connection,
  { username, metric, page: { limit, after } }: PerUserFilter,
  nowMs: number,
): Promise<readonly UserTotal[]> {
  const bounds: Document[] = [];
  if (username !== undefined) bounds.push({ "row.username": username });
  if (metric !== undefined) bounds.push({ "row.metric": metric });
  if (after !== undefined) {
    bounds.push({
      $or: [
        { "row.username": { $gt: after.username } },
        { "row.username": after.username, "row.metric": { $gt: after.metric } },
      ],
    });
  }
  const groups = await connection.run(({ hourlyLog }) =>
    hourlyLog
      .aggregate(
        [
          ...rowsOf("users", bounds.length === 0 ? {} : { $and: bounds }, nowMs),
          { $group: { _id: { username: "$row.username", metric: "$row.metric" }, ...summed } },
          { $sort: { "_id.username": 1, "_id.metric": 1 } },
          { $limit: limit },
        ],
        { ...connection.bound, allowDiskUse: true, batchSize: limit + 1 },
      )
      .toArray(),
  );
  return groups.map((group) => ({
    username: String(group["_id"].username),
    metric: String(group["_id"].metric),
    ...summaryOf(group),
  }));
}

/** The rows of one kind that are in the hour, exactly, and match. */
function rowsOf(kind: "totals" | "users", match: Document, nowMs: number): Document[] {
  const { after, upTo } = hourWindow(nowMs);
  return [
    { $match: { last: { $gt: after } } },
    { $project: { _id: 0, row: `$${kind}` } },
    { $unwind: "$row" },
    { $match: { "row.second": { $gt: after, $lte: upTo }, ...match } },
  ];
}

function summaryOf(group: Document): MetricSummary {
  const count = Number(group["count"]);
  const sum = { sumHigh: Number(group["sumHigh"]), sumLow: Number(group["sumLow"]) };
  return {
    minimum: Number(group["minimum"]),
    maximum: Number(group["maximum"]),
    average: averageOf(sum, count),
    count,
  };
}
