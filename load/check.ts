import { setTimeout as sleep } from "node:timers/promises";
import { type Day, dayOf, KITE_CALL, keyOf, KODINGBOT, merged, type Row, type Tally } from "./tally.ts";
import { tell } from "./tell.ts";
import type { Baseline, Summary, UserRow, Views } from "./views.ts";

export interface CheckOptions {
  readonly views: Views;
  /** What the names of this run begin with. */
  readonly run: string;
  /** Nobody else has sent events to it: what is in the views and not in the tally is wrong. */
  readonly fresh: boolean;
  readonly baseline: Baseline;
  readonly patienceSeconds: number;
  /** Whether there are events of the run by now that the tally does not have. */
  superseded(): boolean;
}
/** What each view holds of the run, and what it should: events, and usernames in accountName. */
export interface Counted {
  readonly view: "accountName" | "distinctName" | "hourlyLog total" | "hourlyLog per user";
  readonly counted: number;
  readonly acknowledged: number;
}
export interface Verdict {
  readonly counted: readonly Counted[];
  /** Rows that are not as the tally has them. */
  readonly off: readonly string[];
  /** Why a view was not compared. */
  readonly left: readonly string[];
}

const PAUSE_MS = 500;
const TELL_EVERY_MS = 5000;
/** A message that was counted may come again: this long after all are there, they must still be there once. */
const REDELIVERY_MS = 3000;
/** Of the views of the last hour: beyond it, the first events of the run may leave while it is read. */
const HOURLY_REACH_MS = 55 * 60_000;

/** Waits until the views have what was acknowledged, or gain nothing more; then compares every row of the run. Undefined once superseded. */
export async function check(tally: Tally, options: CheckOptions): Promise<Verdict | undefined> {
  const expected = expectedOf(tally);
  const patienceMs = options.patienceSeconds * 1000;
  await settled(expected, tally.acknowledged, options, patienceMs);
  await sleep(REDELIVERY_MS);
  tell("comparing every row");
  let least = { off: Infinity, atMs: performance.now() };
  for (;;) {
    const verdict = await compare(expected, options);
    if (options.superseded()) return undefined;
    if (verdict.off.length < least.off) least = { off: verdict.off.length, atMs: performance.now() };
    if (verdict.off.length === 0 || performance.now() - least.atMs > patienceMs) return verdict;
    tell(`${verdict.off.length} rows are not as they should be, first: ${verdict.off[0]}`);
    await sleep(4 * PAUSE_MS);
  }
}

/** What the views should show of the run. */
interface Expected {
  readonly firstMs: number;
  readonly perUser: ReadonlyMap<string, Row>;
  readonly totals: ReadonlyMap<string, Row>;
  readonly accounts: ReadonlyMap<string, Row>;
  readonly days: ReadonlyMap<string, Day>;
}

function expectedOf(tally: Tally): Expected {
  const rows = Array.from(tally.rows.values());
  return {
    firstMs: rows.reduce((first, row) => Math.min(first, row.firstMs), Date.now()),
    perUser: tally.rows,
    totals: merged(rows, ({ metric }) => metric),
    accounts: merged(rows, ({ username }) => username),
    days: tally.days,
  };
}

async function settled(
  expected: Expected,
  acknowledged: number,
  options: CheckOptions,
  patienceMs: number,
): Promise<void> {
  let gained = { counted: -1, atMs: performance.now() };
  let toldMs = performance.now();
  for (;;) {
    const found = new Findings();
    await compareDays(expected, options, found);
    if (hourlyInReach(expected)) await compareTotals(expected, options, found);
    const counted = Math.min(...found.counted.map((one) => one.counted));
    const nowMs = performance.now();
    if (counted >= acknowledged || options.superseded()) return;
    if (counted > gained.counted) gained = { counted, atMs: nowMs };
    if (nowMs - gained.atMs > patienceMs) {
      tell(`gave up: nothing more was counted for ${options.patienceSeconds} s`);
      return;
    }
    if (nowMs - toldMs > TELL_EVERY_MS) {
      tell(`waiting for the workers: ${counted} of ${acknowledged} events are counted`);
      toldMs = nowMs;
    }
    await sleep(PAUSE_MS);
  }
}

