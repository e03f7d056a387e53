import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { EmbeddedRows } from "../../domain/backup-rows.ts";
import { asMillraceError, MillraceError } from "../../errors.ts";
import type { RestoreTarget, Rows } from "../../ports/backup.ts";
import type { EmbeddedBackupSettings } from "./backup.ts";
import { tables } from "./backup-tables.ts";
import { openBrokerDatabase } from "./broker-schema.ts";
import { openStoreDatabase } from "./store-schema.ts";

const CACHE_KIB = 8192;
const sections = Object.keys(tables) as (keyof EmbeddedRows)[];
type Value = string | number | null | Uint8Array;

/**
 * Takes a backup into the files of a data folder, in one transaction over both: whatever ends it before the commit, they are as
 * they were. No other process can open them meanwhile.
 */
export function openEmbeddedRestore(settings: EmbeddedBackupSettings): RestoreTarget {
  const { dataDir } = settings;
  let database: DatabaseSync | undefined;
  const inserts = new Map<string, StatementSync>();

  const run = <T>(work: (database: DatabaseSync) => T): T => {
    try {
      if (database === undefined) throw new Error("the restore has not begun");
      return work(database);
    } catch (error) {
      throw asMillraceError(error, "STORE_UNAVAILABLE");
    }
  };

  return {
    kind: "embedded",
    async begin() {
      openStoreDatabase(dataDir, CACHE_KIB).close();
      openBrokerDatabase(dataDir, CACHE_KIB).close();
      database = openAlone(dataDir);
      run(assertEmpty);
      for (const section of sections) {
        const { columns } = tables[section];
        const marks = columns.map(() => "?").join(", ");
        const sql = `INSERT INTO ${place(section)} (${columns.join(", ")}) VALUES (${marks})`;
        run((open) => inserts.set(section, open.prepare(sql)));
      }
      run((open) => open.exec("BEGIN IMMEDIATE"));
    },
    async write({ section, rows }: Rows) {
      if (settings.broker === "elsewhere" && tables[section as keyof EmbeddedRows].of === "broker") {
        throw new MillraceError(
          "BACKUP_MISMATCH",
          "it holds messages of an embedded broker, and the broker here is another: set MILLRACE_BROKER_URL to 'embedded:'",
        );
      }
      run(() => {
        // Checked by the reader: see domain/backup-rows.ts.
        for (const row of rows as readonly (readonly Value[])[])
          inserts.get(section)?.run(...valuesOf(section, row));
      });
      return rows.length;
    },
    async commit() {
      run((open) => {
        open.exec("COMMIT");
        for (const schema of ["main", "broker"]) open.exec(`PRAGMA ${schema}.journal_mode = WAL`);
      });
    },
    async [Symbol.asyncDispose]() {
      // What was not committed is rolled back.
      database?.close();
    },
  };
}

const place = (section: keyof EmbeddedRows): string =>
  `${tables[section].of === "broker" ? "broker" : "main"}.${section}`;

function valuesOf(section: string, row: readonly Value[]): readonly Value[] {
  return section === "message" ? row.with(3, Buffer.from(String(row[3]), "base64")) : row;
}

/**
 * Both files in one connection, and no other beside it. Without a write-ahead log, a commit over several files is one
 * (https://www.sqlite.org/lang_attach.html).
 * @throws MillraceError STORE_NOT_EMPTY while a process has one of them open.
 */
function openAlone(dataDir: string): DatabaseSync {
  const database = new DatabaseSync(join(dataDir, "store.sqlite"), { timeout: 0 });
  try {
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -${CACHE_KIB}`);
    database.prepare("ATTACH ? AS broker").run(join(dataDir, "broker.sqlite"));
    for (const schema of ["main", "broker"]) {
      database.exec(`PRAGMA ${schema}.journal_mode = DELETE; PRAGMA ${schema}.synchronous = FULL`);
    }
    // Takes the locks, which are then kept.
    database.exec("BEGIN EXCLUSIVE; COMMIT");
    return database;
  } catch (cause) {
    database.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    const detail = /locked|busy/.test(reason)
      ? `a process works on the files in ${dataDir}: stop it first`
      : `${dataDir}: ${reason}`;
    throw new MillraceError(/locked|busy/.test(reason) ? "STORE_NOT_EMPTY" : "STORE_UNAVAILABLE", detail);
  }
}

function assertEmpty(database: DatabaseSync): void {
  const there = sections.flatMap((section) => {
    const found = database.prepare(`SELECT count(*) AS n FROM ${place(section)}`).get();
    return found?.["n"] === 0 ? [] : [`${String(found?.["n"])} rows of ${section}`];
  });
  if (there.length > 0) throw new MillraceError("STORE_NOT_EMPTY", `there are ${there.join(", ")}`);
}
