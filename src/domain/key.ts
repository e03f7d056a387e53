import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import { MillraceError } from "../errors.ts";
import { instantOf } from "./instant.ts";

/** What a key lets its holder do: post events, read the views and figures, or list, replay and drop dead letters. */
export const accesses = ["write", "read", "admin"] as const;
export type Access = (typeof accesses)[number];

/** The version of the file's form; one that is not known is refused rather than guessed at. */
const VERSION = 1;
const MAX_KEYS = 100_000;
export const MAX_RATE = 1_000_000;

const name = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** What each field may hold, in the words of an error message. */
export const allowed = {
  name: "1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit",
  hash: "a SHA-256 hash in lower-case hexadecimal",
  access: `a list of ${accesses.map((one) => `'${one}'`).join(", ")}, at least one, none twice`,
  createdAt: "an RFC 3339 date and time",
  expiresAt: "an RFC 3339 date and time",
  ratePerSecond: `an integer from 1 to ${MAX_RATE}`,
  eventsPerDay: `an integer from 1 to ${Number.MAX_SAFE_INTEGER}`,
} as const;
type Field = keyof typeof allowed;

const fields = {
  name: Type.String({ pattern: name.source }),
  hash: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  access: Type.Array(Type.Enum([...accesses]), { minItems: 1, uniqueItems: true }),
  createdAt: Type.String(),
  expiresAt: Type.Optional(Type.String()),
  ratePerSecond: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_RATE })),
  eventsPerDay: Type.Optional(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })),
} as const;
const KeySchema = Type.Object(fields, { additionalProperties: false });

/** A key as it is kept: never itself, only its hash. Several may have one name: they are one holder's. */
export type StoredKey = Readonly<Static<typeof KeySchema>>;

const fieldNames = Object.keys(fields) as Field[];
const required: readonly Field[] = ["name", "hash", "access", "createdAt"];
const checks = Object.fromEntries(fieldNames.map((field) => [field, Compile(fields[field])]));

/** The text of a file of keys. */
export function encodeKeys(keys: readonly StoredKey[]): string {
  return `${JSON.stringify({ version: VERSION, keys }, undefined, 2)}\n`;
}

/** @throws MillraceError INVALID_KEYS, with a line for each fault, its place and what is allowed there. */
export function decodeKeys(text: string): readonly StoredKey[] {
  const faults: string[] = [];
  const keys = listOf(text);
  for (const [at, value] of keys.entries()) faults.push(...faultsOf(value, `/keys/${at}`));
  if (faults.length > 0) throw new MillraceError("INVALID_KEYS", faults.slice(0, 16).join("\n"));
  const stored = keys as readonly StoredKey[];
  const seen = new Map<string, number>();
  for (const [at, { hash }] of stored.entries()) {
    const before = seen.get(hash);
    if (before !== undefined) {
      throw new MillraceError(
        "INVALID_KEYS",
        `/keys/${at}/hash is that of /keys/${before}; it must be its own`,
      );
    }
    seen.set(hash, at);
  }
  return stored;
}

function listOf(text: string): readonly unknown[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    // The parser's words would quote the file.
    throw new MillraceError("INVALID_KEYS", "it is not JSON", { cause });
  }
  if (!isObject(file)) throw new MillraceError("INVALID_KEYS", "it must be an object of version and keys");
  const unknown = Object.keys(file).find((key) => key !== "version" && key !== "keys");
  if (unknown !== undefined) {
    throw new MillraceError("INVALID_KEYS", `${shown(unknown)} is not known; there are version and keys`);
  }
  if (file["version"] !== VERSION) {
    throw new MillraceError("INVALID_KEYS", `/version is ${shown(file["version"])}; it must be ${VERSION}`);
  }
  const { keys } = file;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) {
    throw new MillraceError("INVALID_KEYS", `/keys must be a list of at most ${MAX_KEYS} keys`);
  }
  return keys;
}

function faultsOf(value: unknown, place: string): readonly string[] {
  if (!isObject(value)) return [`${place} is ${shown(value)}; it must be an object`];
  const faults = Object.keys(value)
    .filter((key) => !Object.hasOwn(fields, key))
    .map((key) => `${place}: ${shown(key)} is not known; the fields are ${fieldNames.join(", ")}`);
  for (const field of fieldNames) {
    const content = value[field];
    if (content === undefined) {
      if (required.includes(field)) faults.push(`${place}/${field} is missing; it must be ${allowed[field]}`);
    } else if (checks[field]?.Check(content) !== true || !isSound(field, content)) {
      // Somebody may have put the key itself where its hash belongs.
      const given = field === "hash" ? "***" : shown(content);
      faults.push(`${place}/${field} is ${given}; it must be ${allowed[field]}`);
    }
  }
  return faults;
}

const isSound = (field: Field, content: unknown): boolean =>
  !field.endsWith("At") || (typeof content === "string" && instantOf(content) !== undefined);

export const isKeyName = (text: string): boolean => name.test(text);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 60 ? `${text.slice(0, 60).toWellFormed()}…` : text;
}

/** When a key ends, in milliseconds since 1970; never without such an instant. */
export function expiryMs({ expiresAt }: StoredKey): number {
  return expiresAt === undefined ? Number.POSITIVE_INFINITY : (instantOf(expiresAt) ?? 0);
}
