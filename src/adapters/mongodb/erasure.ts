import { MongoServerError } from "mongodb";
import { formsOf, holdsName, nothingErased } from "../../domain/erasure.ts";
import type { ProjectionName } from "../../domain/projection.ts";
import type { Clock } from "../../ports/clock.ts";
import type { IsBegun, ViewErasure } from "../../ports/erasure.ts";
import { clientOf, Connection, type ConnectionSettings, databaseOf } from "./connection.ts";
import { documentId } from "./document-id.ts";
import { erasedClaimId, isErased } from "./erased-claim.ts";
import { assertOnlyThere, faultOf, wordsOf } from "./faults.ts";
import { type Pick, pages } from "./pages.ts";
import type { ClaimDocument, Collections } from "./schema.ts";

/** Longest wait for one collection to be compacted, in milliseconds. */
const COMPACT_MS = 600_000;
/** So many events are in one document in any case: see the bounds of `cut` in document-id.ts. */
const NEVER_CUT = 1000;

const FILES_LEFT =
  "the database server's own files keep what was deleted until it has overwritten it, and so do backups: see docs/erasing.md";

/** Erases in the collections, beside the processes that work on them. */
export function openMongodbErasure(settings: ConnectionSettings, clock: Clock): ViewErasure {
  const connection = new Connection(settings, clock);
  return {
    async erase(username) {
      const claims = await digestClaims(connection, username);
      const hourlyRows = await pullRows(connection, username);
      return { ...nothingErased, claims, hourlyRows, accounts: await removeAccount(connection, username) };
    },
    isBegun: isBegunIn(connection),
    purge: () => compactAll(settings),
    holding: (texts) => collectionsHolding(connection, texts),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

/** Another number after each erasure. */
export async function erasures(connection: Connection): Promise<number> {
  const found = await connection.run(({ erasure }) => erasure.findOne({ _id: "accounts" }, connection.bound));
  return found?.number ?? 0;
}

/** The number grows also where there is no account: an erasure may have been cut short between the two. */
async function removeAccount(connection: Connection, username: string): Promise<number> {
  const { deletedCount } = await connection.run(({ accountName }) =>
    accountName.deleteOne({ _id: username }),
  );
  await connection.run(async ({ erasure }) => {
    try {
      await erasure.updateOne({ _id: "accounts" }, { $inc: { number: 1 } }, { upsert: true });
    } catch (thrown) {
      // Another erasure has made it just now: it is another number, too.
      if (faultOf(thrown).kind !== "there") throw thrown;
    }
  });
  return deletedCount;
}

/** Documents that one command rewrites: each has up to thousands of rows, and it must end within one time-out of the store. */
const PULLED_AT_ONCE = 50;

/** The documents stay, as the marks of their messages, and so do their totals. */
async function pullRows(connection: Connection, username: string): Promise<number> {
  let rows = 0;
  const user = { "users.username": username };
  const options = { ...connection.bound, projection: { "users.username": 1 } } as const;
  for await (const [first, last] of idRanges(connection)) {
    const found = await connection.run(({ hourlyLog }) =>
      hourlyLog.find({ _id: { $gte: first, $lte: last }, ...user }, options).toArray(),
    );
    if (found.length === 0) continue;
    const ids = found.map(({ _id }) => _id);
    for (let from = 0; from < ids.length; from += PULLED_AT_ONCE) {
      const some = ids.slice(from, from + PULLED_AT_ONCE);
      await connection.run(({ hourlyLog }) =>
        hourlyLog.updateMany({ _id: { $in: some } }, { $pull: { users: { username } } }),
      );
    }
    rows += found.flatMap(({ users }) => users).filter((row) => row.username === username).length;
  }
  return rows;
}
const RANGE = 1000;

/** The first and the last of so many documents of the hourly log at a time: none of its fields but the id is read. */
async function* idRanges(connection: Connection): AsyncGenerator<readonly [string, string]> {
  const options = { ...connection.bound, projection: { _id: 1 }, sort: { _id: 1 }, limit: RANGE } as const;
  for (let after = ""; ; ) {
    const ids = await connection.run(({ hourlyLog }) =>
      hourlyLog
        .find({ _id: { $gt: after } }, { ...options, batchSize: RANGE + 1 })
        .map(({ _id }) => _id)
        .toArray(),
    );
    const [first, last] = [ids[0], ids.at(-1)];
    if (first === undefined || last === undefined) return;
    yield [first, last];
    after = last;
  }
}

/** Of `<projection>:<event id>`, what others chose. */
const eventKeyOf = ({ _id }: ClaimDocument): string => _id.slice(_id.indexOf(":") + 1);
const erasedIdOf = (id: string): string => {
  const end = id.indexOf(":");
  return erasedClaimId(id.slice(0, end), id.slice(end + 1));
};

/** The digests are there before the claims go: see erased-claim.ts. Where one is there already, it was the first. */
async function digestClaims(connection: Connection, username: string): Promise<number> {
  const forms = formsOf(username);
  let claims = 0;
  for await (const page of pages(connection, ({ claim }) => claim)) {
    const found = page.filter((one) => holdsForm(eventKeyOf(one), forms));
    if (found.length === 0) continue;
    const digests = found.map(({ _id: id, ...rest }) => ({ ...rest, _id: erasedIdOf(id) }));
    await connection.run(async ({ claim }) => {
      try {
        await claim.insertMany(digests, { ordered: false });
      } catch (thrown) {
        assertOnlyThere(thrown);
      }
    });
    await connection.run(({ claim }) => claim.deleteMany({ _id: { $in: found.map(({ _id }) => _id) } }));
    claims += found.length;
  }
  return claims;
}

const holdsForm = (eventKey: string, forms: readonly string[]): boolean =>
  !isErased(eventKey) && forms.some((form) => eventKey.includes(form));

/**
 * A message of many rows is several documents, cut at places that hang on its rows. Without some of them it would be cut
 * elsewhere, so that its other documents would not fit those that are there.
 */
function isBegunIn(connection: Connection): IsBegun {
  return async (queue: ProjectionName, { id, events }) => {
    if (queue === "accountName" || events <= NEVER_CUT) return false;
    const ids = Array.from({ length: 1 + Math.ceil(events / NEVER_CUT) }, (_, part) => documentId(id, part));
    const filter = { _id: { $in: ids } };
    const options = { ...connection.bound, projection: { parts: 1 } } as const;
    const found = await connection.run<readonly { readonly parts?: readonly string[] }[]>((collections) =>
      queue === "hourlyLog"
        ? collections.hourlyLog.find(filter, options).toArray()
        : collections.distinctName.find(filter, options).toArray(),
    );
    return found.length > 0 && found.length < (found[0]?.parts?.length ?? 1);
  };
}

/** A server that refuses the command, such as to this user, has answered. */
const isGone = (thrown: Error): boolean =>
  faultOf(thrown).kind === "unavailable" && !(thrown instanceof MongoServerError);

/** Asks the server to give back the room of what was deleted; it may have been forbidden to the user, or not be known to the server. */
async function compactAll(settings: ConnectionSettings): Promise<readonly string[]> {
  const client = clientOf(settings, COMPACT_MS);
  try {
    const database = client.db(databaseOf(settings.storeUrl));
    const left: string[] = [];
    for (const { name } of await database.listCollections({}, { nameOnly: true }).toArray()) {
      try {
        await database.command({ compact: name, force: true });
      } catch (thrown) {
        // A store that is gone would be waited for at each collection.
        if (thrown instanceof Error && isGone(thrown)) throw thrown;
        left.push(`the store has not compacted ${name}: ${wordsOf(thrown)}`);
      }
    }
    return [...left, FILES_LEFT];
  } catch (thrown) {
    throw faultOf(thrown).error;
  } finally {
    await client.close();
  }
}

/** Reads every document that there is. */
async function collectionsHolding(
  connection: Connection,
  texts: readonly string[],
): Promise<readonly string[]> {
  const holding: string[] = [];
  for (const name of Object.keys(readers) as (keyof Collections)[]) {
    if (await readers[name](connection, texts)) holding.push(`the collection ${name}`);
  }
  return holding;
}

const holds = (value: unknown, texts: readonly string[]): boolean => {
  if (typeof value === "string") return texts.some((text) => holdsName(value, text));
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some((inner) => holds(inner, texts));
};

const anyOf =
  <One extends { readonly _id: string | number }>(
    pick: Pick<One>,
    isHolding: (one: One, texts: readonly string[]) => boolean = holds,
  ) =>
  async (connection: Connection, texts: readonly string[]): Promise<boolean> => {
    for await (const page of pages(connection, pick))
      if (page.some((one) => isHolding(one, texts))) return true;
    return false;
  };

const readers: {
  readonly [Name in keyof Collections]: (
    connection: Connection,
    texts: readonly string[],
  ) => Promise<boolean>;
} = {
  accountName: anyOf(({ accountName }) => accountName),
  hourlyLog: anyOf(({ hourlyLog }) => hourlyLog),
  distinctName: anyOf(({ distinctName }) => distinctName),
  total: anyOf(({ total }) => total),
  fold: anyOf(({ fold }) => fold),
  claim: anyOf(
    ({ claim }) => claim,
    (one, texts) => holdsForm(eventKeyOf(one), texts) || holds(one.message, texts),
  ),
  lease: anyOf(({ lease }) => lease),
  probe: anyOf(({ probe }) => probe),
  erasure: anyOf(({ erasure }) => erasure),
};
