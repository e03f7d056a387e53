import type { DatabaseSync } from "node:sqlite";
import type { Change } from "../../domain/projection.ts";
import { projectionNames } from "../../domain/projection.ts";
import { hourWindow } from "../../domain/retention.ts";
import { merge, type Summary } from "../../domain/summary.ts";
import type { Claim } from "../../ports/store.ts";
import { anyDigest, digestOf } from "./erased-claim.ts";
import { openStoreDatabase } from "./store-schema.ts";

const mergeSummary = `ON CONFLICT DO UPDATE SET
  minimum = min(minimum, excluded.minimum), maximum = max(maximum, excluded.maximum),
  sum_high = sum_high + excluded.sum_high, sum_low = sum_low + excluded.sum_low, count = count + excluded.count`;

function prepareAll(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  const expire = (table: string) =>
    prepare(
      `DELETE FROM ${table} WHERE at < ?1 AND rowid IN (SELECT rowid FROM ${table} ORDER BY rowid LIMIT ?2)`,
    );
  return {
    insertClaim: prepare(
      "INSERT INTO claim (event_id, projection, message_id, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    ),
    selectClaim: prepare("SELECT message_id FROM claim WHERE event_id = ? AND projection = ?"),
    anyDigest: prepare(anyDigest),
    insertApplied: prepare(
      "INSERT INTO applied (message_id, projection, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    ),
    upsertAccount: prepare(`
  INSERT INTO account (username, first_seen) VALUES (?, ?)
  ON CONFLICT DO UPDATE SET first_seen = excluded.first_seen WHERE excluded.first_seen < first_seen`),
    upsertPeriod: prepare(`
  INSERT INTO distinct_name (period, metric, count) VALUES (?, ?, ?)
  ON CONFLICT DO UPDATE SET count = count + excluded.count`),
    upsertHourly: prepare(`INSERT INTO hourly_log VALUES (?, ?, ?, ?, ?, ?, ?, ?) ${mergeSummary}`),
    upsertTotal: prepare(`INSERT INTO hourly_total VALUES (?, ?, ?, ?, ?, ?, ?) ${mergeSummary}`),
    takeLease: prepare(`
  INSERT INTO lease (name, holder, until) VALUES (?1, ?2, ?3)
  ON CONFLICT DO UPDATE SET holder = ?2, until = ?3 WHERE holder = ?2 OR until <= ?4`),
    dropLease: prepare("DELETE FROM lease WHERE name = ? AND holder = ?"),
    expireHourly: prepare(`
  DELETE FROM hourly_log WHERE (second, metric, username) IN
    (SELECT second, metric, username FROM hourly_log WHERE second <= ? ORDER BY 1, 2, 3 LIMIT ?)`),
    expireTotals: prepare("DELETE FROM hourly_total WHERE second <= ?"),
    mergeDays: prepare(`
  INSERT INTO distinct_name (period, metric, count)
  SELECT substr(period, 1, 7), metric, sum(count) FROM distinct_name
  WHERE length(period) = 10 AND period < ? GROUP BY 1, 2
  ON CONFLICT DO UPDATE SET count = count + excluded.count`),
    dropDays: prepare("DELETE FROM distinct_name WHERE length(period) = 10 AND period < ?"),
    dropMonths: prepare("DELETE FROM distinct_name WHERE length(period) = 7 AND period < ?"),
    expireClaims: expire("claim"),
    expireApplied: expire("applied"),
  };
}

const CACHE_KIB = 8192;

/** The store as its workers and sweeper see it. Runs in a thread: see serve.ts for its transactions. */
export class StoreWriter {
  readonly database: DatabaseSync;
  readonly mode = "write";
  readonly code = "STORE_UNAVAILABLE";
  readonly refusal = "CHANGE_REFUSED";
  readonly #sql: ReturnType<typeof prepareAll>;

  constructor(dataDir: string) {
    this.database = openStoreDatabase(dataDir, CACHE_KIB);
    this.#sql = prepareAll(this.database);
  }

  claim({ projection, messageId, eventIds }: Claim, nowMs: number): readonly string[] {
    const index = projectionNames.indexOf(projection);
    const digested = this.#sql.anyDigest.get() !== undefined;
    return eventIds.filter((eventId) => {
      const erased = digested ? this.#sql.selectClaim.get(digestOf(eventId), index) : undefined;
      if (erased !== undefined) return erased["message_id"] !== messageId;
      if (this.#sql.insertClaim.run(eventId, index, messageId, nowMs).changes === 1) return false;
      return this.#sql.selectClaim.get(eventId, index)?.["message_id"] !== messageId;
    });
  }

  apply(change: Change, nowMs: number): void {
    if (change.projection === "accountName") {
      // The minimum is idempotent by nature: no need to know the message again.
      for (const { username, firstSeenMs } of change.sightings)
        this.#sql.upsertAccount.run(username, firstSeenMs);
      return;
    }
    const index = projectionNames.indexOf(change.projection);
    if (this.#sql.insertApplied.run(change.messageId, index, nowMs).changes === 0) return;
    if (change.projection === "distinctName") {
      for (const { day, metric, count } of change.counts) this.#sql.upsertPeriod.run(day, metric, count);
    } else {
      this.#applyHourlyLog(change, nowMs);
    }
  }

  acquireLease(name: string, holder: string, untilMs: number, nowMs: number): boolean {
    return this.#sql.takeLease.run(name, holder, untilMs, nowMs).changes === 1;
  }

  releaseLease(name: string, holder: string): void {
    this.#sql.dropLease.run(name, holder);
  }

  expireHourlyLog(upToSecond: number, limit: number): number {
    this.#sql.expireTotals.run(upToSecond);
    return Number(this.#sql.expireHourly.run(upToSecond, limit).changes);
  }

  expireMarks(beforeMs: number, limit: number): number {
    return (
      Number(this.#sql.expireClaims.run(beforeMs, limit).changes) +
      Number(this.#sql.expireApplied.run(beforeMs, limit).changes)
    );
  }

  mergeMonths(firstDayKept: string): number {
    this.#sql.mergeDays.run(firstDayKept);
    return Number(this.#sql.dropDays.run(firstDayKept).changes);
  }

  discardMonths(firstMonthKept: string): number {
    return Number(this.#sql.dropMonths.run(firstMonthKept).changes);
  }

  ready(): void {}

  close(): void {
    this.database.close();
  }

  #applyHourlyLog({ entries }: Extract<Change, { projection: "hourlyLog" }>, nowMs: number): void {
    const { after } = hourWindow(nowMs);
    const totals = new Map<string, { second: number; metric: string; summary: Summary }>();
    for (const entry of entries) {
      // Too old to be ever shown again.
      if (entry.second <= after) continue;
      const { second, metric, username, minimum, maximum, sumHigh, sumLow, count } = entry;
      this.#sql.upsertHourly.run(second, metric, username, minimum, maximum, sumHigh, sumLow, count);
      const key = `${second}\0${metric}`;
      const total = totals.get(key);
      if (total === undefined) totals.set(key, { second, metric, summary: entry });
      else total.summary = merge(total.summary, entry);
    }
    for (const { second, metric, summary } of totals.values()) {
      const { minimum, maximum, sumHigh, sumLow, count } = summary;
      this.#sql.upsertTotal.run(second, metric, minimum, maximum, sumHigh, sumLow, count);
    }
  }
}
