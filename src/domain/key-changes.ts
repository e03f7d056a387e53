import { MillraceError } from "../errors.ts";
import { allowed, expiryMs, isKeyName, type StoredKey } from "./key.ts";

type Keys = readonly StoredKey[];

/** @throws MillraceError INVALID_KEYS where the name is taken or is none. */
export function addKey(keys: Keys, key: StoredKey): Keys {
  if (!isKeyName(key.name)) {
    throw new MillraceError("INVALID_KEYS", `the name ${key.name.slice(0, 80)} must be ${allowed.name}`);
  }
  if (keys.some(({ name }) => name === key.name)) {
    throw new MillraceError(
      "INVALID_KEYS",
      `there is a key ${key.name}: rotate or revoke it, or take another name`,
    );
  }
  return [...keys, key];
}

/** @throws MillraceError INVALID_KEYS where there is none of that name. */
export function revokeKey(keys: Keys, name: string): Keys {
  ofName(keys, name);
  return keys.filter((key) => key.name !== name);
}

export interface Successor {
  readonly name: string;
  readonly hash: string;
  readonly nowMs: number;
  /** How long the keys of now still do. */
  readonly overlapMs: number;
  /** When the new one ends; undefined for a life as long as that of the last one. */
  readonly expiresAt: string | undefined;
}

/**
 * Adds a key that may do what the last of that name may; those of now end after the overlap, and those that have ended go.
 * @throws MillraceError INVALID_KEYS where there is none of that name.
 */
export function rotateKey(keys: Keys, successor: Successor): Keys {
  const { name, hash, nowMs, overlapMs } = successor;
  const last = ofName(keys, name);
  const lifeMs = expiryMs(last) - Date.parse(last.createdAt);
  const ended = nowMs + overlapMs;
  const { expiresAt: _, ...kept } = last;
  const expiresAt = successor.expiresAt ?? (Number.isFinite(lifeMs) ? textOf(nowMs + lifeMs) : undefined);
  const fresh = {
    ...kept,
    hash,
    createdAt: textOf(nowMs),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
  const others = keys
    .filter((key) => key.name !== name || (overlapMs > 0 && expiryMs(key) > nowMs))
    .map((key) => (key.name === name && expiryMs(key) > ended ? { ...key, expiresAt: textOf(ended) } : key));
  return [...others, fresh];
}

function ofName(keys: Keys, name: string): StoredKey {
  const last = keys.findLast((key) => key.name === name);
  if (last === undefined) throw new MillraceError("INVALID_KEYS", `there is no key ${name.slice(0, 80)}`);
  return last;
}

const textOf = (ms: number): string => new Date(ms).toISOString();
