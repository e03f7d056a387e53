import { createHash } from "node:crypto";

// Without an import of the domain's: the store's thread, which loads this, has no use for the schemas that an erasure reads messages by.

/** No id that a client chose begins like this: see domain/event-id.ts. */
const ERASED = "erased:";

/** Stands for an event id that held an erased name: who sends the id again is still told from who does not. */
export const digestOf = (eventId: string): string =>
  `${ERASED}${createHash("sha256").update(eventId).digest("hex")}`;
export const isDigest = (eventId: string): boolean => eventId.startsWith(ERASED);

/** Whether there is any such claim: most stores have none, and then no id needs its digest. */
export const anyDigest = `SELECT 1 FROM claim WHERE event_id >= '${ERASED}' AND event_id < 'erased;' LIMIT 1`;
