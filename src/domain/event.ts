import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { type Fault, pointerTo } from "../errors.ts";
import { clientId } from "./event-id.ts";
import { EARLIEST_NUMERIC_MS, instantOf, LATEST_MS } from "./instant.ts";

/**
 * A valid event as a client sent it. `atMs` is the client's timestamp, in milliseconds since 1970; `id` is what it is
 * counted once by, as event-id.ts makes it of the client's.
 */
export interface Event {
  readonly username: string;
  readonly metric: string;
  readonly count: number;
  readonly id: string | undefined;
  readonly atMs: number | undefined;
}

export type Checked =
  | { readonly ok: true; readonly event: Event }
  | { readonly ok: false; readonly faults: readonly Fault[] };

export interface EventRules {
  readonly unknownFields: "reject" | "ignore";
  /** How far ahead of the server's clock a client's timestamp may be, in milliseconds. */
  readonly maxFutureMs: number;
}

const NAME_MAX = 256;
/** As JSON Schema says it. */
export const NO_NUL = String.raw`^[^\u0000]*$`;

const nameRule = `a string of 1 to ${NAME_MAX} characters, none of them NUL`;
/** What each field may hold, in the words of an error message and of the API's description. */
const allowed = {
  username: nameRule,
  metric: nameRule,
  count: `an integer from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`,
  id: nameRule,
  timestamp: "an RFC 3339 date and time or milliseconds since 1970",
} as const;

const name = (description: string) => Type.String({ minLength: 1, maxLength: NAME_MAX, description });
const eventFields = {
  username: name(allowed.username),
  metric: name(allowed.metric),
  count: Type.Integer({
    minimum: Number.MIN_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER,
    description: allowed.count,
  }),
  id: Type.Optional(name(allowed.id)),
  timestamp: Type.Optional(
    Type.Union([Type.String(), Type.Integer()], {
      description: `${allowed.timestamp}, not far ahead of the server's clock`,
    }),
  ),
} as const;

const strict = Compile(Type.Object(eventFields, { additionalProperties: false }));
const open = Compile(Type.Object(eventFields));

/**
 * The JSON schema of an event for those who read the API's description. It says more than what is judged by, where our own words for
 * what is wrong are better than a pattern.
 */
export const EventSchema = Type.Object(
  {
    ...eventFields,
    username: described(eventFields.username),
    metric: described(eventFields.metric),
    id: Type.Optional(described(eventFields.id)),
    timestamp: Type.Optional(
      Type.Union(
        [
          Type.String({ format: "date-time" }),
          Type.Integer({ minimum: EARLIEST_NUMERIC_MS, maximum: LATEST_MS }),
        ],
        { description: `${allowed.timestamp}, not far ahead of the server's clock` },
      ),
    ),
  },
  { additionalProperties: false },
);

function described(text: object) {
  return Type.String({ ...text, pattern: NO_NUL });
}
const fieldNames = Object.keys(eventFields) as (keyof typeof eventFields)[];
const required: ReadonlySet<string> = new Set(["username", "metric", "count"]);
/** More fields that are not known than this are counted, not named. */
const UNKNOWN_NAMED = 8;
const fieldCheck = Object.fromEntries(fieldNames.map((field) => [field, Compile(eventFields[field])]));

/** Takes any JSON value; answers the event, or every fault in it, one a field. */
export function checkEvent(value: unknown, rules: EventRules, nowMs: number): Checked {
  const shape = rules.unknownFields === "reject" ? strict : open;
  if (!shape.Check(value)) return { ok: false, faults: faultsOf(value, rules, nowMs) };
  const atMs = value.timestamp === undefined ? undefined : instantOf(value.timestamp);
  const bad =
    textFault(value.username) ??
    textFault(value.metric) ??
    (value.id === undefined ? undefined : textFault(value.id)) ??
    (value.timestamp === undefined ? undefined : timestampFault(atMs, rules, nowMs));
  if (bad !== undefined) return { ok: false, faults: faultsOf(value, rules, nowMs) };
  return {
    ok: true,
    // A fresh object of known shape: nothing of the request outlives it. `+ 0` turns -0 into 0.
    event: {
      username: value.username,
      metric: value.metric,
      count: value.count + 0,
      id: value.id === undefined ? undefined : clientId(value.id),
      atMs,
    },
  };
}

