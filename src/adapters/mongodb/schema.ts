import type { Collection, Db, IndexDescriptionInfo } from "mongodb";
import type { DayCount } from "../../domain/distinct-name.ts";
import type { Summary } from "../../domain/summary.ts";
import { MillraceError } from "../../errors.ts";
import type { PeriodCount } from "../../ports/store.ts";
import { mismatch } from "./faults.ts";
import { raiseSchemaVersion, schemaVersionOf } from "./schema-version.ts";

/** Instants are in milliseconds since 1970, seconds since 1970; `expiresAt` alone is a date, as the server's clean-up needs. */
export interface AccountDocument {
  /** The username. */
  readonly _id: string;
  readonly firstSeen: number;
}
export interface ClaimDocument {
  /** `<projection>:<event id>`. */
  readonly _id: string;
  readonly message: string;
  readonly at: number;
  readonly expiresAt: Date;
}
export interface LeaseDocument {
  readonly _id: string;
  readonly holder: string;
  readonly until: number;
}
/** Ids of all documents of a message that has several: by them a backup takes it whole or not at all. */
type MessageParts = readonly string[];
/** What one message did to the hourly log; never changed. */
export interface HourlyDocument {
  readonly _id: string;
  /** The message's greatest second: its documents are out of the hour when this is. */
  readonly last: number;
  readonly expiresAt: Date;
  readonly parts?: MessageParts;
  readonly totals: readonly HourlyTotal[];
  readonly users: readonly (HourlyTotal & { readonly username: string })[];
}
export interface HourlyTotal extends Summary {
  readonly second: number;
  readonly metric: string;
}
/** What one message did to the distinct names, until a fold has counted it: then a mark that it has been. */
export interface PartDocument {
  readonly _id: string;
  readonly at: number;
  readonly parts?: MessageParts;
  readonly open?: 1;
  readonly rows?: readonly DayCount[];
}
/** A day's or a month's count of a metric, as of fold `upTo`, which added `last`. See fold-log.ts. */
export interface TotalDocument extends PeriodCount {
  readonly _id: string;
  readonly upTo: number;
  readonly last: number;
}
export interface FoldDocument {
  /** 1, 2, 3 and so on. */
  readonly _id: number;
  readonly at: number;
  readonly finished: boolean;
  readonly parts?: readonly string[];
  readonly rows?: readonly PeriodCount[];
}
/** What is written and read to see that both can be done. */
export interface ProbeDocument {
  readonly _id: string;
  readonly at: number;
}

export interface ErasureDocument {
  readonly _id: "accounts";
  /** Grows with each erasure: see ports/store.ts. */
  readonly number: number;
}

export interface Collections {
  readonly accountName: Collection<AccountDocument>;
  readonly claim: Collection<ClaimDocument>;
  readonly lease: Collection<LeaseDocument>;
  readonly hourlyLog: Collection<HourlyDocument>;
  readonly distinctName: Collection<PartDocument>;
  readonly total: Collection<TotalDocument>;
  readonly fold: Collection<FoldDocument>;
  readonly probe: Collection<ProbeDocument>;
  readonly erasure: Collection<ErasureDocument>;
}

interface Index {
  readonly name: string;
  readonly key: Readonly<Record<string, 1 | -1>>;
  readonly sparse?: true;
  readonly expireAfterSeconds?: number;
  readonly partialFilterExpression?: Readonly<Record<string, number>>;
}

/** Every collection and index once. Those on `expiresAt` collect garbage where no sweeper runs; reads go by time themselves. */
const schema: { readonly [name: string]: readonly Index[] } = {
  accountName: [{ name: "firstSeen", key: { firstSeen: 1, _id: 1 } }],
  claim: [
    { name: "at", key: { at: 1 } },
    { name: "expiresAt", key: { expiresAt: 1 }, expireAfterSeconds: 0 },
  ],
  lease: [],
  hourlyLog: [
    { name: "last", key: { last: 1 } },
    { name: "expiresAt", key: { expiresAt: 1 }, expireAfterSeconds: 0 },
  ],
  distinctName: [
    { name: "open", key: { open: 1 }, sparse: true },
    { name: "at", key: { at: 1 } },
  ],
  "distinctName.total": [{ name: "spent", key: { upTo: 1 }, partialFilterExpression: { count: 0 } }],
  "distinctName.fold": [],
  probe: [],
  schema: [],
  erasure: [],
};

export function collectionsOf(database: Db): Collections {
  return {
    accountName: database.collection("accountName"),
    claim: database.collection("claim"),
    lease: database.collection("lease"),
    hourlyLog: database.collection("hourlyLog"),
    distinctName: database.collection("distinctName"),
    total: database.collection("distinctName.total"),
    fold: database.collection("distinctName.fold"),
    probe: database.collection("probe"),
    erasure: database.collection("erasure"),
  };
}

/** The wire version of MongoDB 6.0. */
const OLDEST_WIRE_VERSION = 17;

/**
 * Makes what is missing of the schema and checks the rest. Safe to run from many processes at once.
 * @throws MillraceError STORE_MISMATCH, in words, where what is there is not as it is needed.
 */
