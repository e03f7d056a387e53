import { setTimeout as sleep } from "node:timers/promises";
import { accounts, distinctNames, eventsIn, hourlyTotals } from "../flow/views.ts";

const POLL_MS = 200;
/** A view that gains nothing for so long will not settle any more. */
const STUCK_MS = 60_000;

/**
 * Resolves once all three views hold at least so much. `distinctName` is asked until it does, then the others.
 * Rejects when one gains nothing for a minute.
 */
export async function settled(
  queryUrl: string,
  wanted: { readonly events: number; readonly usernames: number },
  progress: (line: string) => void,
): Promise<{ /** As of `performance.now`. */ readonly atMs: number; readonly distinctName: number }> {
  const distinct = await reach("distinctName", wanted.events, progress, async () =>
    eventsIn(await distinctNames(queryUrl)),
  );
  const hourly = await reach("hourlyLog", wanted.events, progress, async () =>
    eventsIn(await hourlyTotals(queryUrl)),
  );
  const account = await reach("accountName", wanted.usernames, progress, async () => {
    let usernames = 0;
    for await (const _ of accounts(queryUrl)) usernames += 1;
    return usernames;
  });
  return { atMs: Math.max(distinct.atMs, hourly.atMs, account.atMs), distinctName: distinct.count };
}

/** Resolves once nothing more is counted: what was in the backlog has been applied. */
export async function drained(queryUrl: string, progress: (line: string) => void): Promise<number> {
  for (let last = -1; ; ) {
    const count = eventsIn(await distinctNames(queryUrl));
    if (count === last) return count;
    progress(`waiting for the backlog: ${count} events counted`);
    last = count;
    await sleep(1500);
  }
}

async function reach(
  view: string,
  wanted: number,
  progress: (line: string) => void,
  count: () => Promise<number>,
): Promise<{ readonly atMs: number; readonly count: number }> {
  let gained = { atMs: performance.now(), count: -1 };
  let toldMs = 0;
  for (;;) {
    // An answer holds all that was applied before it was asked.
    const atMs = performance.now();
    const counted = await count();
    if (counted >= wanted) return { atMs, count: counted };
    if (counted > gained.count) gained = { atMs, count: counted };
    if (atMs - gained.atMs > STUCK_MS) throw new Error(`${view} is stuck at ${counted} of ${wanted}`);
    if (atMs - toldMs > 5000) {
      progress(`${view} has ${counted} of ${wanted}`);
      toldMs = atMs;
    }
    await sleep(POLL_MS);
  }
}
