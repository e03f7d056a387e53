import { setTimeout as sleep } from "node:timers/promises";
import type { Ledger } from "./ledger.ts";
import { compare, missingByMetric, type Verdict, type Views } from "./verdict.ts";

export interface SettleOptions extends Views {
  /** Longest wait until everything is there. */
  readonly settleMs: number;
  readonly progress: (line: string) => void;
}

/** A message that was counted may come again: this long after all are there, they must still be there once. */
const REDELIVERY_MS = 3000;
const PAUSE_MS = 500;

/** Compares once everything is there, and the time has passed in which a redelivery would come. */
export async function settledVerdict(ledger: Ledger, options: SettleOptions): Promise<Verdict> {
  const deadline = Date.now() + options.settleMs;
  const late = (): boolean => Date.now() > deadline;
  for (;;) {
    const lacking = await missingByMetric(ledger, options).catch((error: unknown) => [String(error)]);
    if (lacking.length > 0 && !late()) {
      options.progress(`waiting for the views: ${lacking.length} missing, first: ${lacking[0]}`);
      await sleep(PAUSE_MS);
      continue;
    }
    await sleep(REDELIVERY_MS);
    options.progress("comparing every row");
    const verdict = await compare(ledger, options).catch(unreadable);
    if (verdict.missing.length === 0 || late()) return verdict;
  }
}

function unreadable(error: unknown): Verdict {
  const counted = { accountName: 0, distinctName: 0, hourlyTotal: 0, hourlyPerUser: 0 };
  return { counted, missing: [`the views cannot be read: ${String(error)}`], wrong: [] };
}
