import type { Collection, Filter } from "mongodb";
import { DAY_MS } from "../../domain/distinct-name.ts";
import type { Connection } from "./connection.ts";
import type { FoldLog } from "./fold-log.ts";
import type { Collections } from "./schema.ts";

/** Folds that are kept however old: with the time, what a process that goes on late is told apart by. */
const FOLDS_KEPT = 1000;
/** The shortest time that folds are kept, in milliseconds. */
const FOLDS_KEPT_MS = DAY_MS;

export function expireHourlyLog(connection: Connection, upToSecond: number, limit: number): Promise<number> {
  return deleteSome(connection, ({ hourlyLog }) => hourlyLog, { last: { $lte: upToSecond } }, limit);
}

/** Claims, the marks of counted messages, and what is left of finished folds; never a part that is still to be counted. */
export async function expireMarks(
  connection: Connection,
  log: FoldLog,
  marks: { readonly beforeMs: number; readonly windowMs: number },
  limit: number,
): Promise<number> {
  const at = { $lt: marks.beforeMs };
  const claims = await deleteSome(connection, ({ claim }) => claim, { at }, limit);
  const parts = await deleteSome(connection, ({ distinctName }) => distinctName, { at }, limit, {
    open: { $exists: false },
  });
  // The window ends at `beforeMs`; a short one is no measure of how late a process may go on.
  const foldsBeforeMs = marks.beforeMs - Math.max(0, FOLDS_KEPT_MS - marks.windowMs);
  return claims + parts + (await expireFolds(connection, log, foldsBeforeMs, limit));
}

async function expireFolds(
  connection: Connection,
  log: FoldLog,
  beforeMs: number,
  limit: number,
): Promise<number> {
  const { number } = await log.latest();
  if (number <= FOLDS_KEPT) return 0;
  const old = { _id: { $lte: number - FOLDS_KEPT }, finished: true, at: { $lt: beforeMs } };
  const folds = await deleteSome(connection, ({ fold }) => fold, old, limit);
  const oldest = await connection.run(({ fold }) =>
    fold.find({}, { ...connection.bound, projection: { _id: 1 }, sort: { _id: 1 }, limit: 1 }).next(),
  );
  const { _id: first } = oldest ?? { _id: 0 };
  // An empty total is needed as long as a fold that it has taken can be applied again.
  const spent = { count: 0, upTo: { $lt: first } };
  return folds + (await deleteSome(connection, ({ total }) => total, spent, limit));
}

/**
 * Deletes at most `limit` that match, of those the ones that are `also` so. They are found by `filter` alone, for which there
 * is an index, and judged again when they are deleted.
 */
async function deleteSome<Document extends { readonly _id: string | number }>(
  connection: Connection,
  pick: (collections: Collections) => Collection<Document>,
  filter: Filter<Document>,
  limit: number,
  also: Filter<Document> = {},
): Promise<number> {
  const ids = await connection.run(async (collections) => {
    const options = { ...connection.bound, projection: { _id: 1 }, limit, batchSize: limit + 1 };
    const found = await pick(collections).find(filter, options).toArray();
    return found.map(({ _id }) => _id);
  });
  if (ids.length === 0) return 0;
  const result = await connection.run((collections) =>
    pick(collections).deleteMany({ $and: [{ _id: { $in: ids } }, filter, also] } as Filter<Document>),
  );
  return result.deletedCount;
}
