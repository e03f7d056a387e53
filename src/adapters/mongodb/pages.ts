import type { Collection, Filter } from "mongodb";
import type { Connection } from "./connection.ts";
import type { Collections } from "./schema.ts";

/** Documents are read so many at a time, or so many rows within them. */
const MAX_DOCUMENTS = 500;
const MAX_ROWS = 20_000;

export type Pick<Document extends { readonly _id: string | number }> = (
  collections: Collections,
) => Collection<Document>;

/** By id, from the first to the last: of those that were there before, none is passed over. */
export async function* pages<Document extends { readonly _id: string | number }>(
  connection: Connection,
  pick: Pick<Document>,
): AsyncGenerator<readonly Document[]> {
  const options = { ...connection.bound, sort: { _id: 1 }, limit: MAX_DOCUMENTS, batchSize: 100 } as const;
  for (let after: string | number | undefined; ; ) {
    const page = await connection.run(async (collections) => {
      const found: Document[] = [];
      let rows = 0;
      const filter = (after === undefined ? {} : { _id: { $gt: after } }) as Filter<Document>;
      for await (const one of pick(collections).find<Document>(filter, options)) {
        found.push(one);
        rows += rowsWithin(one);
        if (rows >= MAX_ROWS) break;
      }
      return found;
    });
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    ({ _id: after } = last);
  }
}

const rowsWithin = (document: object): number =>
  Object.values(document).reduce<number>(
    (sum, value: unknown) => sum + (Array.isArray(value) ? value.length : 0),
    1,
  );
