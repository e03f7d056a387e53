import { stat } from "node:fs/promises";
import type { StoredKey } from "../../domain/key.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Emit } from "../../signals.ts";
import { readKeyFile } from "./key-file.ts";

/** How often the file is looked at, in milliseconds. */
const LOOK_MS = 1000;

/** The keys of a file, read anew whenever it changes. Of a file that cannot be read the last keys stay in force. */
export class KeyWatch {
  readonly #path: string;
  readonly #emit: Emit;
  #seen: string;
  #keys: readonly StoredKey[];
  #fault: string | undefined;

  /** @throws MillraceError INVALID_KEYS: there are no last keys yet. */
  static async open(path: string, emit: Emit): Promise<KeyWatch> {
    // Looked at first: what changes in between is then seen as a change.
    const seen = await lookAt(path);
    return new KeyWatch({ path, emit, seen, keys: readKeyFile(path) });
  }

  private constructor(at: {
    readonly path: string;
    readonly emit: Emit;
    readonly seen: string;
    readonly keys: readonly StoredKey[];
  }) {
    this.#path = at.path;
    this.#emit = at.emit;
    this.#seen = at.seen;
    this.#keys = at.keys;
  }

  get keys(): readonly StoredKey[] {
    return this.#keys;
  }

  /** Why the file as it lies now is not in force; undefined where it is. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /**
   * Looks until told to stop, and hands over what has changed. A look and not a notice of the file system: Kubernetes swaps a
   * symbolic link two folders up, and network file systems tell nothing.
   */
  async run(clock: Clock, changed: (keys: readonly StoredKey[]) => void, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const seen = await lookAt(this.#path);
      if (seen !== this.#seen) {
        this.#seen = seen;
        this.#readAnew(changed);
      }
      await clock.sleep(LOOK_MS, stop);
    }
  }

  #readAnew(changed: (keys: readonly StoredKey[]) => void): void {
    try {
      const before = this.#keys;
      this.#keys = readKeyFile(this.#path);
      changed(this.#keys);
      this.#fault = undefined;
      this.#emit("keys.changed", { keys: this.#keys.length, ...differenceOf(before, this.#keys) });
    } catch (error) {
      this.#fault = error instanceof Error ? error.message : String(error);
      this.#emit("keys.unreadable", { keys: this.#keys.length, error });
    }
  }
}

/** What changes whenever the file does: its place on the disk, its size and its times. */
async function lookAt(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

/** Names of keys that are new, and of those that are no more; a rotated one is in both once its overlap is over. */
function differenceOf(before: readonly StoredKey[], now: readonly StoredKey[]) {
  return { added: namesBeyond(before, now), removed: namesBeyond(now, before) };
}

/** Of the keys that are not among the others. */
function namesBeyond(others: readonly StoredKey[], keys: readonly StoredKey[]): readonly string[] {
  const hashes = new Set(others.map(({ hash }) => hash));
  return Array.from(new Set(keys.filter(({ hash }) => !hashes.has(hash)).map(({ name }) => name)));
}