async function compare(expected: Expected, options: CheckOptions): Promise<Verdict> {
  const found = new Findings();
  await compareAccounts(expected, options, found);
  await compareDays(expected, options, found);
  if (hourlyInReach(expected)) {
    await compareTotals(expected, options, found);
    await comparePerUser(expected, options, found);
  } else {
    found.left.push("the hourly log was not compared: the run began more than 55 minutes ago");
  }
  return found;
}

class Findings implements Verdict {
  readonly counted: Counted[] = [];
  readonly off: string[] = [];
  readonly left: string[] = [];
}

const hourlyInReach = ({ firstMs }: Expected): boolean => Date.now() - firstMs < HOURLY_REACH_MS;
const ofRun = (name: string, { run }: CheckOptions): boolean => name.startsWith(`${run}-`);
const sumOf = (rows: Iterable<{ readonly count: number }>): number =>
  Array.from(rows).reduce((sum, { count }) => sum + count, 0);

async function compareTotals(expected: Expected, options: CheckOptions, found: Findings): Promise<void> {
  const seen = await options.views.totals();
  const ours = seen.filter(({ metric }) => options.fresh || metric === KITE_CALL || ofRun(metric, options));
  compareSummaries(
    "hourlyLog total",
    { expected: expected.totals, seen: new Map(ours.map((row) => [row.metric, row])), listed: ours.length },
    options,
    found,
  );
}

async function comparePerUser(expected: Expected, options: CheckOptions, found: Findings): Promise<void> {
  const ours = await perUserOf(expected, options);
  const seen = new Map(ours.map((row) => [keyOf(row.username, row.metric), row]));
  const listed = ours.length;
  compareSummaries("hourlyLog per user", { expected: expected.perUser, seen, listed }, options, found);
}

/** All there are, or those of the run: others may have many. */
async function perUserOf(expected: Expected, { views, fresh }: CheckOptions): Promise<readonly UserRow[]> {
  if (fresh) return views.perUser({});
  const found = Array.from(await views.perUser({ username: KODINGBOT, metric: KITE_CALL }));
  for (const metric of expected.totals.keys()) {
    if (metric !== KITE_CALL) found.push(...(await views.perUser({ metric })));
  }
  return found;
}

function compareSummaries(
  view: "hourlyLog total" | "hourlyLog per user",
  rows: {
    readonly expected: ReadonlyMap<string, Row>;
    readonly seen: ReadonlyMap<string, Summary>;
    readonly listed: number;
  },
  { baseline }: CheckOptions,
  found: Findings,
): void {
  const { expected, seen, listed } = rows;
  if (seen.size < listed) found.off.push(`${view}: ${listed - seen.size} rows are listed twice`);
  for (const [key, row] of expected) {
    const fault = summaryFault(row, seen.get(key), row.metric === KITE_CALL ? baseline.hourly : 0);
    if (fault !== undefined) found.off.push(`${view}: ${named(key)} ${fault}`);
  }
  for (const [key, row] of seen) {
    if (expected.has(key) || (key.endsWith(KITE_CALL) && baseline.hourly > 0)) continue;
    found.off.push(`${view}: ${named(key)} counts ${row.count}, and was never sent`);
  }
  // Of the hour before, some may have gone since.
  const before = Math.max(0, Math.min(baseline.hourly, sumOf(seen.values()) - sumOf(expected.values())));
  const counted = sumOf(seen.values()) - before;
  found.counted.push({ view, counted, acknowledged: sumOf(expected.values()) });
}

