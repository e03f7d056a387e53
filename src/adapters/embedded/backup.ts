import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type EmbeddedRows, sectionsOf } from "../../domain/backup-rows.ts";
import { asMillraceError, MillraceError } from "../../errors.ts";
import type { BackupSource, Rows } from "../../ports/backup.ts";
import { type Columns, tables } from "./backup-tables.ts";
import { openBrokerDatabase } from "./broker-schema.ts";
import { openStoreDatabase } from "./store-schema.ts";

/** Rows are read so many at a time, or so many bytes of messages. */
const MAX_ROWS = 500;
const MAX_BYTES = 1024 * 1024;
const CACHE_KIB = 4096;

export interface EmbeddedBackupSettings {
  readonly dataDir: string;
  /** Whether the broker's file is one of this install. */
  readonly broker: "embedded" | "elsewhere";
}

/**
 * The store's file, and the broker's with what is due and dead in it, both as of one instant: processes may go on writing.
 * @throws MillraceError INVALID_SETTING where there is no store.
 */
export function openEmbeddedBackup(settings: EmbeddedBackupSettings): BackupSource {
  const { dataDir } = settings;
  const hasBroker = settings.broker === "embedded" && existsSync(join(dataDir, "broker.sqlite"));
  if (!existsSync(join(dataDir, "store.sqlite")))
    throw new MillraceError("INVALID_SETTING", `there is no store in the folder ${dataDir}`);
  const store = openStoreDatabase(dataDir, CACHE_KIB);
  const broker = hasBroker ? openBrokerDatabase(dataDir, CACHE_KIB) : undefined;

  async function* rows(): AsyncGenerator<Rows> {
    try {
      asOfNow();
      for (const section of sectionsOf("embedded")) {
        const name = section as keyof EmbeddedRows;
        const database = tables[name].of === "broker" ? broker : store;
        if (database !== undefined) yield* rowsOf(database, name);
      }
    } catch (error) {
      throw asMillraceError(error, "STORE_UNAVAILABLE");
    }
  }

  /**
   * Both files are seen as they are while nobody can write the broker's. A message is published there before it is applied and
   * settled there afterwards: one that has not been applied to a view is still due to it in what is seen.
   */
  function asOfNow(): void {
    const writer = broker && new DatabaseSync(join(dataDir, "broker.sqlite"), { timeout: LOCK_MS });
    try {
      writer?.exec("BEGIN IMMEDIATE");
      for (const database of [broker, store]) {
        // A transaction sees what was committed before its first read.
        database?.exec("BEGIN");
        database?.prepare("SELECT count(*) FROM sqlite_schema").get();
      }
    } finally {
      writer?.close();
    }
  }

  return {
    kind: "embedded",
    rows,
    async [Symbol.asyncDispose]() {
      broker?.close();
      store.close();
    },
  };
}

/** Longest wait for a moment in which nobody writes, in milliseconds. */
const LOCK_MS = 30_000;

function* rowsOf(database: DatabaseSync, section: keyof EmbeddedRows): Generator<Rows> {
  const { columns, order } = tables[section];
  const names = columns.join(", ");
  let rows: unknown[] = [];
  let bytes = 0;
  for (const row of database.prepare(`SELECT ${names} FROM ${section} ORDER BY ${order}`).iterate()) {
    rows.push(columns.map((column: Columns[number]) => asJson(row[column])));
    bytes += row["body"] instanceof Uint8Array ? row["body"].byteLength : 0;
    if (rows.length < MAX_ROWS && bytes < MAX_BYTES) continue;
    yield { section, rows };
    rows = [];
    bytes = 0;
  }
  if (rows.length > 0) yield { section, rows };
}

const asJson = (value: unknown): unknown =>
  value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
