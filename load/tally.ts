import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Of the original load test: one event in 21 is of this account and metric, which others may use as well. */
export const KODINGBOT = "kodingbot";
export const KITE_CALL = "kite_call";

/** What the users know of the events of one username and metric. */
export interface Row {
  readonly username: string;
  readonly metric: string;
  count: number;
  sum: number;
  minimum: number;
  maximum: number;
  firstMs: number;
  /** Events besides these that may have been counted, or not. */
  unknown: number;
}
export interface Day {
  readonly metric: string;
  /** Such as `2026-11-30`, in UTC. */
  readonly day: string;
  count: number;
  unknown: number;
}
/** A line of Locust's statistics; times in milliseconds. */
export interface Line {
  readonly name: string;
  readonly requests: number;
  readonly failures: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}
/** Of the test that has ended last. */
export interface Statistics {
  readonly seconds: number;
  readonly lines: readonly Line[];
  readonly failures: readonly { readonly name: string; readonly error: string; readonly times: number }[];
  /** Errors of the load test itself. */
  readonly raised: readonly string[];
}

/** All that was sent since Locust was started. */
export interface Tally {
  acknowledged: number;
  refused: number;
  requests: number;
  /** Requests that were told to come again, and those without an answer: both were repeated with the same ids. */
  waits: number;
  lost: number;
  unknown: number;
  readonly rows: ReadonlyMap<string, Row>;
  readonly days: ReadonlyMap<string, Day>;
  statistics: Statistics;
}

/** As tally.py writes it. */
interface Written {
  readonly acknowledged: number;
  readonly refused: number;
  readonly requests: number;
  readonly waits: number;
  readonly lost: number;
  readonly unknown: readonly [username: string, metric: string, day: number][];
  readonly rows: readonly [
    username: string,
    metric: string,
    count: number,
    sum: number,
    minimum: number,
    maximum: number,
    firstMs: number,
  ][];
  readonly days: readonly [metric: string, day: number, count: number][];
  readonly statistics: Partial<Statistics>;
}

const DAY_MS = 86_400_000;
export const dayOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);
export const keyOf = (...names: readonly string[]): string => names.join("\0");

const tallies = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => /^tally-\d+\.json$/.test(name));

/** When a tally was last written, in milliseconds since 1970; 0 where none was. */
export async function tallyWrittenMs(folder: string): Promise<number> {
  const times = (await tallies(folder)).map(async (name) => (await stat(join(folder, name))).mtimeMs);
  return Math.max(0, ...(await Promise.all(times)));
}

/** Whether a test is under way, whose events are in no tally yet. */
export function testRuns(folder: string): boolean {
  return existsSync(join(folder, "running"));
}

/** Undefined where nothing was written yet, as when no test was started. */
export async function readTally(folder: string): Promise<Tally | undefined> {
  const names = await tallies(folder);
  if (names.length === 0) return undefined;
  const rows = new Map<string, Row>();
  const days = new Map<string, Day>();
  const tally: Tally = {
    ...{ acknowledged: 0, refused: 0, requests: 0, waits: 0, lost: 0, unknown: 0, rows, days },
    statistics: { seconds: 0, lines: [], failures: [], raised: [] },
  };
  for (const name of names) {
    const written = JSON.parse(await readFile(join(folder, name), "utf8")) as Written;
    tally.acknowledged += written.acknowledged;
    tally.refused += written.refused;
    tally.requests += written.requests;
    tally.waits += written.waits;
    tally.lost += written.lost;
    tally.unknown += written.unknown.length;
    tally.statistics = { ...tally.statistics, ...written.statistics };
    addTo(rows, days, written);
  }
  return tally;
}

function addTo(rows: Map<string, Row>, days: Map<string, Day>, written: Written): void {
  const rowOf = (username: string, metric: string): Row => {
    const none = { count: 0, sum: 0, minimum: Infinity, maximum: -Infinity, firstMs: Infinity, unknown: 0 };
    const row = rows.get(keyOf(username, metric)) ?? { username, metric, ...none };
    rows.set(keyOf(username, metric), row);
    return row;
  };
  const dayRowOf = (metric: string, number: number): Day => {
    const day = dayOf(number * DAY_MS);
    const row = days.get(keyOf(metric, day)) ?? { metric, day, count: 0, unknown: 0 };
    days.set(keyOf(metric, day), row);
    return row;
  };
  for (const [username, metric, count, sum, minimum, maximum, firstMs] of written.rows) {
    const row = rowOf(username, metric);
    row.count += count;
    row.sum += sum;
    row.minimum = Math.min(row.minimum, minimum);
    row.maximum = Math.max(row.maximum, maximum);
    row.firstMs = Math.min(row.firstMs, firstMs);
  }
  for (const [metric, number, count] of written.days) dayRowOf(metric, number).count += count;
  for (const [username, metric, number] of written.unknown) {
    rowOf(username, metric).unknown += 1;
    dayRowOf(metric, number).unknown += 1;
  }
}

/** Rows that share a name, as one. */
export function merged(rows: Iterable<Row>, nameOf: (row: Row) => string): ReadonlyMap<string, Row> {
  const found = new Map<string, Row>();
  for (const row of rows) {
    const name = nameOf(row);
    const known = found.get(name);
    if (known === undefined) {
      found.set(name, { ...row });
      continue;
    }
    known.count += row.count;
    known.sum += row.sum;
    known.minimum = Math.min(known.minimum, row.minimum);
    known.maximum = Math.max(known.maximum, row.maximum);
    known.firstMs = Math.min(known.firstMs, row.firstMs);
    known.unknown += row.unknown;
  }
  return found;
}
