import { systemClock } from "../../src/adapters/clock.ts";
import { openMongodbStore } from "../../src/adapters/mongodb/store.ts";
import { firstDayKept, firstMonthKept } from "../../src/domain/retention.ts";

/** What a compactor tells: that it goes to work, for the first time, or what went wrong. */
export type Told = { readonly kind: "works" } | { readonly kind: "failed"; readonly reason: string };

const tell = (told: Told): void => void process.send?.(told);

/**
 * A process that compacts without a pause, as at the simulated instant that its parent names: at its start and by messages.
 * Its arguments are the store's URL, the instant and the window of deduplication, in milliseconds.
 */
const [storeUrl = "", instant = "", window = ""] = process.argv.slice(2);
let nowMs = Number(instant);
const dedupWindowMs = Number(window);
process.on("message", (message) => {
  nowMs = Number(message);
});
// It is not to outlive its parent.
process.on("disconnect", () => process.exit());

const store = openMongodbStore(
  { storeUrl, storePoolSize: 3, storeTimeoutMs: 20_000, dedupWindowMs },
  systemClock,
);
await store.ready();
tell({ kind: "works" });
for (;;) {
  try {
    await store.mergeMonths(firstDayKept(nowMs, 30), nowMs);
    const firstMonth = firstMonthKept(nowMs, { keepMonths: 3, keepDays: 30 });
    if (firstMonth !== undefined) await store.discardMonths(firstMonth, nowMs, () => {});
    await store.expireMarks(nowMs - dedupWindowMs, 1000);
  } catch (error) {
    tell({ kind: "failed", reason: String(error) });
  }
}
