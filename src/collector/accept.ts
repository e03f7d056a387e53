import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { checkCloudEvent, fromHeaders, fromJsonFormat } from "../domain/cloud-event.ts";
import type { AcceptedEvent } from "../domain/envelope.ts";
import { keyId, keyIdAt } from "../domain/event-id.ts";
import { type Checked, checkEvent, type EventRules } from "../domain/event.ts";
import { type Fault, MillraceError } from "../errors.ts";

export interface AcceptRules extends EventRules {
  readonly batchMaxEvents: number;
  /** Whether `text/plain` is read as JSON: what a browser's beacon sends. */
  readonly plainText: boolean;
}

/** One rejected event of a batch: its place in the request, the id it came with, and why. */
export interface Rejection {
  readonly index: number;
  readonly id: string | null;
  readonly status: "rejected";
  readonly reason: string;
}
export interface Acceptance {
  readonly events: readonly AcceptedEvent[];
  readonly rejections: readonly Rejection[];
}

const ndjson = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/**
 * The one event of POST /event.
 * @throws MillraceError INVALID_EVENT with every fault, MALFORMED_BODY, UNSUPPORTED_MEDIA_TYPE or INVALID_HEADER.
 */
export function acceptOne(
  body: Buffer,
  headers: IncomingHttpHeaders,
  rules: AcceptRules,
  nowMs: number,
): AcceptedEvent {
  const type = mediaType(headers["content-type"]);
  const checked = checkOne(type, body, headers, rules, nowMs);
  if (!checked.ok) {
    const detail = checked.faults.map((fault) => fault.detail).join("; ");
    throw new MillraceError("INVALID_EVENT", detail, { faults: checked.faults });
  }
  const key = requestKey(headers);
  return accepted(checked, key === undefined ? undefined : keyId(key), nowMs);
}

function checkOne(
  type: string,
  body: Buffer,
  headers: IncomingHttpHeaders,
  rules: AcceptRules,
  nowMs: number,
): Checked {
  if (type === "application/cloudevents+json") return checkStructured(parse(text(body)), rules, nowMs);
  if (type !== "application/json" && !(type === "text/plain" && rules.plainText)) {
    throw unsupported(type, ["application/json", "application/cloudevents+json"]);
  }
  const value = parse(text(body));
  const cloudEvent = fromHeaders(headers, value);
  if (cloudEvent === undefined) return checkEvent(value, rules, nowMs);
  return checkCloudEvent(cloudEvent, rules, nowMs);
}

/**
 * The many events of POST /events: the good ones, and a rejection for each of the rest.
 * @throws MillraceError as acceptOne, and BODY_TOO_LARGE for too many events.
 */
export function acceptMany(
  body: Buffer,
  headers: IncomingHttpHeaders,
  rules: AcceptRules,
  nowMs: number,
): Acceptance {
  const type = mediaType(headers["content-type"]);
  const key = requestKey(headers);
  const checks = checkMany(type, body, rules, nowMs);
  const events: AcceptedEvent[] = [];
  const rejections: Rejection[] = [];
  const reasonsMax = Math.max(REASONS_MIN, body.byteLength);
  let told = 0;
  let index = 0;
  for (const { checked, id } of checks) {
    if (index >= rules.batchMaxEvents) {
      throw new MillraceError(
        "BODY_TOO_LARGE",
        `at most ${rules.batchMaxEvents} events are taken in one request`,
      );
    }
    if (checked.ok)
      events.push(accepted(checked, key === undefined ? undefined : keyIdAt(key, index), nowMs));
    else {
      const reason = told < reasonsMax ? reasonOf(checked.faults) : REASON_LEFT_OUT;
      told += reason.length;
      rejections.push({ index, id, status: "rejected", reason });
    }
    index += 1;
  }
  return { events, rejections };
}

/** Longest reason for one event, and what a batch's reasons may come to at least, in characters; at most it is the body's bytes. */
const REASON_MAX = 512;
const REASONS_MIN = 65_536;
const REASON_LEFT_OUT = "is not valid; the reasons told before this one are all that fit";

