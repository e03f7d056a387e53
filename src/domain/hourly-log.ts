import type { Envelope } from "./envelope.ts";
import type { Change, Projection } from "./projection.ts";
import { merge, type Summary, summaryOf } from "./summary.ts";

/** The events of one user and metric within one second (whole seconds since 1970), summed up. */
export interface HourlyEntry extends Summary {
  readonly second: number;
  readonly metric: string;
  readonly username: string;
}

export const hourlyLog: Projection = { name: "hourlyLog", claimsEventIds: true, fold };

function fold(envelope: Envelope): Change {
  const groups = new Map<string, HourlyEntry>();
  for (const { username, metric, count, atMs } of envelope.events) {
    const second = Math.floor(atMs / 1000);
    // Names hold no NUL, so the key is unambiguous.
    const key = `${second}\0${metric}\0${username}`;
    const known = groups.get(key);
    const summary = known === undefined ? summaryOf(count) : merge(known, summaryOf(count));
    groups.set(key, { second, metric, username, ...summary });
  }
  return { projection: "hourlyLog", messageId: envelope.id, entries: Array.from(groups.values()) };
}