/** `before`: events that were there before the run, any of which may have gone since. */
function summaryFault(row: Row, seen: Summary | undefined, before: number): string | undefined {
  const most = row.count + row.unknown + before;
  const count = seen?.count ?? 0;
  if (count < row.count || count > most) {
    return `counts ${count}, and ${row.count} were acknowledged${most > row.count ? ` (${most} may be there)` : ""}`;
  }
  if (seen === undefined || most > row.count) return undefined;
  const average = row.sum / row.count;
  const near = Math.abs(seen.average - average) <= 1e-9 * Math.max(1, Math.abs(average));
  if (near && seen.minimum === row.minimum && seen.maximum === row.maximum) return undefined;
  const should = { minimum: row.minimum, maximum: row.maximum, average };
  const is = { minimum: seen.minimum, maximum: seen.maximum, average: seen.average };
  return `is ${JSON.stringify(is)}, and should be ${JSON.stringify(should)}`;
}

async function compareDays(expected: Expected, options: CheckOptions, found: Findings): Promise<void> {
  const { views, baseline, fresh } = options;
  const view = "distinctName";
  const rows = await views.days(dayOf(expected.firstMs), dayOf(Date.now()));
  const before = (metric: string, day: string): number =>
    metric === KITE_CALL ? (baseline.days.get(day) ?? 0) : 0;
  const seen = new Map<string, number>();
  for (const { metric, day, count } of rows) {
    if (!fresh && metric !== KITE_CALL && !ofRun(metric, options)) continue;
    const key = keyOf(metric, day);
    if (seen.has(key)) found.off.push(`${view}: ${named(key)} is listed twice`);
    seen.set(key, count - before(metric, day));
  }
  for (const [key, row] of expected.days) {
    const count = seen.get(key) ?? 0;
    if (count >= row.count && count <= row.count + row.unknown) continue;
    found.off.push(`${view}: ${named(key)} counts ${count}, and ${row.count} were acknowledged`);
  }
  for (const [key, count] of seen) {
    if (count > 0 && !expected.days.has(key)) {
      found.off.push(`${view}: ${named(key)} counts ${count}, and was never sent`);
    }
  }
  const counted = Array.from(seen.values()).reduce((sum, count) => sum + count, 0);
  found.counted.push({ view, counted, acknowledged: sumOf(expected.days.values()) });
}

async function compareAccounts(expected: Expected, options: CheckOptions, found: Findings): Promise<void> {
  const { views, baseline, fresh } = options;
  const view = "accountName";
  const since = new Date(expected.firstMs).toISOString();
  const seen = new Map<string, string>();
  for (const { username, firstSeen } of await views.accounts(since)) {
    if (username === KODINGBOT || (!fresh && !ofRun(username, options))) continue;
    if (seen.has(username)) found.off.push(`${view}: ${username} is listed twice`);
    seen.set(username, firstSeen);
  }
  const kodingbot = await views.account(KODINGBOT);
  if (kodingbot !== undefined) seen.set(KODINGBOT, kodingbot.firstSeen);
  let counted = 0;
  let acknowledged = 0;
  for (const [username, row] of expected.accounts) {
    const firstSeen = seen.get(username);
    if (row.count > 0) acknowledged += 1;
    if (row.count > 0 && firstSeen !== undefined) counted += 1;
    const fault = accountFault(row, firstSeen, username === KODINGBOT ? baseline.firstSeen : undefined);
    if (fault !== undefined) found.off.push(`${view}: ${username} ${fault}`);
  }
  for (const username of seen.keys()) {
    if (expected.accounts.has(username) || (username === KODINGBOT && baseline.firstSeen !== undefined))
      continue;
    found.off.push(`${view}: ${username} was never sent`);
  }
  found.counted.push({ view, counted, acknowledged });
}

function accountFault(
  row: Row,
  firstSeen: string | undefined,
  before: string | undefined,
): string | undefined {
  if (firstSeen === undefined) return row.count === 0 ? undefined : "is not there";
  // One whose fate is unknown may be the first.
  if (row.unknown > 0) return undefined;
  const earliest = Math.min(row.firstMs, before === undefined ? Infinity : Date.parse(before));
  if (Date.parse(firstSeen) === earliest) return undefined;
  return `was first seen ${firstSeen}, and should be ${new Date(earliest).toISOString()}`;
}

const named = (key: string): string => key.split("\0").join(" ");
