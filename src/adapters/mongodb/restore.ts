import type { Collection, Filter, OptionalUnlessRequiredId } from "mongodb";
import type { MongodbRows } from "../../domain/backup-rows.ts";
import { UPKEEP_LEASE } from "../../domain/retention.ts";
import { MillraceError } from "../../errors.ts";
import type { RestoreTarget, Rows } from "../../ports/backup.ts";
import type { Clock } from "../../ports/clock.ts";
import { Connection, type ConnectionSettings, RESTORE_LEASE } from "./connection.ts";
import { assertOnlyThere } from "./faults.ts";
import type { Collections } from "./schema.ts";

type Claim = MongodbRows["claim"];
type Some = Partial<{ readonly [Name in keyof MongodbRows]: readonly MongodbRows[Name][] }>;

/**
 * The hourly log forgets a message an hour after its last event, and its claims much later. An old claim without a document is of
 * a message that was counted and forgotten; a young one of a message that was not counted yet. Events may have waited before they
 * were counted: hence the margin. In milliseconds.
 */
const HOUR_MS = 3_600_000;
const WAITED_MS = 900_000;

/**
 * Takes a backup into an empty database. It is marked as not whole until the commit, so that no role opens it, and a restore of
 * the same backup goes on where one was cut short: each document is inserted once.
 */
export function openMongodbRestore(settings: ConnectionSettings, clock: Clock): RestoreTarget {
  const connection = new Connection({ ...settings, during: "restore" }, clock);
  let id = "";
  let forgottenBeforeMs = 0;
  return {
    kind: "mongodb",
    async begin(backup) {
      id = backup.id;
      forgottenBeforeMs = backup.startedAtMs - HOUR_MS + WAITED_MS;
      if ((await mark(connection, id)) === "there") return;
      const fault = await whyNotEmpty(connection, clock.now());
      if (fault === undefined) return;
      await unmark(connection, id);
      throw new MillraceError("STORE_NOT_EMPTY", fault);
    },
    async write({ section, rows }: Rows) {
      // Checked by the reader: see domain/backup-rows.ts.
      const some = { [section]: rows } as Some;
      await insert(connection, ({ accountName }) => accountName, some.accountName);
      await insert(connection, ({ hourlyLog }) => hourlyLog, some.hourlyLog?.map(withDate));
      await insert(connection, ({ total }) => total, some.total);
      await insert(connection, ({ distinctName }) => distinctName, some.distinctName);
      if (some.claim === undefined) return rows.length;
      const kept = await claimsToKeep(connection, some.claim, forgottenBeforeMs);
      await insert(connection, ({ claim }) => claim, kept.map(withDate));
      return kept.length;
    },
    commit: () => unmark(connection, id),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** Resolves to whether the mark was there, for this backup. */
async function mark(connection: Connection, id: string): Promise<"made" | "there"> {
  return connection.run(async ({ lease }) => {
    const there = await lease.findOne({ _id: RESTORE_LEASE });
    if (there === null) {
      // Of two at once, one is refused.
      await lease.insertOne({ _id: RESTORE_LEASE, holder: id, until: Number.MAX_SAFE_INTEGER });
      return "made";
    }
    if (there.holder === id) return "there";
    throw new MillraceError(
      "STORE_NOT_EMPTY",
      `the restore of another backup, ${there.holder}, is under way or was cut short: restore that one, or drop the database`,
    );
  });
}

async function unmark(connection: Connection, id: string): Promise<void> {
  await connection.run(({ lease }) => lease.deleteOne({ _id: RESTORE_LEASE, holder: id }));
}

const kept = ["accountName", "hourlyLog", "distinctName", "total", "fold", "claim"] as const;

async function whyNotEmpty(connection: Connection, nowMs: number): Promise<string | undefined> {
  const there: string[] = [];
  for (const name of kept) {
    const count = await connection.run((collections) =>
      collections[name].estimatedDocumentCount(connection.bound),
    );
    if (count > 0) there.push(`${count} documents in ${name}`);
  }
  if (there.length > 0) return `there are ${there.join(", ")}`;
  const sweeper = await connection.run(({ lease }) => lease.findOne({ _id: UPKEEP_LEASE }));
  return sweeper !== null && sweeper.until > nowMs
    ? "a sweeper is at work on it: stop every process first"
    : undefined;
}

const withDate = <Row extends { readonly expiresAt: number }>(row: Row) => ({
  ...row,
  expiresAt: new Date(row.expiresAt),
});

/** Those that are there are passed over. */
async function insert<Document extends { readonly _id: string }>(
  connection: Connection,
  pick: (collections: Collections) => Collection<Document>,
  rows: readonly Document[] | undefined,
): Promise<void> {
  if (rows === undefined || rows.length === 0) return;
  // It is what the type asks for: these documents have their ids.
  const documents = rows as readonly OptionalUnlessRequiredId<Document>[];
  await connection.run(async (collections) => {
    try {
      await pick(collections).insertMany(documents, { ordered: false });
    } catch (thrown) {
      assertOnlyThere(thrown);
    }
  });
}

/**
 * Without those of messages whose document the backup does not hold: it was read before, and was not there yet. Whoever sends
 * their events again is to have them counted.
 */
async function claimsToKeep(
  connection: Connection,
  claims: readonly Claim[],
  forgottenBeforeMs: number,
): Promise<readonly Claim[]> {
  const isHourly = ({ _id }: Claim): boolean => _id.startsWith("hourlyLog:");
  const messagesOf = (some: readonly Claim[]) => Array.from(new Set(some.map(({ message }) => message)));
  const hourly = await idsThere(
    connection,
    ({ hourlyLog }) => hourlyLog,
    messagesOf(claims.filter(isHourly)),
  );
  const distinct = await idsThere(
    connection,
    ({ distinctName }) => distinctName,
    messagesOf(claims.filter((one) => !isHourly(one))),
  );
  return claims.filter((claim) => {
    if (!isHourly(claim)) return distinct.has(claim.message);
    return hourly.has(claim.message) || claim.at < forgottenBeforeMs;
  });
}

async function idsThere<Document extends { readonly _id: string }>(
  connection: Connection,
  pick: (collections: Collections) => Collection<Document>,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const found = await connection.run((collections) =>
    pick(collections)
      .find<{ readonly _id: string }>({ _id: { $in: ids } } as Filter<Document>, {
        ...connection.bound,
        projection: { _id: 1 },
      })
      .toArray(),
  );
  return new Set(found.map(({ _id }) => _id));
}
