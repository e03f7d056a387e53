import type { Change } from "../../domain/projection.ts";
import { MillraceError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Store } from "../../ports/store.ts";
import { account, accounts, sightingsIn } from "./account-name.ts";
import { claimsIn } from "./claim.ts";
import { compact, discardMonths, oldestOpenPart } from "./compaction.ts";
import { Connection, type ConnectionSettings } from "./connection.ts";
import { dayCountsIn } from "./distinct-name.ts";
import { erasures } from "./erasure.ts";
import { expireHourlyLog, expireMarks } from "./expiry.ts";
import { FoldLog } from "./fold-log.ts";
import { hourlyEntriesIn, hourlyPerUser, hourlyTotals, hourlyTotalsByCount } from "./hourly-log.ts";
import { acquireLease, releaseLease } from "./lease.ts";
import { periodCounts } from "./period-counts.ts";

export interface MongodbStoreSettings extends ConnectionSettings {
  readonly dedupWindowMs: number;
}

/**
 * A store on a MongoDB, or on what speaks its protocol. Opens in the background: an operation waits for that at most
 * `storeTimeoutMs`, then rejects with STORE_UNAVAILABLE and the reason.
 * @throws MillraceError INVALID_SETTING for a URL that cannot be read.
 */
export function openMongodbStore(settings: MongodbStoreSettings, clock: Clock): Store {
  const connection = new Connection(settings, clock);
  const log = new FoldLog(connection, clock);
  const applySightings = sightingsIn(connection);
  const applyDayCounts = dayCountsIn(connection);
  const applyHourlyEntries = hourlyEntriesIn(connection);
  const apply = (change: Change, nowMs: number): Promise<void> => {
    if (change.projection === "accountName") return applySightings(change.sightings);
    return change.projection === "distinctName"
      ? applyDayCounts(change.messageId, change.counts, nowMs)
      : applyHourlyEntries(change.messageId, change.entries, nowMs);
  };
  const claim = claimsIn(connection, settings.dedupWindowMs);
  const calls = new Calls();
  return {
    claim: (one, nowMs) => calls.run(() => claim(one, nowMs)),
    apply: (change, nowMs) => calls.run(() => apply(change, nowMs)),
    erasures: () => calls.run(() => erasures(connection)),
    hourlyTotals: (page, nowMs) => calls.run(() => hourlyTotals(connection, page, nowMs)),
    hourlyTotalsByCount: (limit, nowMs) => calls.run(() => hourlyTotalsByCount(connection, limit, nowMs)),
    hourlyPerUser: (filter, nowMs) => calls.run(() => hourlyPerUser(connection, filter, nowMs)),
    distinctNames: (filter) => calls.run(() => periodCounts(connection, log, filter)),
    account: (username) => calls.run(() => account(connection, username)),
    accounts: (filter) => calls.run(() => accounts(connection, filter)),
    acquireLease: (name, holder, untilMs, nowMs) =>
      calls.run(() => acquireLease(connection, { name, holder, untilMs }, nowMs)),
    releaseLease: (name, holder) => calls.run(() => releaseLease(connection, name, holder)),
    expireHourlyLog: (upToSecond, limit) => calls.run(() => expireHourlyLog(connection, upToSecond, limit)),
    expireMarks: (beforeMs, limit) =>
      calls.run(() => expireMarks(connection, log, { beforeMs, windowMs: settings.dedupWindowMs }, limit)),
    mergeMonths: (firstDayKept, nowMs) => calls.run(() => compact(connection, log, firstDayKept, nowMs)),
    discardMonths: (firstMonthKept, nowMs, discarded) =>
      calls.run(() => discardMonths(connection, log, { firstMonthKept, discarded }, nowMs)),
    serverTime: () => calls.run(() => connection.serverTime()),
    unmergedSince: () => calls.run(() => oldestOpenPart(connection)),
    ready: () =>
      calls.run(async () => {
        const outage = await connection.outage();
        if (outage !== undefined) throw outage;
      }),
    ended: connection.ended,
    async [Symbol.asyncDispose]() {
      connection.stopOpening();
      // Those in hand first, which the connection's end would cut short.
      const closed = new AbortController();
      await Promise.race([calls.close(), clock.sleep(settings.storeTimeoutMs, closed.signal)]);
      closed.abort();
      await connection[Symbol.asyncDispose]();
    },
  };
}

/** The calls in hand. */
class Calls {
  readonly #inHand = new Set<Promise<unknown>>();
  #closed = false;

  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new MillraceError("STORE_UNAVAILABLE", "it is closed");
    const call = operation();
    this.#inHand.add(call);
    try {
      return await call;
    } finally {
      this.#inHand.delete(call);
    }
  }

  /** Takes no more. Resolves once those in hand have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#inHand);
  }
}
