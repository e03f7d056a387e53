import type { Change, ProjectionName } from "../domain/projection.ts";

export interface Claim {
  readonly projection: ProjectionName;
  readonly messageId: string;
  readonly eventIds: readonly string[];
}

/** One row of an hourly-log answer. */
export interface MetricSummary {
  readonly minimum: number;
  readonly maximum: number;
  readonly average: number;
  readonly count: number;
}
export interface MetricTotal extends MetricSummary {
  readonly metric: string;
}
export interface UserTotal extends MetricTotal {
  readonly username: string;
}
export interface PeriodCount {
  readonly metric: string;
  /** `YYYY-MM-DD` or `YYYY-MM`. */
  readonly period: string;
  readonly count: number;
}
export interface Account {
  readonly username: string;
  readonly firstSeenMs: number;
}

/** A page of at most `limit` rows that come after the row named by `after`. */
export interface Page<Key> {
  readonly limit: number;
  readonly after: Key | undefined;
}

/** What the workers write. Instants are in milliseconds since 1970. */
export interface ChangeStore {
  /**
   * Claims event ids for a message in a projection. Resolves to those that another message holds: events to skip. Safe to
   * repeat: a message is given its own claims again.
   */
  claim(claim: Claim, nowMs: number): Promise<ReadonlySet<string>>;
  /**
   * Applies a change durably, once for its projection and message id; applying it again does nothing. Rejects with
   * STORE_UNAVAILABLE (try again) or CHANGE_REFUSED (never will).
   */
  apply(change: Change, nowMs: number): Promise<void>;
  /** Another number after each erasure of an account: what is remembered of accounts from before is to be forgotten. */
  erasures(): Promise<number>;
}

/** What the query role reads. An answer holds everything applied before it was asked. */
export interface ViewStore {
  /** By metric, ascending; events of the hour before `nowMs`, to the second. */
  hourlyTotals(page: Page<{ readonly metric: string }>, nowMs: number): Promise<readonly MetricTotal[]>;
  /** The same by number of events, most first, then by metric; at most `limit`. */
  hourlyTotalsByCount(limit: number, nowMs: number): Promise<readonly MetricTotal[]>;
  /** By username then metric, ascending by code point. */
  hourlyPerUser(filter: PerUserFilter, nowMs: number): Promise<readonly UserTotal[]>;
  /** By period then metric, ascending; `from` and `to` are inclusive periods of the granularity. */
  distinctNames(filter: PeriodFilter): Promise<readonly PeriodCount[]>;
  account(username: string): Promise<Account | undefined>;
  /** By first sight then username, ascending. */
  accounts(filter: AccountFilter): Promise<readonly Account[]>;
}
export interface PerUserFilter {
  readonly username: string | undefined;
  readonly metric: string | undefined;
  readonly page: Page<{ readonly username: string; readonly metric: string }>;
}
export interface PeriodFilter {
  readonly granularity: "day" | "month";
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly page: Page<{ readonly period: string; readonly metric: string }>;
}
export interface AccountFilter {
  readonly sinceMs: number | undefined;
  readonly page: Page<Account>;
}

/** What the sweeper does, while it holds the lease. Each step is safe to cut short and to repeat. */
export interface UpkeepStore {
  /** Takes or renews a lease until `untilMs`. Resolves to false while another holder has it. */
  acquireLease(name: string, holder: string, untilMs: number, nowMs: number): Promise<boolean>;
  /** Gives a lease back early; nothing happens if this holder does not have it. */
  releaseLease(name: string, holder: string): Promise<void>;
  /**
   * Deletes what of the hourly log lies wholly at or before this second. Resolves to how many rows or documents, at most
   * `limit`; fewer than that when nothing is left.
   */
  expireHourlyLog(upToSecond: number, limit: number): Promise<number>;
  /** Forgets message ids and event claims recorded before `beforeMs`. Resolves to how many, at most `limit` of each. */
  expireMarks(beforeMs: number, limit: number): Promise<number>;
  /**
   * Adds every day before `firstDayKept` to its month and removes it. Resolves to how many days and metrics. Exact whatever
   * number of callers race or die; may leave some of a great many to the next call.
   */
  mergeMonths(firstDayKept: string, nowMs: number): Promise<number>;
  /**
   * Deletes the counts of every month before `firstMonthKept` for good, and no day. Tells how many months and metrics as soon as
   * it is decided that they go, which a rejection later on does not undo. Exact whatever number of callers race or die, here or
   * in `mergeMonths`; may leave some of a great many to the next call.
   */
  discardMonths(firstMonthKept: string, nowMs: number, discarded: (counts: number) => void): Promise<void>;
  /** The time by the store's own clock, in milliseconds since 1970; undefined where it has none, or does not tell. */
  serverTime(): Promise<number | undefined>;
  /** When the oldest change was applied that `mergeMonths` has still to take up; undefined where there is none. */
  unmergedSince(): Promise<number | undefined>;
}

export interface Store extends ChangeStore, ViewStore, UpkeepStore, AsyncDisposable {
  /** Resolves when the store can read and write now; rejects with the reason why not. */
  ready(): Promise<void>;
  /**
   * Rejects once the store is closed or has failed for good, such as with STORE_MISMATCH: a process that needs it must then
   * end. Never resolves.
   */
  readonly ended: Promise<never>;
}
