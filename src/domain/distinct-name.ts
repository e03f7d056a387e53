import type { Envelope } from "./envelope.ts";
import type { Change, Projection } from "./projection.ts";

/** How many events of a metric fell on a UTC day (`YYYY-MM-DD`). Merged by addition. */
export interface DayCount {
  readonly day: string;
  readonly metric: string;
  readonly count: number;
}

export const distinctName: Projection = { name: "distinctName", claimsEventIds: true, fold };

function fold(envelope: Envelope): Change {
  const days = new Map<number, Map<string, number>>();
  for (const event of envelope.events) {
    const day = Math.floor(event.atMs / DAY_MS);
    let metrics = days.get(day);
    if (metrics === undefined) days.set(day, (metrics = new Map()));
    metrics.set(event.metric, (metrics.get(event.metric) ?? 0) + 1);
  }
  const counts: DayCount[] = [];
  for (const [day, metrics] of days) {
    for (const [metric, count] of metrics) counts.push({ day: dayOf(day * DAY_MS), metric, count });
  }
  return { projection: "distinctName", messageId: envelope.id, counts };
}

export const DAY_MS = 86_400_000;

/** The UTC day of an instant, as `YYYY-MM-DD`. */
export function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().split("T", 1)[0] ?? "";
}

/** The month a day is merged into, as `YYYY-MM`. */
export function monthOf(day: string): string {
  return day.slice(0, -3);
}
