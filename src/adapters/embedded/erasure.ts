import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { erasedAlso } from "../../domain/erasure.ts";
import { asMillraceError, MillraceError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Erasure } from "../../ports/erasure.ts";
import { BrokerErasure, type InHand } from "./broker-erasure.ts";
import { openBrokerDatabase } from "./broker-schema.ts";
import { filesHolding } from "./raw-search.ts";
import { eraseFromStore } from "./store-erasure.ts";
import { openStoreDatabase } from "./store-schema.ts";

const CACHE_KIB = 4096;
/** Longest wait for a moment in which nobody writes, or reads what was before, in milliseconds. */
const LOCK_MS = 30_000;
const LOOK_MS = 100;

/**
 * Erases in the files of a data folder, beside the processes that work on them.
 * @throws MillraceError INVALID_SETTING where there is no install in the folder.
 */
export function openEmbeddedErasure(dataDir: string, clock: Clock, lockMs = LOCK_MS): Erasure {
  if (!existsSync(join(dataDir, "store.sqlite")))
    throw new MillraceError("INVALID_SETTING", `there is no store in the folder ${dataDir}`);
  const store = erasing(openStoreDatabase(dataDir, CACHE_KIB), lockMs);
  const database = erasing(openBrokerDatabase(dataDir, CACHE_KIB), lockMs);
  const broker = new BrokerErasure(database, dataDir);

  /** Resolves to those that are still in hand at the end of the wait. */
  async function settled(inHand: readonly InHand[], waitMs: number): Promise<number> {
    const until = clock.now() + waitMs;
    for (let left = broker.stillInHand(inHand); ; left = broker.stillInHand(left)) {
      if (left.length === 0 || clock.now() >= until) return left.length;
      await clock.sleep(LOOK_MS);
    }
  }

  return {
    round: (username, waitMs) =>
      translated(async () => {
        const { erased: fromBroker, inHand, tooNew } = broker.erase(username);
        const left = await settled(inHand, waitMs);
        // After the wait: what those in hand have written is erased, too.
        const erased = erasedAlso(fromBroker, eraseFromStore(store, username));
        return { erased, inHand: left + tooNew, tooNew };
      }),
    purge: (waitMs) =>
      translated(async () => {
        for (const name of ["broker.sqlite", "store.sqlite"])
          await purge(join(dataDir, name), { waitMs, lockMs }, clock);
        return [];
      }),
    holding: (texts) => filesHolding(dataDir, texts),
    proof: "no file of the data folder holds the name",
    async [Symbol.asyncDispose]() {
      database.close();
      store.close();
    },
  };
}

/** What this connection deletes is overwritten (https://www.sqlite.org/pragma.html#pragma_secure_delete). */
function erasing(database: DatabaseSync, lockMs: number): DatabaseSync {
  database.exec(`PRAGMA secure_delete = ON; PRAGMA busy_timeout = ${lockMs}`);
  return database;
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asMillraceError(error, "STORE_UNAVAILABLE");
  }
}

/**
 * Writes a file anew without its free pages, which hold what others have deleted, and empties its write-ahead log, which holds
 * the pages of before.
 */
async function purge(
  path: string,
  { waitMs, lockMs }: { readonly waitMs: number; readonly lockMs: number },
  clock: Clock,
): Promise<void> {
  const database = erasing(new DatabaseSync(path), lockMs);
  try {
    database.exec("VACUUM");
    const checkpoint = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)");
    const until = clock.now() + waitMs;
    while (checkpoint.get()?.["busy"] !== 0) {
      if (clock.now() >= until) {
        const reason = `a process has been reading ${path} all the while, such as a backup`;
        throw new MillraceError("STORE_UNAVAILABLE", `${reason}: let it end, then erase again`);
      }
      await clock.sleep(LOOK_MS);
    }
  } finally {
    database.close();
  }
}
