import { randomUUIDv7 } from "node:crypto";
import { type AcceptedEvent, encodeRows, type Message, rowsOf } from "../../src/domain/envelope.ts";
import type { ClientEvent } from "./bodies.ts";

/** The events of a body of `batchBodies`, as accepted at this instant, in milliseconds since 1970. */
export function eventsOf(body: string, atMs: number): readonly AcceptedEvent[] {
  return (JSON.parse(body) as readonly ClientEvent[]).map((event) => ({ ...event, atMs, id: undefined }));
}

/** What the collector publishes for a body of `batchBodies`. */
export function messageOf(body: string, atMs: number): Message {
  return encodeRows(randomUUIDv7(), [rowsOf(eventsOf(body, atMs))]);
}
