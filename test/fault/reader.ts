import { setTimeout as sleep } from "node:timers/promises";

export interface ReaderTally {
  /** With 200. */
  answered: number;
  /** With 503: the store could not be reached. */
  unavailable: number;
  /** No answer: the query process was down or stood still. */
  lost: number;
  /** Answers that break the contract. */
  readonly faults: string[];
}

export const nothingRead = (): ReaderTally => ({ answered: 0, unavailable: 0, lost: 0, faults: [] });

const paths = [
  "/accounts?limit=10",
  "/metrics/hourly_logs/total?limit=10",
  "/metrics/distinct_names?granularity=day&limit=10",
  "/metrics/hourly_logs/per_user?metric=sure-0&limit=10",
];
const PAUSE_MS = 1000;
/** Longer than the store's own time-out, so that the query process is the one to give up. */
const ANSWER_MS = 15_000;

/** Reads one view after the other until `stop`: a view may be out of reach for a time, and is then said to be. */
export async function runReader(queryUrl: string, tally: ReaderTally, stop: AbortSignal): Promise<void> {
  for (let turn = 0; !stop.aborted; turn += 1) {
    const path = paths[turn % paths.length] ?? "";
    try {
      const answer = await fetch(queryUrl + path, { signal: AbortSignal.timeout(ANSWER_MS) });
      const text = await answer.text();
      if (answer.status === 200) tally.answered += 1;
      else if (answer.status === 503) tally.unavailable += 1;
      else tally.faults.push(`${path} answered ${answer.status}: ${text.slice(0, 300)}`);
    } catch {
      tally.lost += 1;
    }
    await sleep(PAUSE_MS, undefined, { signal: stop }).catch(() => undefined);
  }
}
