import { crc32 } from "node:zlib";

/** What ends a backup: the number of its rows, and the SHA-256 (in hexadecimal) of all bytes before. */
export interface Trailer {
  readonly rows: number;
  readonly sha256: string;
}

const ROWS_DIGITS = 16;
const lineOf = ({ rows, sha256 }: Trailer): string =>
  `{"rows":${String(rows).padStart(ROWS_DIGITS)},"sha256":"${sha256}"}\n`;
const LINE_BYTES = lineOf({ rows: 0, sha256: "".padEnd(64, "0") }).length;

/** Deflate, without a name, a time or flags, made on Unix. */
const memberHead = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3);
const BLOCK_HEAD_BYTES = 5;
const TEXT_AT = memberHead.length + BLOCK_HEAD_BYTES;
export const TRAILER_BYTES = TEXT_AT + LINE_BYTES + 8;

/**
 * A gzip member of its own with one line, so that the whole file is what `zcat` reads. It is stored, not deflated: each trailer has
 * one form, of one length.
 */
export function encodeTrailer(trailer: Trailer): Uint8Array {
  const text = Buffer.from(lineOf(trailer));
  const bytes = Buffer.alloc(TRAILER_BYTES);
  bytes.set(memberHead);
  bytes.writeUInt8(1, memberHead.length);
  bytes.writeUInt16LE(text.length, memberHead.length + 1);
  bytes.writeUInt16LE(text.length ^ 0xffff, memberHead.length + 3);
  bytes.set(text, TEXT_AT);
  bytes.writeUInt32LE(crc32(text), TEXT_AT + text.length);
  bytes.writeUInt32LE(text.length, TEXT_AT + text.length + 4);
  return bytes;
}

/** Undefined for bytes that no trailer is encoded as. */
export function decodeTrailer(bytes: Uint8Array): Trailer | undefined {
  const line = Buffer.from(bytes.subarray(TEXT_AT, TEXT_AT + LINE_BYTES)).toString("latin1");
  const found = /^\{"rows": *(\d+),"sha256":"([0-9a-f]{64})"\}\n$/.exec(line);
  if (found === null) return undefined;
  const trailer = { rows: Number(found[1]), sha256: found[2] ?? "" };
  return Buffer.compare(bytes, encodeTrailer(trailer)) === 0 ? trailer : undefined;
}
