import { DAY_MS, dayOf, monthOf } from "./distinct-name.ts";

const HOUR_SECONDS = 3600;

/** The seconds that the hourly log shows at an instant: `after < second <= upTo`. */
export function hourWindow(nowMs: number): { readonly after: number; readonly upTo: number } {
  const upTo = Math.floor(nowMs / 1000);
  return { after: upTo - HOUR_SECONDS, upTo };
}

/** The lease of whoever takes away what is too old, or merges days into months. */
export const UPKEEP_LEASE = "sweeper";

/** Days before this one are merged into months: those more than `keepDays` days old. */
export function firstDayKept(nowMs: number, keepDays: number): string {
  return dayOf(nowMs - keepDays * DAY_MS);
}

/**
 * Months before this one are discarded: those more than `keepMonths` before the running one, and of these none that has days
 * which are still kept as days. Undefined where months are kept for ever, which 0 says.
 */
export function firstMonthKept(
  nowMs: number,
  { keepMonths, keepDays }: { readonly keepMonths: number; readonly keepDays: number },
): string | undefined {
  if (keepMonths === 0) return undefined;
  const now = new Date(nowMs);
  const first = monthOf(dayOf(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - keepMonths)));
  const ofDays = monthOf(firstDayKept(nowMs, keepDays));
  return first < ofDays ? first : ofDays;
}
