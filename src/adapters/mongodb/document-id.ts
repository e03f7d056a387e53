import { createHash } from "node:crypto";

/** Longest id kept as it is, in bytes: a database before MongoDB's protocol may index no key beyond some 2700. */
const ID_MAX_BYTES = 200;

/** An id that others chose, as part of a key: itself, or its hash where it is long. */
export function keyOf(id: string): string {
  return Buffer.byteLength(id) <= ID_MAX_BYTES ? id : `sha256 ${sha256(id)}`;
}

/** The id of a message's document number `part`, from 0. NUL is in no id, so that no two are the same. */
export function documentId(messageId: string, part: number): string {
  return part === 0 ? keyOf(messageId) : `sha256 ${sha256(`${messageId}\0${part}`)}`;
}

/** What each of a message's documents holds of the others: nothing where it is the only one. */
export const partsOf = (ids: readonly string[]): { readonly parts?: readonly string[] } =>
  ids.length > 1 ? { parts: ids } : {};

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Bounds of one document: far from BSON's 16 MB also where its rows are held twice. */
const MAX_ROWS = 5000;
const MAX_BYTES = 6 * 1024 * 1024;

/**
 * The rows of a change, cut into what one document each holds. It depends on the rows alone: a message that is applied again
 * is cut in the same way.
 */
export function cut<Row>(rows: readonly Row[], bytesOf: (row: Row) => number): readonly (readonly Row[])[] {
  const parts: Row[][] = [];
  let part: Row[] = [];
  let bytes = 0;
  for (const row of rows) {
    const more = bytesOf(row);
    if (part.length > 0 && (part.length >= MAX_ROWS || bytes + more > MAX_BYTES)) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(row);
    bytes += more;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** At most so many bytes has a text in UTF-8. */
export const textBytes = (text: string): number => text.length * 3;
