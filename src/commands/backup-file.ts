import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { isRow, sectionsOf, type StoreKind } from "../domain/backup-rows.ts";
import { asMillraceError, MillraceError } from "../errors.ts";
import type { Rows } from "../ports/backup.ts";
import { encodeTrailer, TRAILER_BYTES } from "./backup-trailer.ts";

export const FORMAT = "millrace backup 1";

/** The first line of a backup. */
export interface Head {
  readonly format: typeof FORMAT;
  readonly id: string;
  /** The version that wrote it. */
  readonly millrace: string;
  readonly kind: StoreKind;
  /** Before its first row was read, in milliseconds since 1970. */
  readonly startedAtMs: number;
}
/** What there is to say of a backup that is whole. */
export interface BackupFacts {
  readonly head: Head;
  /** By section, in their order. */
  readonly rows: ReadonlyMap<string, number>;
  readonly bytes: number;
}
/** How far the work is. */
export interface Progress {
  rows: number;
  bytes: number;
}

/** About so many characters go to the compressor at a time. */
const PIECE_CHARACTERS = 64 * 1024;

/**
 * Writes a backup: gzip of lines, which are the head, then for each section its name as a string, its rows, and their number; then
 * the trailer. The file has its name only once it is whole and on the disk.
 * @throws MillraceError INVALID_SETTING where the file is there already, or cannot be written.
 */
export async function writeBackup(
  path: string,
  head: Head,
  rows: AsyncIterable<Rows>,
  progress: Progress,
): Promise<BackupFacts> {
  const partial = `${path}.${head.id}.partial`;
  const file = await opened(path, partial);
  try {
    const counts = new Map<string, number>();
    const hash = createHash("sha256");
    await pipeline(
      pieces(linesOf(head, counted(rows, counts, progress))),
      createGzip(),
      async (compressed: AsyncIterable<Uint8Array>) => {
        for await (const bytes of compressed) {
          hash.update(bytes);
          await file.appendFile(bytes);
          progress.bytes += bytes.length;
        }
      },
    );
    const total = counts.values().reduce((sum, count) => sum + count, 0);
    await file.appendFile(encodeTrailer({ rows: total, sha256: hash.digest("hex") }));
    progress.bytes += TRAILER_BYTES;
    await file.sync();
    await file.close();
    await rename(partial, path);
    await syncFolder(dirname(path));
    return { head, rows: inOrder(head.kind, counts), bytes: progress.bytes };
  } catch (error) {
    await file.close().catch(() => {});
    await rm(partial, { force: true });
    throw error;
  }
}

async function opened(path: string, partial: string) {
  try {
    const there = await open(path).catch(() => undefined);
    await there?.close();
    if (there !== undefined) throw new Error("it is there already; name another, or remove it");
    return await open(partial, "wx", 0o600);
  } catch (thrown) {
    const { message } = asMillraceErrorOf(thrown);
    throw new MillraceError("INVALID_SETTING", `the backup cannot be written to ${path}: ${message}`);
  }
}

const asMillraceErrorOf = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : asMillraceError(thrown, "INTERNAL");

/** So that the name outlasts a power cut, where the system can be told so. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path).catch(() => undefined);
  await folder?.sync().catch(() => {});
  await folder?.close();
}

async function* counted(
  rows: AsyncIterable<Rows>,
  counts: Map<string, number>,
  progress: Progress,
): AsyncGenerator<Rows> {
  for await (const some of rows) {
    counts.set(some.section, (counts.get(some.section) ?? 0) + some.rows.length);
    progress.rows += some.rows.length;
    yield some;
  }
}

/** @throws MillraceError STORE_MISMATCH for a row that is none: what cannot be restored is no backup. */
async function* linesOf(head: Head, all: AsyncIterable<Rows>): AsyncGenerator<string> {
  const { kind } = head;
  const left = [...sectionsOf(kind)];
  let section: string | undefined;
  let count = 0;
  yield JSON.stringify(head);
  function* turn(): Generator<string> {
    if (section !== undefined) yield String(count);
    section = left.shift();
    count = 0;
    if (section !== undefined) yield JSON.stringify(section);
  }
  for await (const { section: next, rows } of all) {
    if (next !== section && !left.includes(next)) throw new Error(`section ${next} comes too late or twice`);
    while (section !== next) yield* turn();
    for (const row of rows) {
      if (!isRow(kind, next, row)) {
        const shown = JSON.stringify(row).slice(0, 200);
        throw new MillraceError("STORE_MISMATCH", `${next} holds what Millrace does not write: ${shown}`);
      }
      yield JSON.stringify(row);
      count += 1;
    }
  }
  do yield* turn();
  while (section !== undefined);
}

async function* pieces(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let piece = "";
  for await (const line of lines) {
    piece += `${line}\n`;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = "";
  }
  yield piece;
}

/** With those sections that have no rows. */
export function inOrder(kind: StoreKind, counts: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map(sectionsOf(kind).map((section) => [section, counts.get(section) ?? 0]));
}
