import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { MillraceError } from "../errors.ts";
import { checkEvent, isName } from "./event.ts";
import { LATEST_MS } from "./instant.ts";
import type { TraceContext } from "./trace-context.ts";

/**
 * A valid event with the instant it counts for: the client's timestamp, or the time of its acceptance. Its id, where it
 * has one, is what it is counted once by, as event-id.ts makes it.
 */
export interface AcceptedEvent {
  readonly username: string;
  readonly metric: string;
  readonly count: number;
  readonly atMs: number;
  readonly id: string | undefined;
}

/** Events that travel together under one immutable message id: the unit of redelivery and of idempotence. */
export interface Envelope {
  readonly id: string;
  readonly events: readonly AcceptedEvent[];
}

/** What a broker carries: bytes that say what they are. */
export interface Message {
  /** 1 to 255 characters; the same for every delivery of this message. */
  readonly id: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Kept over retries, dead letters and replays. */
  readonly trace?: TraceContext | undefined;
}

export const envelopeContentType = "application/vnd.millrace.envelope+json";
const VERSION = 1;
const family = "millrace.envelope/";
const schema = `${family}${VERSION}` as const;
const utf8 = new TextEncoder();
/** Longest id in UTF-16 code units: a source and an id of a CloudEvent, and their prefix, are not as long. */
const ID_MAX = 4096;
const fields = ["username", "metric", "count", "at", "id"] as const;

const EnvelopeBody = Compile(
  Type.Object({
    schema: Type.Literal(schema),
    id: Type.String({ minLength: 1 }),
    fields: Type.Tuple(fields.map((field) => Type.Literal(field))),
    events: Type.Array(
      Type.Union([
        Type.Tuple([Type.String(), Type.String(), Type.Integer(), Type.Integer()]),
        Type.Tuple([Type.String(), Type.String(), Type.Integer(), Type.Integer(), Type.String()]),
      ]),
    ),
  }),
);

/** Events as the codec's rows, for `encodeRows`: short text instead of many objects while they wait to be sent. */
export function rowsOf(events: readonly AcceptedEvent[]): string {
  const rows = events.map(({ username, metric, count, atMs, id }) =>
    id === undefined ? [username, metric, count, atMs] : [username, metric, count, atMs, id],
  );
  return JSON.stringify(rows).slice(1, -1);
}

/**
 * Version 1: JSON that names its schema and its columns, then a row an event; a row without an id is one shorter. A reader
 * passes over what else the object holds, so that more may be said there; other columns are another version. See docs/upgrades.md.
 */
export function encodeRows(id: string, rows: readonly string[]): Message {
  const head = JSON.stringify({ schema, id, fields }).slice(0, -1);
  return { id, contentType: envelopeContentType, body: utf8.encode(`${head},"events":[${rows.join(",")}]}`) };
}

/**
 * Reads our own envelopes, and a plain `application/json` message of one event with a timestamp from any other producer.
 * @throws MillraceError MESSAGE_UNREADABLE, with the reason, for all else; MESSAGE_TOO_NEW for an envelope of a later
 * version, which a later Millrace can read.
 */
export function decodeMessage(message: Message): Envelope {
  const type = message.contentType.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== envelopeContentType && type !== "application/json") {
    throw new MillraceError("MESSAGE_UNREADABLE", `content type ${JSON.stringify(message.contentType)}`);
  }
  const value = parse(message.body);
  return type === envelopeContentType ? fromEnvelope(value) : fromPlainEvent(value, message.id);
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new MillraceError("MESSAGE_UNREADABLE", "the body is not JSON in UTF-8", { cause });
  }
}

function fromEnvelope(value: unknown): Envelope {
  if (!EnvelopeBody.Check(value)) {
    const later = laterVersion(value);
    if (later !== undefined) {
      const detail = `the envelope is of version ${later}; this Millrace reads version ${VERSION}`;
      throw new MillraceError("MESSAGE_TOO_NEW", detail);
    }
    throw new MillraceError("MESSAGE_UNREADABLE", `the body is not of schema ${schema}`);
  }
  // A store would take two ids with halves of surrogate pairs for the same.
  if (!isId(value.id)) throw new MillraceError("MESSAGE_UNREADABLE", "the id is not valid");
  const events = value.events.map(([username, metric, count, atMs, id]) => ({
    username,
    metric,
    // A -0 becomes 0, as in checkEvent.
    count: count + 0,
    atMs: atMs + 0,
    id,
  }));
  const bad = events.findIndex((event) => !isValid(event));
  if (bad >= 0) throw new MillraceError("MESSAGE_UNREADABLE", `the event at ${bad} is not valid`);
  return { id: value.id, events };
}

function laterVersion(value: unknown): number | undefined {
  if (typeof value !== "object" || value === null || !("schema" in value)) return undefined;
  const { schema: named } = value;
  if (typeof named !== "string" || !named.startsWith(family)) return undefined;
  const version = Number(named.slice(family.length));
  return Number.isSafeInteger(version) && version > VERSION && named === `${family}${version}`
    ? version
    : undefined;
}

/** The rules of an event again, for a message that is not of this program's making. No regular expression: it runs for every event. */
function isValid({ username, metric, count, atMs, id }: AcceptedEvent): boolean {
  return (
    isName(username) &&
    isName(metric) &&
    Number.isSafeInteger(count) &&
    Number.isSafeInteger(atMs) &&
    atMs >= 0 &&
    atMs <= LATEST_MS &&
    (id === undefined || isId(id))
  );
}

function isId(id: string): boolean {
  return id !== "" && id.length <= ID_MAX && !id.includes("\0") && id.isWellFormed();
}

function fromPlainEvent(value: unknown, messageId: string): Envelope {
  // The timestamp was judged by its producer's clock; ours would answer differently at each delivery.
  const checked = checkEvent(value, { unknownFields: "ignore", maxFutureMs: Number.POSITIVE_INFINITY }, 0);
  if (!checked.ok) {
    throw new MillraceError("MESSAGE_UNREADABLE", checked.faults.map((fault) => fault.detail).join("; "));
  }
  const { atMs, ...event } = checked.event;
  if (atMs === undefined) throw new MillraceError("MESSAGE_UNREADABLE", "timestamp is missing");
  return { id: messageId, events: [{ ...event, atMs }] };
}
