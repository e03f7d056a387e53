import { audited, type AuditAction, type RecordAudit } from "../domain/audit.ts";
import { type Access, encodeKeys, expiryMs, type StoredKey } from "../domain/key.ts";
import { addKey, revokeKey, rotateKey } from "../domain/key-changes.ts";
import type { KeyPlace } from "../ports/keys.ts";
import { aligned } from "./aligned.ts";
import { newKey } from "./key.ts";

export interface KeyDesk {
  readonly place: KeyPlace;
  /** What the place is called: a file's name, or a Secret's. */
  readonly placeName: string;
  /** Such as `user ann`. */
  readonly by: string;
  readonly record: RecordAudit;
  readonly nowMs: number;
}
export interface NewKey {
  readonly name: string;
  readonly access: readonly Access[];
  readonly lifeMs: number | undefined;
  readonly ratePerSecond: number | undefined;
  readonly eventsPerDay: number | undefined;
}
export interface Rotation {
  readonly name: string;
  readonly overlapMs: number;
  readonly lifeMs: number | undefined;
}

/** Resolves to the key, which is told this once. */
export function createKey(desk: KeyDesk, wanted: NewKey): Promise<string> {
  const { key, hash } = newKey();
  const { name, access, lifeMs, ratePerSecond, eventsPerDay } = wanted;
  const stored: StoredKey = {
    name,
    hash,
    access: [...access],
    createdAt: textOf(desk.nowMs),
    ...(lifeMs === undefined ? {} : { expiresAt: textOf(desk.nowMs + lifeMs) }),
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
    ...(eventsPerDay === undefined ? {} : { eventsPerDay }),
  };
  return deed(desk, "key.created", name, async () => {
    await desk.place.change((keys) => addKey(keys, stored));
    return key;
  });
}

/** Resolves to the new key. */
export function rotate(desk: KeyDesk, { name, overlapMs, lifeMs }: Rotation): Promise<string> {
  const { key, hash } = newKey();
  const { nowMs } = desk;
  const expiresAt = lifeMs === undefined ? undefined : textOf(nowMs + lifeMs);
  return deed(desk, "key.rotated", name, async () => {
    await desk.place.change((keys) => rotateKey(keys, { name, hash, nowMs, overlapMs, expiresAt }));
    return key;
  });
}

export function revoke(desk: KeyDesk, name: string): Promise<void> {
  return deed(desk, "key.revoked", name, () => desk.place.change((keys) => revokeKey(keys, name)));
}

/** A line each, or JSON as the file has it; without what would let anybody in. */
export async function listKeys({ place, nowMs }: KeyDesk, form: "table" | "json"): Promise<string> {
  const keys = await place.read();
  if (form === "json")
    return encodeKeys(keys.map((key) => ({ ...key, hash: `${shortHash(key)}…` }))).trimEnd();
  if (keys.length === 0) return "no keys";
  const rows = keys.map((key) => [
    key.name,
    key.access.join(","),
    key.createdAt,
    expiryOf(key, nowMs),
    key.ratePerSecond === undefined ? "-" : String(key.ratePerSecond),
    key.eventsPerDay === undefined ? "-" : String(key.eventsPerDay),
    shortHash(key),
  ]);
  return aligned([["NAME", "ACCESS", "CREATED", "EXPIRES", "RATE/S", "EVENTS/DAY", "HASH"], ...rows]);
}

const shortHash = ({ hash }: StoredKey): string => hash.slice(0, 8);

function expiryOf(key: StoredKey, nowMs: number): string {
  if (key.expiresAt === undefined) return "never";
  return expiryMs(key) <= nowMs ? `${key.expiresAt} (over)` : key.expiresAt;
}

function deed<T>(desk: KeyDesk, action: AuditAction, name: string, work: () => Promise<T>): Promise<T> {
  return audited(desk.record, { by: desk.by, action, from: desk.placeName }, async (about) => {
    about.name(name);
    return await work();
  });
}

const textOf = (ms: number): string => new Date(ms).toISOString();
