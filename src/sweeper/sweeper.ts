import { DAY_MS } from "../domain/distinct-name.ts";
import { firstDayKept, firstMonthKept, hourWindow, UPKEEP_LEASE } from "../domain/retention.ts";
import type { Clock } from "../ports/clock.ts";
import type { UpkeepStore } from "../ports/store.ts";
import type { Emit } from "../signals.ts";

export interface SweeperParts {
  readonly store: UpkeepStore;
  readonly clock: Clock;
  /** Names this sweeper among all that ask for the lease. */
  readonly holder: string;
  readonly emit: Emit;
}
export interface SweeperSettings {
  readonly sweepIntervalMs: number;
  readonly dedupWindowMs: number;
  readonly keepDays: number;
  /** 0 for all of them. */
  readonly keepMonths: number;
}

/** One sweeper at a time, by the lease; it is renewed before each step, so a step must be shorter. */
const LEASE_MS = 10_000;
/** Further apart, this clock and the store's own are no base for deleting months. */
const CLOCK_OFF_MS = DAY_MS;
/** Rows a step deletes: some tens of milliseconds in which a writer waits. */
const ROWS_A_STEP = 5000;

/** Sweeps, waits, and sweeps again until `stop`. A sweep that fails is told, and the next one is tried. */
export async function runSweeper(
  parts: SweeperParts,
  settings: SweeperSettings,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    try {
      await sweep(parts, settings, stop);
    } catch (error) {
      parts.emit("sweep.failed", { error });
    }
    await parts.clock.sleep(settings.sweepIntervalMs * (0.75 + Math.random() / 2), stop);
  }
  await parts.store.releaseLease(UPKEEP_LEASE, parts.holder).catch(() => {});
}

/**
 * One round of expiry, month merge and the end of old months, if no other sweeper holds the lease; cutoffs are taken anew from the clock. Resolves to
 * whether it had the lease. Each step is safe to repeat, so it may be cut short anywhere.
 */
export async function sweep(
  parts: SweeperParts,
  settings: SweeperSettings,
  stop: AbortSignal,
): Promise<boolean> {
  const { store, clock, holder, emit } = parts;
  const startedAtMs = clock.now();
  const mine = () => store.acquireLease(UPKEEP_LEASE, holder, clock.now() + LEASE_MS, clock.now());
  const inSteps = async (step: () => Promise<number>): Promise<number> => {
    let total = 0;
    while (!stop.aborted && (await mine())) {
      const rows = await step();
      total += rows;
      if (rows < ROWS_A_STEP) break;
    }
    return total;
  };
  if (!(await mine())) return false;
  const expired = await inSteps(() => store.expireHourlyLog(hourWindow(clock.now()).after, ROWS_A_STEP));
  const forgotten = await inSteps(() => store.expireMarks(clock.now() - settings.dedupWindowMs, ROWS_A_STEP));
  const merged = (await mine())
    ? await store.mergeMonths(firstDayKept(clock.now(), settings.keepDays), clock.now())
    : 0;
  const firstMonth = firstMonthKept(clock.now(), settings);
  const discarded =
    firstMonth !== undefined && !stop.aborted && (await mine()) ? await discardMonths(parts, firstMonth) : 0;
  const unmergedSinceMs = await store.unmergedSince();
  emit("sweep.finished", {
    expired,
    forgotten,
    merged,
    discarded,
    seconds: (clock.now() - startedAtMs) / 1000,
    compactionLagSeconds:
      unmergedSinceMs === undefined ? 0 : Math.max(0, clock.now() - unmergedSinceMs) / 1000,
  });
  return true;
}

/** Resolves to how many counts of months went. What goes is told even where the store fails on the way. */
async function discardMonths({ store, clock, emit }: SweeperParts, before: string): Promise<number> {
  const storeMs = await store.serverTime();
  const aheadMs = storeMs === undefined ? 0 : clock.now() - storeMs;
  if (Math.abs(aheadMs) > CLOCK_OFF_MS) {
    emit("months.spared", { before, aheadSeconds: Math.round(aheadMs / 1000) });
    return 0;
  }
  let discarded = 0;
  try {
    await store.discardMonths(before, clock.now(), (counts) => {
      discarded += counts;
    });
  } finally {
    if (discarded > 0) emit("months.discarded", { counts: discarded, before });
  }
  return discarded;
}
