import type { Collection, Db } from "mongodb";
import { faultOf, mismatch } from "./faults.ts";

/** The one document of the collection `schema`. */
interface SchemaDocument {
  readonly _id: string;
  readonly version: number;
}
/**
 * Higher where a program of before would go wrong with what is in the database. What such a program passes over (another collection, a
 * field of a document) needs no other. A database of before there was a number has version 1.
 */
const SCHEMA_VERSION = 1;
const SCHEMA_ID = "store";

const schemaIn = (database: Db): Collection<SchemaDocument> => database.collection("schema");

/**
 * 0 where none is told yet.
 * @throws MillraceError STORE_MISMATCH where it is later than this program knows.
 */
export async function schemaVersionOf(database: Db): Promise<number> {
  const version = (await schemaIn(database).findOne({ _id: SCHEMA_ID }))?.version ?? 0;
  if (version <= SCHEMA_VERSION) return version;
  throw mismatch(
    `database '${database.databaseName}' is of version ${version}, and this Millrace knows version ${SCHEMA_VERSION}. ` +
      "Run the Millrace that wrote it, or a later one; or restore a backup of before the update into an empty database (docs/upgrades.md)",
  );
}

/** Where `found` is less. */
export async function raiseSchemaVersion(database: Db, found: number): Promise<void> {
  if (found >= SCHEMA_VERSION) return;
  try {
    await schemaIn(database).updateOne(
      { _id: SCHEMA_ID },
      { $max: { version: SCHEMA_VERSION } },
      { upsert: true },
    );
  } catch (error) {
    // Another process makes it at the same instant; whoever opens the store next looks again.
    if (!["there", "passing"].includes(faultOf(error).kind)) throw error;
  }
}
