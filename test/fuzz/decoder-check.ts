import { isDeepStrictEqual } from "node:util";
import { decodeMessage, encodeRows, type Envelope, type Message, rowsOf } from "../../src/domain/envelope.ts";
import { checkEvent } from "../../src/domain/event.ts";
import { LATEST_MS } from "../../src/domain/instant.ts";
import { MillraceError } from "../../src/errors.ts";

/** What the decoder made of an input. */
export type Made = "envelope" | "refused";

/** Throws where the decoder does anything but refuse a message as unreadable or too new, or read of it what is valid and stays what it is. */
export function checkDecoder(message: Message): Made {
  let envelope: Envelope;
  try {
    envelope = decodeMessage(message);
  } catch (error) {
    const refused: readonly unknown[] = ["MESSAGE_UNREADABLE", "MESSAGE_TOO_NEW"];
    if (error instanceof MillraceError && refused.includes(error.code)) return "refused";
    throw error;
  }
  checkEvents(envelope);
  const again = encodeRows(envelope.id, envelope.events.length === 0 ? [] : [rowsOf(envelope.events)]);
  const second = decodeMessage(again);
  if (!isDeepStrictEqual(second, envelope))
    throw new Error("what is encoded of it is read as something else");
  return "envelope";
}

function checkEvents({ id, events }: Envelope): void {
  if (id === "" || id.includes("\0") || !id.isWellFormed())
    throw new Error(`its id is ${JSON.stringify(id)}`);
  for (const event of events) {
    const { username, metric, count, atMs, id: own } = event;
    const names = Object.keys(event).toSorted().join();
    if (names !== "atMs,count,id,metric,username") throw new Error(`an event has the fields ${names}`);
    if (Object.getPrototypeOf(event) !== Object.prototype) throw new Error("an event has another prototype");
    // Judged as if it came over HTTP, but for its id, which was made of a client's.
    const checked = checkEvent({ username, metric, count }, { unknownFields: "reject", maxFutureMs: 0 }, 0);
    if (!checked.ok)
      throw new Error(`it holds an event that is not valid: ${JSON.stringify(checked.faults)}`);
    if (!Number.isSafeInteger(atMs) || atMs < 0 || atMs > LATEST_MS)
      throw new Error(`an event is of ${atMs}`);
    if (own !== undefined && (own === "" || !own.isWellFormed() || own.includes("\0"))) {
      throw new Error(`an event's id is ${JSON.stringify(own)}`);
    }
  }
}

const ofObjects = Reflect.ownKeys(Object.prototype).length;
const ofArrays = Reflect.ownKeys(Array.prototype).length;
/** Throws where an input has left something on all objects. */
export function checkPrototypes(): void {
  if (
    Reflect.ownKeys(Object.prototype).length !== ofObjects ||
    Reflect.ownKeys(Array.prototype).length !== ofArrays
  ) {
    throw new Error("a prototype of all objects has been changed");
  }
}