export async function ensureSchema(database: Db): Promise<void> {
  await assertVersion(database);
  const version = await schemaVersionOf(database);
  const existing = await database.listCollections().toArray();
  for (const [name, indexes] of Object.entries(schema)) {
    if (!isThere(existing, name)) await makeCollection(database, name);
    const missing = await missingIndexes(database, name, indexes);
    if (missing.length === 0) continue;
    await database
      .collection(name)
      .createIndexes(missing.map((index) => ({ ...index, key: { ...index.key } })));
  }
  await raiseSchemaVersion(database, version);
}

export interface SchemaFacts {
  /** What `ensureSchema` would make. */
  readonly missing: readonly string[];
  /** What it would throw. */
  readonly wrong: readonly MillraceError[];
  /** No role has opened the store yet. The probe is there as soon as somebody has asked whether a write can be done. */
  readonly nothingThere: boolean;
}

/** Makes nothing. */
export async function lookAtSchema(database: Db): Promise<SchemaFacts> {
  const missing: string[] = [];
  const wrong: MillraceError[] = [];
  await schemaVersionOf(database).catch((error: unknown) => {
    if (!(error instanceof MillraceError)) throw error;
    wrong.push(error);
  });
  const existing = await database.listCollections().toArray();
  for (const [name, indexes] of Object.entries(schema)) {
    try {
      if (!isThere(existing, name)) missing.push(`collection ${name}`);
      else {
        const lacking = await missingIndexes(database, name, indexes);
        missing.push(...lacking.map((index) => `index ${index.name} of ${name}`));
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      wrong.push(error);
    }
  }
  const nothingThere = !existing.some(({ name }) => name !== "probe" && Object.hasOwn(schema, name));
  return { missing, wrong, nothingThere };
}

/** @throws MillraceError STORE_MISMATCH */
export async function assertVersion(database: Db): Promise<number> {
  const wireVersion = await wireVersionOf(database);
  if (wireVersion >= OLDEST_WIRE_VERSION) return wireVersion;
  throw mismatch(
    `the server's wire version is ${wireVersion || "unknown"}; ${OLDEST_WIRE_VERSION} is needed, which is that of MongoDB 6.0. Upgrade the server`,
  );
}

type Existing = Awaited<ReturnType<ReturnType<Db["listCollections"]>["toArray"]>>;

function isThere(existing: Existing, name: string): boolean {
  const found = existing.find((one) => one.name === name);
  if (found === undefined) return false;
  checkCollection(name, found.type ?? "collection", ("options" in found && found.options) || {});
  return true;
}

const COMMAND_NOT_FOUND = 59;
const NAMESPACE_EXISTS = 48;

const hasCode = (error: unknown, code: number): boolean =>
  error instanceof Error && "code" in error && error.code === code;

/** 0 where the server is too old to have the question. */
async function wireVersionOf(database: Db): Promise<number> {
  try {
    const hello = await database.admin().command({ hello: 1 });
    return Number(hello["maxWireVersion"]);
  } catch (error) {
    if (hasCode(error, COMMAND_NOT_FOUND)) return 0;
    throw error;
  }
}

async function makeCollection(database: Db, name: string): Promise<void> {
  try {
    await database.createCollection(name);
  } catch (error) {
    if (!hasCode(error, NAMESPACE_EXISTS)) throw error;
  }
}

function checkCollection(name: string, type: string, options: Readonly<Record<string, unknown>>): void {
  const odd = ["capped", "collation", "timeseries"].filter((option) => options[option]);
  const is = type === "collection" ? odd.map((option) => `has the option ${option}`) : [`is a ${type}`];
  if (is.length === 0) return;
  throw mismatch(
    `'${name}' ${is.join(" and ")}; a plain collection is needed. Rename it, or use another database`,
  );
}

async function missingIndexes(
  database: Db,
  name: string,
  indexes: readonly Index[],
): Promise<readonly Index[]> {
  if (indexes.length === 0) return [];
  const existing = await database.collection(name).listIndexes().toArray();
  return indexes.filter((index) => {
    if (existing.some((one) => termsOf(one) === termsOf(index))) return false;
    const rival = existing.find((one) => one.name === index.name || shown(one.key) === shown(index.key));
    if (rival === undefined) return true;
    throw mismatch(
      `collection '${name}' of database '${database.databaseName}' has the index '${rival.name}' as ${termsOf(rival)}; ` +
        `${termsOf(index)} is needed. Drop that index; the right one is made at the next start`,
    );
  });
}

const shown = (value: unknown): string => JSON.stringify(value);

/** An index as it works, in one text: its keys in order, and its options but for its name and version. */
function termsOf(index: Index | IndexDescriptionInfo): string {
  const options: Readonly<Record<string, unknown>> = { ...index };
  const told = ["unique", "sparse", "expireAfterSeconds", "partialFilterExpression", "collation", "hidden"]
    .filter((option) => options[option] !== undefined && options[option] !== false)
    .map((option) => `${option} ${shown(options[option])}`);
  return [shown(index.key), ...told].join(" with ");
}
