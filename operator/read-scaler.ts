import {
  type BrokenScaler,
  type QueueScaler,
  queueScalerSpec,
  type QueueScalerSpec,
} from "./queue-scaler.ts";
import { queueScalerStatus, type QueueScalerStatus } from "./queue-scaler-status.ts";

/** As much of JSON Schema as the custom resource is written in. */
export interface Schema {
  readonly type?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[] | undefined;
  readonly items?: Schema;
}

/** Faults that are told of one spec. */
const MOST_FAULTS = 5;

/**
 * A scaler as the API server holds it. What its definition there does not know, because it is older than this operator or was
 * edited, is filled in here as the API server would; what it lets through against our schema makes a broken one.
 */
export function readScaler(object: {
  readonly metadata: QueueScaler["metadata"];
  readonly spec: unknown;
  readonly status: unknown;
}): QueueScaler | BrokenScaler {
  const { metadata } = object;
  const status = statusIn(object.status);
  const known = { metadata, ...(status === undefined ? {} : { status }) };
  const spec = filled(queueScalerSpec, object.spec);
  const faults = Array.from(faultsIn(queueScalerSpec, spec, "spec"));
  if (faults.length > 0) return { ...known, fault: faults.slice(0, MOST_FAULTS).join("; ") };
  const fault = contradictionIn(spec as QueueScalerSpec);
  return fault === undefined ? { ...known, spec: spec as QueueScalerSpec } : { ...known, fault };
}

/** One that is not ours is as good as none: it only says what was known before. */
function statusIn(given: unknown): QueueScalerStatus | undefined {
  const status = filled(queueScalerStatus, given);
  if (status === undefined) return undefined;
  const isOurs = Array.from(faultsIn(queueScalerStatus, status, "status")).length === 0;
  return isOurs ? (status as QueueScalerStatus) : undefined;
}

/** What the schema says in rules of its own, which span two fields. */
function contradictionIn({ replicas: { min, max }, fallback }: QueueScalerSpec): string | undefined {
  if (min > max) return `spec.replicas.min is ${min} and must not be greater than spec.replicas.max, ${max}`;
  if (fallback === undefined || fallback.replicas <= max) return undefined;
  return `spec.fallback.replicas is ${fallback.replicas} and must not be greater than spec.replicas.max, ${max}`;
}

/** Without fields that are not known, with defaults for those that are missing; null is missing. */
function filled(schema: Schema, given: unknown): unknown {
  const value = given ?? schema.default;
  const { properties, items } = schema;
  if (items !== undefined && Array.isArray(value)) return value.map((item) => filled(items, item));
  if (properties === undefined || !isObject(value)) return value;
  const fields = Object.entries(properties).map(
    ([name, of]) => [name, filled(of, Object.hasOwn(value, name) ? value[name] : undefined)] as const,
  );
  return Object.fromEntries(fields.filter(([, field]) => field !== undefined));
}

function* faultsIn(schema: Schema, value: unknown, path: string): Generator<string> {
  if (value === undefined) yield `${path} is missing and must be ${allowedBy(schema)}`;
  else if (!fits(schema, value)) yield `${path} is ${shown(value)} and must be ${allowedBy(schema)}`;
  const { properties = {}, required = [], items } = schema;
  if (items !== undefined && Array.isArray(value)) {
    for (const [at, item] of value.entries()) yield* faultsIn(items, item, `${path}[${at}]`);
  }
  if (!isObject(value)) return;
  for (const [name, of] of Object.entries(properties)) {
    if (name in value || required.includes(name)) yield* faultsIn(of, value[name], `${path}.${name}`);
  }
}

function fits(schema: Schema, value: unknown): boolean {
  const { type, minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
  if (schema.enum !== undefined) return schema.enum.includes(value);
  if (type === "object") return isObject(value);
  if (type === "array") return Array.isArray(value) && value.length <= (schema.maxItems ?? value.length);
  if (type === "boolean") return typeof value === "boolean";
  if (type === "string") return typeof value === "string" && fitsText(schema, value);
  return (
    type === "integer" && Number.isInteger(value) && Number(value) >= minimum && Number(value) <= maximum
  );
}

function fitsText({ minLength = 0, maxLength, pattern, format }: Schema, text: string): boolean {
  // A character takes two units at most: what is far too long is not looked at.
  if (maxLength !== undefined && text.length > 2 * maxLength) return false;
  const { length } = Array.from(text);
  if (length < minLength || length > (maxLength ?? length)) return false;
  if (format === "date-time" && Number.isNaN(Date.parse(text))) return false;
  return pattern === undefined || new RegExp(pattern, "u").test(text);
}

/** In the words of an error message. */
function allowedBy({ type, minimum, maximum, minLength = 0, maxLength, pattern, ...schema }: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((one) => `'${String(one)}'`).join(" or ");
  if (type === "integer") return `an integer from ${minimum} to ${maximum}`;
  if (type === "boolean") return "true or false";
  if (type !== "string") return type === "array" ? "a list" : "an object";
  const length = maxLength === undefined ? "" : ` of ${minLength} to ${maxLength} characters`;
  return `a text${length}${pattern === undefined ? "" : ` that matches ${pattern}`}`;
}

/** Not what is in an object: it may be as deep as it likes. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value !== "string") return isObject(value) ? "an object" : String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60).toWellFormed()}…` : value);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
