import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { brokerSchema } from "./broker-schema.ts";
import { versionOf } from "./database.ts";
import { storeSchema } from "./store-schema.ts";

// A process of its own: it reads a database file through, sends what it found, and waits to be ended.

export type FileName = "broker" | "store";

export interface FileFacts {
  readonly sqlite: string;
  readonly bytes: number;
  /** Without the pages that are free. */
  readonly usedBytes: number;
  readonly walBytes: number;
  readonly journal: string;
  /** What `PRAGMA quick_check` says of a file that is not sound. */
  readonly faults: readonly string[];
  /** Tables that a start would make. */
  readonly missing: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** Of the schema, where it is later than this Millrace knows. */
  readonly laterVersion: number | undefined;
}

const tablesOf: Readonly<Record<FileName, readonly string[]>> = {
  broker: ["message", "delivery", "dead_letter"],
  store: ["account", "distinct_name", "hourly_log", "hourly_total", "applied", "claim", "lease"],
};

/** A name and a number each. */
const countsOf: Readonly<Record<FileName, readonly string[]>> = {
  broker: [
    "SELECT 'due ' || queue AS name, count(*) AS number FROM delivery GROUP BY queue",
    "SELECT 'dead ' || queue AS name, count(*) AS number FROM dead_letter GROUP BY queue",
  ],
  store: [
    "SELECT 'account' AS name, count(*) AS number FROM account",
    "SELECT 'lease' AS name, until AS number FROM lease WHERE name = 'sweeper'",
    "SELECT 'oldest second' AS name, second AS number FROM hourly_log ORDER BY second LIMIT 1",
  ],
};

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED: readonly unknown[] = [11, 26];

/** A file that is damaged in its first pages cannot even be checked. */
function factsOf(name: FileName, path: string): FileFacts {
  try {
    return readFacts(name, path);
  } catch (error) {
    if (!(error instanceof Error && "errcode" in error && DAMAGED.includes(error.errcode))) throw error;
    const sizes = { bytes: bytesIn(path), usedBytes: 0, walBytes: bytesIn(`${path}-wal`) };
    return {
      sqlite,
      ...sizes,
      journal: "wal",
      faults: [error.message],
      missing: [],
      counts: {},
      laterVersion: undefined,
    };
  }
}

const sqlite = process.versions["sqlite"] ?? "";

/** Changes nothing in the file. */
function readFacts(name: FileName, path: string): FileFacts {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
  try {
    const one = (sql: string): unknown => Object.values(database.prepare(sql).get() ?? {})[0];
    const journal = String(one("PRAGMA journal_mode"));
    const checked = database
      .prepare("PRAGMA quick_check(4)")
      .all()
      .map((row) => String(Object.values(row)[0]));
    const faults = checked.filter((line) => line !== "ok");
    const there = database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .all()
      .map((row) => String(row["name"]));
    const missing = tablesOf[name].filter((table) => !there.includes(table));
    const counts: Record<string, number> = {};
    if (faults.length === 0 && missing.length === 0) {
      for (const sql of countsOf[name]) {
        for (const row of database.prepare(sql).all()) counts[String(row["name"])] = Number(row["number"]);
      }
    }
    const version = versionOf(database);
    const known = name === "broker" ? brokerSchema.version : storeSchema.version;
    const pages = Number(one("PRAGMA page_count")) - Number(one("PRAGMA freelist_count"));
    return {
      sqlite,
      bytes: bytesIn(path),
      usedBytes: pages * Number(one("PRAGMA page_size")),
      walBytes: bytesIn(`${path}-wal`),
      journal,
      faults,
      missing,
      counts,
      laterVersion: version > known ? version : undefined,
    };
  } finally {
    database.close();
  }
}

const bytesIn = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

process.once("message", ({ name, path }: { readonly name: FileName; readonly path: string }) => {
  try {
    process.send?.(factsOf(name, path));
  } catch (error) {
    process.send?.(error instanceof Error ? error.message : String(error));
  }
});
