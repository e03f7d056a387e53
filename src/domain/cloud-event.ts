import { isUtf8 } from "node:buffer";
import type { Fault } from "../errors.ts";
import { type Checked, checkEvent, type EventRules, instantFault } from "./event.ts";
import { cloudEventId } from "./event-id.ts";
import { instantOf } from "./instant.ts";

/** The attributes of a CloudEvent (https://github.com/cloudevents/spec, 1.0.2) and its data, already parsed. */
export interface CloudEvent {
  readonly attributes: ReadonlyMap<string, unknown>;
  readonly data: unknown;
  /** The JSON pointer to the data in the body. */
  readonly dataAt: "" | "/data";
  /** Why there is no data to judge. */
  readonly dataFault?: Fault;
}

/** Longest attribute, in UTF-16 code units. */
export const ATTRIBUTE_MAX = 1024;
const required = ["specversion", "id", "source", "type"] as const;

/** The event in a CloudEvent's data. Its source and id together are what names a duplicate. */
export function checkCloudEvent(cloudEvent: CloudEvent, rules: EventRules, nowMs: number): Checked {
  const faults = required.flatMap((name) => attributeFault(name, cloudEvent.attributes.get(name)));
  const type = cloudEvent.attributes.get("datacontenttype");
  if (
    type !== undefined &&
    (typeof type !== "string" || !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type))
  ) {
    faults.push({ pointer: "/datacontenttype", detail: "datacontenttype must be application/json" });
  }
  const time = cloudEvent.attributes.get("time");
  if (time !== undefined) faults.push(...timeFault(time, rules, nowMs));
  if (cloudEvent.dataFault !== undefined) return { ok: false, faults: [...faults, cloudEvent.dataFault] };
  const checked = checkEvent(cloudEvent.data, rules, nowMs);
  if (!checked.ok) {
    for (const { pointer, detail } of checked.faults)
      faults.push({ pointer: `${cloudEvent.dataAt}${pointer}`, detail: `data: ${detail}` });
  }
  if (!checked.ok || faults.length > 0) return { ok: false, faults };
  const id = cloudEventId(
    String(cloudEvent.attributes.get("source")),
    String(cloudEvent.attributes.get("id")),
  );
  const atMs = checked.event.atMs ?? (typeof time === "string" ? instantOf(time) : undefined);
  return { ok: true, event: { ...checked.event, id, atMs } };
}

function timeFault(time: unknown, rules: EventRules, nowMs: number): Fault[] {
  const detail = typeof time === "string" ? instantFault(time, rules, nowMs) : "is no string";
  return detail === undefined ? [] : [{ pointer: "/time", detail: `time ${detail}` }];
}

function attributeFault(name: (typeof required)[number], value: unknown): Fault[] {
  const fault = (detail: string): Fault[] => [{ pointer: `/${name}`, detail: `${name} ${detail}` }];
  if (value === undefined) return fault("is missing; a CloudEvent must have it");
  if (typeof value !== "string" || value === "") return fault("must be a string that is not empty");
  if (value.length > ATTRIBUTE_MAX) return fault(`is longer than ${ATTRIBUTE_MAX} characters`);
  if (value.includes("\0") || !value.isWellFormed())
    return fault("holds a NUL character or half of a surrogate pair");
  if (name === "specversion" && value !== "1.0")
    return fault(`is ${JSON.stringify(value)}; it must be "1.0"`);
  // A URI reference has no white space, which keeps `source id` free of doubt.
  if (name === "source" && /\s/.test(value)) return fault("must be a URI reference, without white space");
  return [];
}

/** A CloudEvent in the JSON format (structured mode, or one of a batch). */
export function fromJsonFormat(value: unknown): CloudEvent | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  // An attribute that is null is not there.
  const attributes = new Map<string, unknown>(
    Object.entries(value).filter(([, content]) => content !== null),
  );
  const base64 = attributes.get("data_base64");
  const data = attributes.get("data");
  attributes.delete("data");
  attributes.delete("data_base64");
  if (base64 === undefined) return { attributes, data, dataAt: "/data" };
  if (data !== undefined) return { attributes, ...faulty("data_base64 and data are both there") };
  return { attributes, ...decodedData(base64) };
}

type Data = Pick<CloudEvent, "data" | "dataAt" | "dataFault">;

function decodedData(base64: unknown): Data {
  const bytes = Buffer.from(typeof base64 === "string" ? base64 : "", "base64");
  // Buffer.from skips what is not base64.
  if (bytes.toString("base64") !== base64) return faulty("data_base64 is not base64");
  if (!isUtf8(bytes)) return faulty("data_base64 does not hold UTF-8");
  try {
    return { data: JSON.parse(bytes.toString()), dataAt: "/data" };
  } catch {
    return faulty("data_base64 does not hold JSON");
  }
}

function faulty(detail: string): Data {
  return { data: undefined, dataAt: "/data", dataFault: { pointer: "/data_base64", detail } };
}

const requiredHeaders = required.map((name) => `ce-${name}`);

/**
 * A CloudEvent in binary mode: `ce-` headers, percent-encoded, and the body as its data. Undefined where none of the
 * headers that it must have is there; one of them is enough to tell that it was meant.
 */
export function fromHeaders(
  headers: Readonly<Record<string, unknown>>,
  data: unknown,
): CloudEvent | undefined {
  if (requiredHeaders.every((name) => headers[name] === undefined)) return undefined;
  const attributes = new Map<string, unknown>();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith("ce-"))
      attributes.set(name.slice(3), typeof value === "string" ? decoded(value) : value);
  }
  return { attributes, data, dataAt: "" };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
