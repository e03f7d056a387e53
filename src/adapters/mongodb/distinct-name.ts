import type { DayCount } from "../../domain/distinct-name.ts";
import type { Connection } from "./connection.ts";
import { cut, documentId, partsOf, textBytes } from "./document-id.ts";
import { assertThere, insertOf, insertsInto } from "./inserts.ts";
import { wholeNumber } from "./whole-number.ts";

const ROW_BYTES = 70;
/** At most so many bytes has a row in a document. */
export const bytesOf = ({ metric }: DayCount): number => ROW_BYTES + textBytes(metric);

/** One document a message: a part of the counts, open until a fold has added it to the totals (see fold-log.ts). */
export function dayCountsIn(
  connection: Connection,
): (messageId: string, counts: readonly DayCount[], nowMs: number) => Promise<void> {
  const inserts = insertsInto(connection, ({ distinctName }) => distinctName);
  return async (messageId, counts, nowMs) => {
    const rows = counts.map(({ day, metric, count }) => ({
      day,
      metric,
      count: wholeNumber(count, "count"),
    }));
    const cuts = cut(rows, bytesOf);
    const parts = partsOf(cuts.map((_, index) => documentId(messageId, index)));
    const writes = cuts.map((part, index) =>
      insertOf(
        { _id: documentId(messageId, index), at: nowMs, ...parts, open: 1 as const, rows: part },
        part.reduce((sum, row) => sum + bytesOf(row), 0),
      ),
    );
    assertThere(await inserts.write(writes));
  };
}
