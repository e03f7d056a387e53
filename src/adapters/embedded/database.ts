import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";

/**
 * Opens a database that survives a power cut: a commit returns once the write-ahead log is on the disk
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). Other processes may have it open too.
 * `cacheKib` bounds its page cache.
 */
export function openDatabase(path: string, schema: string, cacheKib: number): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path, { timeout: 5000 });
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -${cacheKib};
    PRAGMA journal_size_limit = 67108864;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA temp_store = MEMORY;
  `);
  database.exec(`BEGIN IMMEDIATE; ${schema}; COMMIT`);
  return database;
}
