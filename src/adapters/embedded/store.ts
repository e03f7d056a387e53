import type { Store } from "../../ports/store.ts";
import { Thread } from "./thread.ts";

/** A store in a file: one SQLite database in `dataDir`, written by one thread and read by another beside it. */
export async function openEmbeddedStore(dataDir: string): Promise<Store> {
  const writer = new Thread("StoreWriter", dataDir, {
    code: "STORE_UNAVAILABLE",
    // What three workers write within a few milliseconds shares one wait for the disk.
    patient: ["claim", "apply"],
  });
  // One after the other: the first makes the tables.
  await writer.call("ready");
  const reader = new Thread("StoreReader", dataDir, { code: "STORE_UNAVAILABLE" });
  const ended = Promise.race([writer.ended, reader.ended]);
  ended.catch(() => {});
  return {
    claim: async (claim, nowMs) => new Set(await writer.call("claim", claim, nowMs)),
    apply: (change, nowMs) => writer.call("apply", change, nowMs),
    erasures: () => reader.call("erasures"),
    hourlyTotals: (page, nowMs) => reader.call("hourlyTotals", page, nowMs),
    hourlyTotalsByCount: (limit, nowMs) => reader.call("hourlyTotalsByCount", limit, nowMs),
    hourlyPerUser: (filter, nowMs) => reader.call("hourlyPerUser", filter, nowMs),
    distinctNames: (filter) => reader.call("distinctNames", filter),
    account: (username) => reader.call("account", username),
    accounts: (filter) => reader.call("accounts", filter),
    acquireLease: (name, holder, untilMs, nowMs) => writer.call("acquireLease", name, holder, untilMs, nowMs),
    releaseLease: (name, holder) => writer.call("releaseLease", name, holder),
    expireHourlyLog: (upToSecond, limit) => writer.call("expireHourlyLog", upToSecond, limit),
    expireMarks: (beforeMs, limit) => writer.call("expireMarks", beforeMs, limit),
    mergeMonths: (firstDayKept) => writer.call("mergeMonths", firstDayKept),
    discardMonths: async (firstMonthKept, _nowMs, discarded) =>
      discarded(await writer.call("discardMonths", firstMonthKept)),
    serverTime: async () => undefined,
    // Each change is in its day as soon as it is applied.
    unmergedSince: async () => undefined,
    ready: async () => void (await Promise.all([writer.call("ready"), reader.call("ready")])),
    ended,
    async [Symbol.asyncDispose]() {
      await Promise.all([writer[Symbol.asyncDispose](), reader[Symbol.asyncDispose]()]);
    },
  };
}
