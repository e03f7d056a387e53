import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Store } from "../../src/ports/store.ts";

/** Far ahead: no time-to-live of a real server takes any of it away by the real clock. */
export const NOW = Date.parse("2096-11-24T12:00:00.500Z");
const all = { limit: 10_000, after: undefined };

/** What a store answers to every question at one instant, as text. */
export async function answersOf(store: Store, nowMs = NOW): Promise<string> {
  const period = { from: undefined, to: undefined, page: all };
  const answers = {
    totals: await store.hourlyTotals(all, nowMs),
    byCount: await store.hourlyTotalsByCount(1000, nowMs),
    perUser: await store.hourlyPerUser({ username: undefined, metric: undefined, page: all }, nowMs),
    days: await store.distinctNames({ granularity: "day", ...period }),
    months: await store.distinctNames({ granularity: "month", ...period }),
    accounts: await store.accounts({ sinceMs: undefined, page: all }),
  };
  return JSON.stringify(answers);
}

/** Does as the three workers do with a message: claims the ids, and applies what no other message holds. */
export async function applyMessage(
  store: Store,
  id: string,
  events: readonly AcceptedEvent[],
  nowMs = NOW,
): Promise<void> {
  await store.apply(accountName.fold({ id, events }), nowMs);
  for (const projection of [distinctName, hourlyLog]) {
    const eventIds = events.map((event) => event.id).filter((one) => one !== undefined);
    const taken = await store.claim({ projection: projection.name, messageId: id, eventIds }, nowMs);
    const own = events.filter((event) => event.id === undefined || !taken.has(event.id));
    await store.apply(projection.fold({ id, events: own }), nowMs);
  }
}

/** Names that mean something to JSON, a database or a file of lines. */
const oddNames = [
  "__proto__",
  "$set",
  "a.b",
  "'; DROP TABLE account; --",
  "Ω\n\u2028",
  "👩‍🚀",
  '"\\',
  "\uFEFF",
];

/** Events of the last hour and of months before, some with ids; the same for the same number. */
export function eventsOf(number: number): readonly AcceptedEvent[] {
  const name = (kind: string, n: number): string => `${kind} ${n} ${oddNames[n % oddNames.length] ?? ""}`;
  return Array.from({ length: 1 + (number % 7) }, (_, i) => {
    const n = number * 31 + i * 17;
    const ageMs = n % 3 === 0 ? n * 86_400_00 : (n * 977) % 3_500_000;
    return {
      username: name("user", n % 40),
      metric: name("metric", n % 11),
      count: n % 5 === 0 ? Number.MAX_SAFE_INTEGER : (n % 1000) - 500,
      atMs: NOW - ageMs,
      id: n % 2 === 0 ? `id:${number}-${i}-${"x".repeat(n % 13 === 0 ? 300 : 3)}` : undefined,
    };
  });
}
