import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { decodeKeys, encodeKeys, type StoredKey } from "../../domain/key.ts";
import { MillraceError } from "../../errors.ts";
import type { KeyPlace } from "../../ports/keys.ts";

/** Longest wait for another process that changes the same file, in milliseconds. */
const LOCK_MS = 10_000;

/** Keys in a file, which only its owner can read where it is made here. */
export function openKeyFile(path: string): KeyPlace {
  return {
    read: async () => (existsSync(path) ? readKeyFile(path) : []),
    change: async (edit) => {
      using _ = lock(path);
      // What the name leads to is replaced, not the name.
      const there = existsSync(path) ? realpathSync(path) : undefined;
      replace(there ?? path, encodeKeys(edit(there === undefined ? [] : readKeyFile(there))));
    },
  };
}

/** @throws MillraceError INVALID_KEYS, with the file's name, where it cannot be read or does not hold keys. */
export function readKeyFile(path: string): readonly StoredKey[] {
  try {
    return decodeKeys(readFileSync(path, "utf8"));
  } catch (cause) {
    throw faultOf(path, cause);
  }
}

function faultOf(path: string, cause: unknown): MillraceError {
  const own = cause instanceof MillraceError ? cause.detail : undefined;
  const words = own ?? (cause instanceof Error ? cause.message : String(cause));
  return new MillraceError("INVALID_KEYS", `${path}: ${words}`, { cause });
}

/** An exclusive lock on a file beside it, which the system drops when its process dies. */
function lock(path: string): Disposable {
  try {
    const file = new DatabaseSync(`${path}.lock`, { timeout: LOCK_MS });
    try {
      file.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      file.close();
      throw error;
    }
    return { [Symbol.dispose]: () => file.close() };
  } catch (cause) {
    throw faultOf(`${path}.lock`, cause);
  }
}

/** Whoever reads meanwhile reads the old text or the new one, also after a power cut. */
function replace(path: string, text: string): void {
  const fresh = `${path}.new`;
  try {
    // Left by a process that died in here: nobody else is, under the lock.
    rmSync(fresh, { force: true });
    writeFileSync(fresh, text, { mode: 0o600, flag: "wx", flush: true });
    keepOwner(path, fresh);
    renameSync(fresh, path);
    flushFolder(dirname(path));
  } catch (cause) {
    rmSync(fresh, { force: true });
    throw faultOf(path, cause);
  }
}

/** A server that runs as another user must still be able to read it. */
function keepOwner(path: string, fresh: string): void {
  if (!existsSync(path)) return;
  const [old, own] = [statSync(path), statSync(fresh)];
  if (old.uid !== own.uid || old.gid !== own.gid) chownSync(fresh, old.uid, old.gid);
  chmodSync(fresh, old.mode & 0o777);
}

function flushFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