function faultsOf(value: unknown, rules: EventRules, nowMs: number): readonly Fault[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [{ pointer: "", detail: `the event is ${shown(value)}; it must be a JSON object` }];
  }
  const given = value as Readonly<Record<string, unknown>>;
  const faults: Fault[] = [];
  for (const field of fieldNames) {
    const at = { pointer: `/${field}` };
    const rule = `it must be ${field === "timestamp" ? timestampRule(rules) : allowed[field]}`;
    if (!Object.hasOwn(given, field)) {
      if (required.has(field)) faults.push({ ...at, detail: `${field} is missing; ${rule}` });
      continue;
    }
    const content = given[field];
    const fault = fieldCheck[field]?.Check(content)
      ? contentFault(field, content, rules, nowMs)
      : `is ${shown(content)}`;
    if (fault !== undefined) faults.push({ ...at, detail: `${field} ${fault}; ${rule}` });
  }
  if (rules.unknownFields === "reject") faults.push(...unknownFaults(Object.keys(given)));
  return faults;
}

function unknownFaults(given: readonly string[]): readonly Fault[] {
  const unknown = given.filter((key) => !Object.hasOwn(eventFields, key));
  const rule = `the fields are ${fieldNames.join(", ")}`;
  const faults = unknown.slice(0, UNKNOWN_NAMED).map((key) => {
    return { pointer: pointerTo(key), detail: `${shown(key)} is not a field of an event; ${rule}` };
  });
  const more = unknown.length - faults.length;
  if (more > 0)
    faults.push({ pointer: "", detail: `more of its fields that are not known: ${more}; ${rule}` });
  return faults;
}

function contentFault(field: string, content: unknown, rules: EventRules, nowMs: number): string | undefined {
  if (field === "timestamp") return timestampFault(instantOf(content as string | number), rules, nowMs);
  return typeof content === "string" ? textFault(content) : undefined;
}

/** Whether a text may be a username or a metric. */
export function isName(text: string): boolean {
  return text !== "" && textFault(text) === undefined;
}

/** What stores cannot hold, and lengths in code points (a schema may count clusters, which have no bound). */
function textFault(text: string): string | undefined {
  if (text.includes("\0")) return "holds a NUL character";
  if (!text.isWellFormed()) return "holds half of a surrogate pair";
  if (text.length > NAME_MAX && (text.length > 2 * NAME_MAX || Array.from(text).length > NAME_MAX)) {
    return `is longer than ${NAME_MAX} characters`;
  }
  return undefined;
}

function timestampRule({ maxFutureMs }: EventRules): string {
  if (maxFutureMs === Number.POSITIVE_INFINITY) return allowed.timestamp;
  return `${allowed.timestamp}, at most ${maxFutureMs / 1000} s ahead of the server's clock`;
}

/** What is wrong with a text as the time of an event, and what is allowed; undefined where nothing is. */
export function instantFault(text: string, rules: EventRules, nowMs: number): string | undefined {
  const fault = timestampFault(instantOf(text), rules, nowMs);
  return fault === undefined ? undefined : `${fault}; it must be ${timestampRule(rules)}`;
}

function timestampFault(atMs: number | undefined, rules: EventRules, nowMs: number): string | undefined {
  if (atMs === undefined) return "is no such instant";
  return atMs > nowMs + rules.maxFutureMs ? "is in the future" : undefined;
}

/** A value as an error message may quote it: JSON, cut to 60 characters. */
function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  if (typeof value === "number" && !Number.isFinite(value)) return "a number out of range";
  if (value === "") return "empty";
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 60).toWellFormed()}…` : text;
}
