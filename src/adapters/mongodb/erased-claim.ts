import type { ProjectionName } from "../../domain/projection.ts";
import type { Connection } from "./connection.ts";
import { sha256 } from "./document-id.ts";

/** No id that a client chose begins like this: see domain/event-id.ts. */
const ERASED = "erased:";

/** The id of the claim that stands for one whose event id, as a key, held an erased name. */
export const erasedClaimId = (projection: string, eventKey: string): string =>
  `${projection}:${ERASED}${sha256(eventKey)}`;
export const isErased = (eventKey: string): boolean => eventKey.startsWith(ERASED);

/**
 * What the store has of erased claims. To be asked once one's own claims are made: an erasure makes its claim before it takes the
 * other one away, so that at any time one of the two is met.
 */
export function erasedClaimsIn(
  connection: Connection,
): (projection: ProjectionName, eventKeys: readonly string[]) => Promise<ReadonlyMap<string, string>> {
  const any = {
    accountName: shared(() => anyErased(connection, "accountName")),
    distinctName: shared(() => anyErased(connection, "distinctName")),
    hourlyLog: shared(() => anyErased(connection, "hourlyLog")),
  };
  /** Resolves to the messages that hold them, by their keys. */
  return async (projection, eventKeys) => {
    if (eventKeys.length === 0 || !(await any[projection]())) return new Map();
    const keys = new Map(eventKeys.map((key) => [erasedClaimId(projection, key), key]));
    return connection.run(async ({ claim }) => {
      const found = await claim
        .find({ _id: { $in: Array.from(keys.keys()) } }, { projection: { message: 1 }, ...connection.bound })
        .toArray();
      return new Map(found.map(({ _id, message }) => [keys.get(_id) ?? "", message]));
    });
  };
}

/** Most stores have none, and then no id needs its digest. */
async function anyErased(connection: Connection, projection: ProjectionName): Promise<boolean> {
  const range = { $gte: `${projection}:${ERASED}`, $lt: `${projection}:erased;` };
  const found = await connection.run(({ claim }) =>
    claim.findOne({ _id: range }, { projection: { _id: 1 }, ...connection.bound }),
  );
  return found !== null;
}

/** One question for all who ask while the last one is under way: each has an answer to one that was sent after it asked. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    next ??= last.then(() => {
      next = undefined;
      const answer = ask();
      last = answer.catch(() => {});
      return answer;
    });
    return next;
  };
}