function reasonOf(faults: readonly Fault[]): string {
  const reason = faults.map((fault) => fault.detail).join("; ");
  return reason.length <= REASON_MAX ? reason : `${reason.slice(0, REASON_MAX - 1).toWellFormed()}…`;
}

interface Item {
  readonly checked: Checked;
  readonly id: string | null;
}

function* checkMany(type: string, body: Buffer, rules: AcceptRules, nowMs: number): Generator<Item> {
  if (ndjson.includes(type)) {
    for (const line of linesOf(text(body))) {
      if (line.trim() !== "") yield checkLine(line, rules, nowMs);
    }
    return;
  }
  const batch = type === "application/cloudevents-batch+json";
  if (!batch && type !== "application/json" && !(type === "text/plain" && rules.plainText)) {
    throw unsupported(type, ["application/json", ndjson[0] as string, "application/cloudevents-batch+json"]);
  }
  const values = parse(text(body));
  if (!Array.isArray(values))
    throw new MillraceError("MALFORMED_BODY", "the body must be a JSON array of events");
  for (const value of values) {
    yield {
      checked: batch ? checkStructured(value, rules, nowMs) : checkEvent(value, rules, nowMs),
      id: idOf(value),
    };
  }
}

/** One at a time: millions of line breaks are not held as millions of texts. */
function* linesOf(all: string): Generator<string> {
  let from = 0;
  for (let to = all.indexOf("\n"); to >= 0; to = all.indexOf("\n", from)) {
    yield all.slice(from, to);
    from = to + 1;
  }
  yield all.slice(from);
}

function checkLine(line: string, rules: AcceptRules, nowMs: number): Item {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { checked: { ok: false, faults: [{ pointer: "", detail: "the line is not JSON" }] }, id: null };
  }
  return { checked: checkEvent(value, rules, nowMs), id: idOf(value) };
}

function checkStructured(value: unknown, rules: EventRules, nowMs: number): Checked {
  const cloudEvent = fromJsonFormat(value);
  if (cloudEvent !== undefined) return checkCloudEvent(cloudEvent, rules, nowMs);
  return { ok: false, faults: [{ pointer: "", detail: "a CloudEvent must be a JSON object" }] };
}

function accepted(
  checked: Extract<Checked, { ok: true }>,
  fallbackId: string | undefined,
  nowMs: number,
): AcceptedEvent {
  const { username, metric, count, id, atMs } = checked.event;
  return { username, metric, count, atMs: atMs ?? nowMs, id: id ?? fallbackId };
}

function idOf(value: unknown): string | null {
  const id = typeof value === "object" && value !== null && "id" in value ? value.id : undefined;
  return typeof id === "string" ? id.slice(0, 256).toWellFormed() : null;
}

/** The type without parameters. Only UTF-8 is read, whatever else the parameters say. */
function mediaType(contentType: string | undefined): string {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";");
  for (const parameter of parameters) {
    const charset = /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/.exec(parameter)?.[1];
    if (charset !== undefined && charset !== "utf-8" && charset !== "utf8") {
      throw new MillraceError("UNSUPPORTED_MEDIA_TYPE", `charset ${JSON.stringify(charset)}; only utf-8 is`);
    }
  }
  return type.trim();
}

function unsupported(type: string, allowed: readonly string[]): MillraceError {
  return new MillraceError(
    "UNSUPPORTED_MEDIA_TYPE",
    `content-type is ${type || "missing"}; it must be ${allowed.join(" or ")}`,
  );
}

/** `Idempotency-Key` gives ids to the events of a request that bring none, so that the whole request may be sent again. */
function requestKey(headers: IncomingHttpHeaders): string | undefined {
  const key = headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key === "string" && /^[\x21-\x7e]{1,200}$/.test(key)) return key;
  throw new MillraceError("INVALID_HEADER", "idempotency-key must be 1 to 200 visible ASCII characters");
}

function text(body: Buffer): string {
  // toString would put replacement characters in silence.
  if (!isUtf8(body)) throw new MillraceError("MALFORMED_BODY", "the body is not UTF-8");
  return body.toString();
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new MillraceError(
      "MALFORMED_BODY",
      `the body is not JSON: ${(cause as Error).message.slice(0, 200).toWellFormed()}`,
    );
  }
}
