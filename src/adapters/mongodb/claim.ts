import { DAY_MS } from "../../domain/distinct-name.ts";
import { MillraceError } from "../../errors.ts";
import type { Claim } from "../../ports/store.ts";
import type { Connection } from "./connection.ts";
import { keyOf } from "./document-id.ts";
import { erasedClaimsIn } from "./erased-claim.ts";
import { assertThere, type Insert, insertOf, insertsInto } from "./inserts.ts";
import type { ClaimDocument } from "./schema.ts";

/** Times that a claim is made again because the one it met is gone when it is read. */
const TRIES = 5;
const CLAIM_BYTES = 600;

/** Event ids, each inserted for the message that counts it: of two that insert the same one, one is refused. */
export function claimsIn(
  connection: Connection,
  dedupWindowMs: number,
): (claim: Claim, nowMs: number) => Promise<ReadonlySet<string>> {
  const inserts = insertsInto(connection, ({ claim }) => claim);
  const erasedClaims = erasedClaimsIn(connection);
  return async ({ projection, messageId, eventIds }, nowMs) => {
    const message = keyOf(messageId);
    // A day beyond the window, where it has no meaning any more: a clock may be off.
    const expiresAt = new Date(nowMs + dedupWindowMs + DAY_MS);
    let open = new Map(eventIds.map((eventId) => [`${projection}:${keyOf(eventId)}`, eventId]));
    const elsewhere = new Set<string>();
    for (let tries = 1; open.size > 0; tries += 1) {
      if (tries > TRIES) throw new MillraceError("STORE_UNAVAILABLE", "claims come and go");
      const refused = await insertAll(
        Array.from(open.keys(), (_id) => ({ _id, message, at: nowMs, expiresAt })),
      );
      const holders = await holdersOf(connection, refused);
      const gone = new Map<string, string>();
      for (const key of refused) {
        const holder = holders.get(key);
        const eventId = open.get(key) ?? "";
        if (holder === undefined) gone.set(key, eventId);
        else if (holder !== message) elsewhere.add(eventId);
      }
      open = gone;
    }
    const keys = new Map(eventIds.map((eventId) => [keyOf(eventId), eventId]));
    for (const [key, holder] of await erasedClaims(projection, Array.from(keys.keys()))) {
      if (holder !== message) elsewhere.add(keys.get(key) ?? "");
    }
    return elsewhere;
  };

  /** Resolves to the ids of those that are there already. */
  async function insertAll(documents: readonly ClaimDocument[]): Promise<readonly string[]> {
    const writes: readonly Insert<ClaimDocument>[] = documents.map((one) => insertOf(one, CLAIM_BYTES));
    const verdicts = await inserts.write(writes);
    assertThere(verdicts);
    return writes.filter((_, index) => verdicts[index] === "there").map(({ key }) => key);
  }
}

async function holdersOf(
  connection: Connection,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  return connection.run(async ({ claim }) => {
    const found = await claim
      .find({ _id: { $in: [...ids] } }, { projection: { message: 1 }, ...connection.bound })
      .toArray();
    return new Map(found.map(({ _id, message }) => [_id, message]));
  });
}
