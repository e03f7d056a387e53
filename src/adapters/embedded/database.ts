import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { MillraceError } from "../../errors.ts";

const BUSY_TIMEOUT_MS = 5000;
const SQLITE_BUSY = 5;

export interface Schema {
  /**
   * Higher where a program of before would go wrong with the file. What such a program passes over (a table, a column that may be null)
   * needs no other. In the file it is SQLite's `user_version`: 0 is of before there was one, and is version 1.
   */
  readonly version: number;
  /** Makes what is missing. */
  readonly sql: string;
  readonly mismatch: "STORE_MISMATCH" | "BROKER_MISMATCH";
}

/**
 * Opens a database that survives a power cut: a commit returns once the write-ahead log is on the disk
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). Other processes may have it open too.
 * `cacheKib` bounds its page cache. Throws an error that names the file.
 * @throws MillraceError `mismatch` for a file of a later version, which stays as it is.
 */
export function openDatabase(path: string, schema: Schema, cacheKib: number): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    whenNotBusy(() => database.exec("PRAGMA journal_mode = WAL"));
    database.exec(`
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${cacheKib};
      PRAGMA journal_size_limit = 67108864;
      PRAGMA wal_autocheckpoint = 2000;
    `);
    whenNotBusy(() => database.exec("BEGIN IMMEDIATE"));
    const found = versionOf(database);
    if (found > schema.version) {
      database.close();
      throw tooNew(path, found, schema);
    }
    database.exec(schema.sql);
    // Written only where it changes: each open would else cost a write.
    if (found < schema.version) database.exec(`PRAGMA user_version = ${schema.version}`);
    database.exec("COMMIT");
    return database;
  } catch (cause) {
    if (cause instanceof MillraceError) throw cause;
    throw new Error(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
}

function tooNew(path: string, found: number, { version, mismatch }: Schema): MillraceError {
  return new MillraceError(
    mismatch,
    `${path} is of version ${found}, and this Millrace knows version ${version}. ` +
      "Run the Millrace that wrote it, or a later one; or restore a backup of before the update into an empty folder (docs/upgrades.md)",
  );
}

/** Adds to a table the text columns, null at first, that it lacks; other processes may do the same. */
export function addColumns(database: DatabaseSync, table: string, columns: readonly string[]): void {
  const there = database.prepare("SELECT name FROM pragma_table_info(?)");
  const missing = () => {
    const names = there.all(table).map(({ name }) => name);
    return columns.filter((column) => !names.includes(column));
  };
  if (missing().length === 0) return;
  whenNotBusy(() => database.exec("BEGIN IMMEDIATE"));
  for (const column of missing()) database.exec(`ALTER TABLE ${table} ADD COLUMN ${column} TEXT`);
  database.exec("COMMIT");
}

/** Changing to a write-ahead log does not wait for others that do the same, whatever the busy time-out. */
function whenNotBusy(work: () => void): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      return work();
    } catch (error) {
      const busy = error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
      if (!busy || performance.now() > deadline) throw error;
      // A database thread has nothing else to do.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5 + Math.random() * 20);
    }
  }
}
