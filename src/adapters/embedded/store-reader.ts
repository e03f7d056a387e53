import type { DatabaseSync } from "node:sqlite";
import { hourWindow } from "../../domain/retention.ts";
import { averageOf } from "../../domain/summary.ts";
import type {
  Account,
  AccountFilter,
  MetricSummary,
  MetricTotal,
  Page,
  PerUserFilter,
  PeriodCount,
  PeriodFilter,
  UserTotal,
} from "../../ports/store.ts";
import { openStoreDatabase } from "./store-schema.ts";

// Each half of a sum stays far below 2^53 (see domain/summary.ts), in a table and summed over an hour.
const summary = `min(minimum) AS minimum, max(maximum) AS maximum,
  sum(sum_high) AS sum_high, sum(sum_low) AS sum_low, sum(count) AS count`;

function prepareAll(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    selectTotals: prepare(`
  SELECT metric, ${summary} FROM hourly_total WHERE second > $after AND second <= $upTo AND ($fromMetric IS NULL OR metric > $fromMetric)
  GROUP BY metric ORDER BY metric LIMIT $limit`),
    selectTotalsByCount: prepare(`
  SELECT metric, ${summary} FROM hourly_total WHERE second > $after AND second <= $upTo
  GROUP BY metric ORDER BY sum(count) DESC, metric LIMIT $limit`),
    selectPerUser: prepare(`
  SELECT username, metric, ${summary} FROM hourly_log
  WHERE second > $after AND second <= $upTo
    AND ($username IS NULL OR username = $username) AND ($metric IS NULL OR metric = $metric)
    AND ($fromUsername IS NULL OR (username, metric) > ($fromUsername, $fromMetric))
  GROUP BY username, metric ORDER BY username, metric LIMIT $limit`),
    selectPeriods: prepare(`
  SELECT substr(period, 1, $length) AS p, metric, sum(count) AS count FROM distinct_name
  WHERE length(period) >= $length
    AND ($from IS NULL OR substr(period, 1, $length) >= $from)
    AND ($to IS NULL OR substr(period, 1, $length) <= $to)
    AND ($fromPeriod IS NULL OR (substr(period, 1, $length), metric) > ($fromPeriod, $fromMetric))
  GROUP BY p, metric ORDER BY p, metric LIMIT $limit`),
    selectAccount: prepare("SELECT username, first_seen FROM account WHERE username = ?"),
    selectErasures: prepare("SELECT number FROM erasure"),
    selectAccounts: prepare(`
  SELECT username, first_seen FROM account
  WHERE first_seen >= $since AND (first_seen, username) > ($fromSeen, $fromUsername)
  ORDER BY first_seen, username LIMIT $limit`),
  };
}

type Row = Readonly<Record<string, unknown>>;
function summaryOf(row: Row): MetricSummary {
  const count = Number(row["count"]);
  const sum = { sumHigh: Number(row["sum_high"]), sumLow: Number(row["sum_low"]) };
  return {
    minimum: Number(row["minimum"]),
    maximum: Number(row["maximum"]),
    average: averageOf(sum, count),
    count,
  };
}
const totalOf = (row: Row): MetricTotal => ({ metric: String(row["metric"]), ...summaryOf(row) });
const accountOf = (row: Row): Account => ({
  username: String(row["username"]),
  firstSeenMs: Number(row["first_seen"]),
});

const CACHE_KIB = 4096;

/** The store as the query role sees it. Runs in a thread: see serve.ts for its transactions. */
export class StoreReader {
  readonly database: DatabaseSync;
  readonly mode = "read";
  readonly code = "STORE_UNAVAILABLE";
  readonly #sql: ReturnType<typeof prepareAll>;

  constructor(dataDir: string) {
    this.database = openStoreDatabase(dataDir, CACHE_KIB);
    this.#sql = prepareAll(this.database);
  }

  erasures(): number {
    return Number(this.#sql.selectErasures.get()?.["number"]);
  }

  hourlyTotals(page: Page<{ readonly metric: string }>, nowMs: number): readonly MetricTotal[] {
    const rows = this.#sql.selectTotals.all({
      ...hourWindow(nowMs),
      fromMetric: page.after?.metric ?? null,
      limit: page.limit,
    });
    return rows.map(totalOf);
  }

  hourlyTotalsByCount(limit: number, nowMs: number): readonly MetricTotal[] {
    return this.#sql.selectTotalsByCount.all({ ...hourWindow(nowMs), limit }).map(totalOf);
  }

  hourlyPerUser({ username, metric, page }: PerUserFilter, nowMs: number): readonly UserTotal[] {
    const rows = this.#sql.selectPerUser.all({
      ...hourWindow(nowMs),
      username: username ?? null,
      metric: metric ?? null,
      fromUsername: page.after?.username ?? null,
      fromMetric: page.after?.metric ?? null,
      limit: page.limit,
    });
    return rows.map((row) => ({
      username: String(row["username"]),
      metric: String(row["metric"]),
      ...summaryOf(row),
    }));
  }

  distinctNames({ granularity, from, to, page }: PeriodFilter): readonly PeriodCount[] {
    const rows = this.#sql.selectPeriods.all({
      length: granularity === "day" ? 10 : 7,
      from: from ?? null,
      to: to ?? null,
      fromPeriod: page.after?.period ?? null,
      fromMetric: page.after?.metric ?? null,
      limit: page.limit,
    });
    return rows.map((row) => ({
      period: String(row["p"]),
      metric: String(row["metric"]),
      count: Number(row["count"]),
    }));
  }

  account(username: string): Account | undefined {
    const row = this.#sql.selectAccount.get(username);
    return row === undefined ? undefined : accountOf(row);
  }

  accounts({ sinceMs, page }: AccountFilter): readonly Account[] {
    const rows = this.#sql.selectAccounts.all({
      since: sinceMs ?? 0,
      fromSeen: page.after?.firstSeenMs ?? -1,
      fromUsername: page.after?.username ?? "",
      limit: page.limit,
    });
    return rows.map(accountOf);
  }

  /** Reads, and so fails as any other question would. */
  ready(): void {
    this.#sql.selectAccount.get("");
  }

  close(): void {
    this.database.close();
  }
}
