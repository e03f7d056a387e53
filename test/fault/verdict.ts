import {
  type AccountRow,
  type MetricRow,
  type SummaryRow,
  type UserRow,
  accounts,
  distinctNames,
  hourlyPerUser,
  hourlyTotals,
} from "../flow/views.ts";
import type { Ledger, Posted } from "./ledger.ts";

export interface Verdict {
  /** Events counted in each view: usernames in the account view. */
  readonly counted: {
    readonly accountName: number;
    readonly distinctName: number;
    readonly hourlyTotal: number;
    readonly hourlyPerUser: number;
  };
  /** Not there (yet). */
  readonly missing: readonly string[];
  /** There, though it must not be, or not like that. Waiting does not mend these. */
  readonly wrong: readonly string[];
}

/** Where to ask for the views, and how many rows a page has of those that are long; by default what any query process allows. */
export interface Views {
  readonly queryUrl: string;
  readonly pageRows?: number | undefined;
}

/** Events that the views which count by metric lack. Cheap, so it is what to ask while work is under way. */
export async function missingByMetric(ledger: Ledger, { queryUrl }: Views): Promise<readonly string[]> {
  return (await compareMetricViews(ledger, queryUrl)).missing;
}

/** Compares every row of all three views with what the client knows. */
export async function compare(ledger: Ledger, views: Views): Promise<Verdict> {
  const { distinctName, hourlyTotal, ...found } = await compareMetricViews(ledger, views.queryUrl);
  const perUser = await comparePerUser(ledger, views, found);
  const accountName = await compareAccounts(ledger, views, found);
  return { counted: { accountName, distinctName, hourlyTotal, hourlyPerUser: perUser }, ...found };
}

async function compareMetricViews(
  ledger: Ledger,
  queryUrl: string,
): Promise<Findings & { readonly distinctName: number; readonly hourlyTotal: number }> {
  const found: Findings = { missing: [], wrong: [] };
  const distinctName = compareMetrics("distinctName", await distinctByMetric(queryUrl), ledger, found);
  const totals = await hourlyTotals(queryUrl);
  const hourlyTotal = compareMetrics("hourlyLog total", countsOf(totals, found), ledger, found);
  compareSums(totals, ledger, found);
  return { distinctName, hourlyTotal, ...found };
}

interface Findings {
  readonly missing: string[];
  readonly wrong: string[];
}

async function distinctByMetric(queryUrl: string): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  // A run may go over midnight, and then a metric has two days.
  for (const { metric, count } of await distinctNames(queryUrl)) {
    counts.set(metric, (counts.get(metric) ?? 0) + count);
  }
  return counts;
}

function countsOf(totals: readonly MetricRow[], found: Findings): ReadonlyMap<string, number> {
  const counts = new Map(totals.map((row) => [row.metric, row.count]));
  if (counts.size < totals.length) found.wrong.push("hourlyLog total: a metric has two rows");
  return counts;
}

/** Each metric holds its acknowledged events, and at most its unknown ones besides. Resolves to the events counted. */
function compareMetrics(
  view: string,
  counts: ReadonlyMap<string, number>,
  ledger: Ledger,
  { missing, wrong }: Findings,
): number {
  const bounds = new Map<string, { least: number; most: number }>();
  for (const { metric, state } of ledger.all()) {
    const bound = bounds.get(metric) ?? { least: 0, most: 0 };
    if (state === "acknowledged") bound.least += 1;
    if (state === "acknowledged" || state === "unknown") bound.most += 1;
    bounds.set(metric, bound);
  }
  let sum = 0;
  for (const [metric, count] of counts) {
    sum += count;
    const most = bounds.get(metric)?.most ?? 0;
    if (count > most)
      wrong.push(`${view}: ${metric} counts ${count}, more than the ${most} that were posted`);
  }
  for (const [metric, { least }] of bounds) {
    const count = counts.get(metric) ?? 0;
    if (count < least)
      missing.push(`${view}: ${metric} counts ${count}, less than the ${least} acknowledged`);
  }
  return sum;
}

