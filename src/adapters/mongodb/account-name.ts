import type { Sighting } from "../../domain/account-name.ts";
import type { Account, AccountFilter } from "../../ports/store.ts";
import type { Connection } from "./connection.ts";
import { assertThere, groupOf } from "./inserts.ts";
import type { AccountDocument } from "./schema.ts";
import { wholeNumber } from "./whole-number.ts";
import type { Write } from "./write-group.ts";

interface Sight extends Write {
  readonly firstSeenMs: number;
}
const SIGHT_BYTES = 1500;

/** The minimum is idempotent by nature: no need to know the message again. */
export function sightingsIn(connection: Connection): (sightings: readonly Sighting[]) => Promise<void> {
  const group = groupOf<Sight>(connection, ({ accountName }, sights) =>
    accountName.bulkWrite(
      sights.map(({ key, firstSeenMs }) => ({
        updateOne: { filter: { _id: key }, update: { $min: { firstSeen: firstSeenMs } }, upsert: true },
      })),
      { ordered: false },
    ),
  );
  return async (sightings) => {
    const sights = sightings.map(({ username, firstSeenMs }) => ({
      key: username,
      bytes: SIGHT_BYTES,
      firstSeenMs: wholeNumber(firstSeenMs, "firstSeenMs"),
    }));
    let open: readonly Sight[] = sights;
    while (open.length > 0) {
      const verdicts = await group.write(open);
      assertThere(verdicts);
      // Two upserts met, and this one did nothing: the document is there now, and takes the minimum.
      open = open.filter((_, index) => verdicts[index] === "there");
    }
  };
}

export async function account(connection: Connection, username: string): Promise<Account | undefined> {
  const found = await connection.run(({ accountName }) =>
    accountName.findOne({ _id: username }, connection.bound),
  );
  return found === null ? undefined : accountOf(found);
}

export async function accounts(
  connection: Connection,
  { sinceMs, page: { limit, after } }: AccountFilter,
): Promise<readonly Account[]> {
  const bounds: object[] = [{ firstSeen: { $gte: Math.max(sinceMs ?? 0, after?.firstSeenMs ?? 0) } }];
  if (after !== undefined) {
    bounds.push({
      $or: [
        { firstSeen: { $gt: after.firstSeenMs } },
        { firstSeen: after.firstSeenMs, _id: { $gt: after.username } },
      ],
    });
  }
  const found = await connection.run(({ accountName }) =>
    accountName
      .find({ $and: bounds }, { ...connection.bound, sort: { firstSeen: 1, _id: 1 }, limit })
      .toArray(),
  );
  return found.map(accountOf);
}

const accountOf = ({ _id, firstSeen }: AccountDocument): Account => ({
  username: _id,
  firstSeenMs: firstSeen,
});
