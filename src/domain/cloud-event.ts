import type { Fault } from "../errors.ts";
import { type Checked, checkEvent, type EventRules } from "./event.ts";

/** The attributes of a CloudEvent (https://github.com/cloudevents/spec, 1.0.2) and its data, already parsed. */
export interface CloudEvent {
  readonly attributes: ReadonlyMap<string, unknown>;
  readonly data: unknown;
}

const ATTRIBUTE_MAX = 1024;
const required = ["specversion", "id", "source", "type"] as const;

/** The event in a CloudEvent's data. Its id is `source id`: that pair is what names a duplicate. */
export function checkCloudEvent(cloudEvent: CloudEvent, rules: EventRules, nowMs: number): Checked {
  const faults = required.flatMap((name) => attributeFault(name, cloudEvent.attributes.get(name)));
  const type = cloudEvent.attributes.get("datacontenttype");
  if (
    type !== undefined &&
    (typeof type !== "string" || !/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type))
  ) {
    faults.push({ pointer: "/datacontenttype", detail: "datacontenttype must be application/json" });
  }
  const data = cloudEvent.data;
  const time = cloudEvent.attributes.get("time");
  const timed =
    typeof data === "object" &&
    data !== null &&
    !Array.isArray(data) &&
    time !== undefined &&
    !("timestamp" in data);
  const checked = checkEvent(timed ? { ...data, timestamp: time } : data, rules, nowMs);
  if (!checked.ok) {
    for (const { pointer, detail } of checked.faults)
      faults.push({ pointer: `/data${pointer}`, detail: `data: ${detail}` });
  }
  if (!checked.ok || faults.length > 0) return { ok: false, faults };
  const id = `${String(cloudEvent.attributes.get("source"))} ${String(cloudEvent.attributes.get("id"))}`;
  return { ok: true, event: { ...checked.event, id } };
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
  const attributes = new Map<string, unknown>(Object.entries(value));
  const base64 = attributes.get("data_base64");
  const data =
    typeof base64 === "string" && !attributes.has("data") ? parsed(base64) : attributes.get("data");
  attributes.delete("data");
  attributes.delete("data_base64");
  return { attributes, data };
}

function parsed(base64: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64, "base64").toString());
  } catch {
    return undefined;
  }
}

/** A CloudEvent in binary mode: `ce-` headers, percent-encoded, and the body as its data. */
export function fromHeaders(headers: Readonly<Record<string, unknown>>, data: unknown): CloudEvent {
  const attributes = new Map<string, unknown>();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith("ce-"))
      attributes.set(name.slice(3), typeof value === "string" ? decoded(value) : value);
  }
  return { attributes, data };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
