import type { Envelope } from "./envelope.ts";
import type { Change, Projection } from "./projection.ts";

/** A username and the earliest instant it is known of, in milliseconds since 1970. Merged by the minimum. */
export interface Sighting {
  readonly username: string;
  readonly firstSeenMs: number;
}

export const accountName: Projection = { name: "accountName", claimsEventIds: false, fold };

function fold(envelope: Envelope): Change {
  const earliest = new Map<string, number>();
  for (const event of envelope.events) {
    const known = earliest.get(event.username);
    if (known === undefined || event.atMs < known) earliest.set(event.username, event.atMs);
  }
  const sightings = Array.from(earliest, ([username, firstSeenMs]) => ({ username, firstSeenMs }));
  return { projection: "accountName", messageId: envelope.id, sightings };
}