/** Where every event is acknowledged, the summary of a metric is known to the digit. */
function compareSums(totals: readonly MetricRow[], ledger: Ledger, { wrong }: Findings): void {
  const sums = new Map<string, { sum: number; minimum: number; maximum: number; count: number }>();
  for (const { intent, state, metric, count } of ledger.all()) {
    if (intent !== "sure" || state !== "acknowledged") continue;
    const sum = sums.get(metric) ?? { sum: 0, minimum: count, maximum: count, count: 0 };
    sum.sum += count;
    sum.count += 1;
    sum.minimum = Math.min(sum.minimum, count);
    sum.maximum = Math.max(sum.maximum, count);
    sums.set(metric, sum);
  }
  for (const row of totals) {
    const sum = sums.get(row.metric);
    if (sum === undefined || sum.count !== row.count) continue;
    const average = sum.sum / sum.count;
    const near = Math.abs(row.average - average) <= 1e-9 * Math.max(1, Math.abs(average));
    if (near && row.minimum === sum.minimum && row.maximum === sum.maximum) continue;
    wrong.push(`hourlyLog total: ${JSON.stringify(row)}, and not ${JSON.stringify({ ...sum, average })}`);
  }
}

async function comparePerUser(
  ledger: Ledger,
  { queryUrl, pageRows }: Views,
  found: Findings,
): Promise<number> {
  const seen = new Set<string>();
  let sum = 0;
  for await (const row of hourlyPerUser(queryUrl, pageRows)) {
    sum += row.count;
    const fault = perUserFault(row, ledger.find(row.username), seen);
    if (fault !== undefined) found.wrong.push(`hourlyLog per user: ${fault}: ${JSON.stringify(row)}`);
    seen.add(row.username);
  }
  missingFrom("hourlyLog per user", seen, ledger, found);
  return sum;
}

function perUserFault(
  row: UserRow,
  posted: Posted | undefined,
  seen: ReadonlySet<string>,
): string | undefined {
  const fault = presenceFault(posted, row.username, seen);
  if (posted === undefined || fault !== undefined) return fault;
  if (row.metric !== posted.metric) return "wrong metric";
  if (row.count !== 1) return `counted ${row.count} times`;
  const figures: readonly (keyof SummaryRow)[] = ["minimum", "maximum", "average"];
  return figures.every((figure) => row[figure] === posted.count) ? undefined : `not ${posted.count}`;
}

async function compareAccounts(
  ledger: Ledger,
  { queryUrl, pageRows }: Views,
  found: Findings,
): Promise<number> {
  const seen = new Set<string>();
  for await (const row of accounts(queryUrl, pageRows)) {
    const fault = accountFault(row, ledger.find(row.username), seen);
    if (fault !== undefined) found.wrong.push(`accountName: ${fault}: ${JSON.stringify(row)}`);
    seen.add(row.username);
  }
  missingFrom("accountName", seen, ledger, found);
  return seen.size;
}

function accountFault(
  row: AccountRow,
  posted: Posted | undefined,
  seen: ReadonlySet<string>,
): string | undefined {
  const fault = presenceFault(posted, row.username, seen);
  if (fault !== undefined || posted?.atMs === undefined) return fault;
  return Date.parse(row.firstSeen) === posted.atMs
    ? undefined
    : `first seen ${new Date(posted.atMs).toISOString()}`;
}

function presenceFault(
  posted: Posted | undefined,
  username: string,
  seen: ReadonlySet<string>,
): string | undefined {
  if (posted === undefined) return "never posted";
  if (posted.intent === "bad" || posted.state === "refused") return "refused, and there all the same";
  return seen.has(username) ? "listed twice" : undefined;
}

function missingFrom(view: string, seen: ReadonlySet<string>, ledger: Ledger, { missing }: Findings): void {
  for (const { state, username } of ledger.all()) {
    if (state === "acknowledged" && !seen.has(username)) missing.push(`${view}: no ${username}`);
  }
}
