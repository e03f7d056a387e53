import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { isRow, sectionsOf, type StoreKind, storeKinds } from "../domain/backup-rows.ts";
import { MillraceError } from "../errors.ts";
import type { Rows } from "../ports/backup.ts";
import { type BackupFacts, FORMAT, type Head, type Progress } from "./backup-file.ts";
import { decodeTrailer, type Trailer, TRAILER_BYTES } from "./backup-trailer.ts";

/** Rows are handed on so many at a time, or so many characters of them. */
const MAX_ROWS = 1000;
const MAX_CHARACTERS = 1024 * 1024;
/** Longest line, in bytes: some documents of MongoDB have 6 MB, twice. */
const LINE_MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads a backup to its end: its rows, a few at a time, and what there is to say of it. Whether it is whole is known only at that
 * end, so that nothing read before may be relied on.
 * @throws MillraceError BACKUP_DAMAGED wherever it is not what was written; BACKUP_MISMATCH for another version's; INVALID_SETTING
 * where the file cannot be read.
 */
export async function* readBackup(path: string, progress: Progress): AsyncGenerator<Rows, BackupFacts> {
  const { trailer, bytes } = await endOf(path);
  const hash = createHash("sha256");
  const state = new Lines();
  try {
    const end = bytes - TRAILER_BYTES - 1;
    for await (const line of lines(inflated(path, end, hash, progress))) {
      state.take(line);
      if (state.isFull()) yield* handedOver(state, progress);
    }
    yield* handedOver(state, progress);
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    throw damaged(thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (hash.digest("hex") !== trailer.sha256) throw damaged("its SHA-256 is not the one it ends with");
  const facts = state.end();
  const total = facts.rows.values().reduce((sum, count) => sum + count, 0);
  if (total !== trailer.rows) throw damaged(`it has ${total} rows; it ends with a count of ${trailer.rows}`);
  progress.bytes = bytes;
  return { ...facts, bytes };
}

/** Reads it all and keeps nothing. */
export async function verifyBackup(path: string, progress: Progress): Promise<BackupFacts> {
  const rows = readBackup(path, progress);
  for (;;) {
    const next = await rows.next();
    if (next.done === true) return next.value;
  }
}

const damaged = (detail: string): MillraceError => new MillraceError("BACKUP_DAMAGED", detail);

async function endOf(path: string): Promise<{ readonly trailer: Trailer; readonly bytes: number }> {
  const end = new Uint8Array(TRAILER_BYTES);
  const bytes = await readEnd(path, end);
  const trailer = bytes <= TRAILER_BYTES ? undefined : decodeTrailer(end);
  if (trailer === undefined) throw damaged("it does not end as a backup does: it is cut short, or none");
  return { trailer, bytes };
}

/** Resolves to the size of the file. */
async function readEnd(path: string, into: Uint8Array): Promise<number> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    await file.read(into, 0, into.length, Math.max(0, size - into.length));
    return size;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError("INVALID_SETTING", `the backup cannot be read: ${reason}`, { cause });
  }
}

function inflated(
  path: string,
  end: number,
  hash: { update(bytes: Uint8Array): unknown },
  progress: Progress,
): Readable {
  const hashed = async function* (file: AsyncIterable<Uint8Array>) {
    for await (const bytes of file) {
      hash.update(bytes);
      progress.bytes += bytes.length;
      yield bytes;
    }
  };
  // A failure of one of them ends the last with its error.
  return pipeline(createReadStream(path, { end }), hashed, createGunzip(), () => {}) as Readable;
}

async function* lines(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of input) {
    let from = 0;
    for (;;) {
      const newline = piece.indexOf(0x0a, from);
      const rest = piece.subarray(from, newline === -1 ? piece.length : newline);
      held.push(rest);
      heldBytes += rest.length;
      if (heldBytes > LINE_MAX_BYTES) throw damaged(`a line is longer than ${LINE_MAX_BYTES} bytes`);
      if (newline === -1) break;
      yield Buffer.concat(held, heldBytes).toString();
      held = [];
      heldBytes = 0;
      from = newline + 1;
    }
  }
  if (heldBytes > 0) throw damaged("its last line has no end");
}

function* handedOver(state: Lines, progress: Progress): Generator<Rows> {
  const some = state.handOver();
  if (some === undefined) return;
  progress.rows += some.rows.length;
  yield some;
}

/** What the lines so far say, and the rows of them that have not been handed over. */
class Lines {
  #head: Head | undefined;
  #left: string[] = [];
  #section: string | undefined;
  #count = 0;
  readonly #counts = new Map<string, number>();
  #rows: unknown[] = [];
  #rowsOf = "";
  #characters = 0;
  #full = false;
  #line = 0;

  take(text: string): void {
    this.#line += 1;
    const value = this.#parsed(text);
    if (this.#head === undefined) {
      this.#head = headOf(value);
      this.#left = [...sectionsOf(this.#head.kind)];
    } else if (typeof value === "string") this.#begin(value);
    else if (typeof value === "number") this.#end(value);
    else this.#row(this.#head.kind, value, text.length);
  }

  isFull(): boolean {
    return this.#full || this.#rows.length >= MAX_ROWS || this.#characters >= MAX_CHARACTERS;
  }

  handOver(): Rows | undefined {
    const rows = this.#rows;
    this.#rows = [];
    this.#characters = 0;
    this.#full = false;
    return rows.length === 0 ? undefined : { section: this.#rowsOf, rows };
  }

  end(): Omit<BackupFacts, "bytes"> {
    if (this.#head === undefined) throw damaged("it is empty");
    if (this.#section !== undefined || this.#left.length > 0) throw damaged("sections are missing");
    return { head: this.#head, rows: this.#counts };
  }

  #begin(name: string): void {
    const due = this.#section === undefined ? this.#left.shift() : undefined;
    if (name !== due) throw this.#fault(`section ${JSON.stringify(name.slice(0, 40))} is not due here`);
    this.#section = name;
    this.#count = 0;
  }

  #end(count: number): void {
    if (this.#section === undefined) throw this.#fault("a count is not due here");
    if (count !== this.#count) throw this.#fault(`${this.#section} has ${this.#count} rows, not ${count}`);
    this.#counts.set(this.#section, count);
    this.#section = undefined;
    this.#full = true;
  }

  #row(kind: StoreKind, row: unknown, characters: number): void {
    const section = this.#section;
    if (section === undefined) throw this.#fault("a row is not due here");
    if (!isRow(kind, section, row)) throw this.#fault(`this is no row of ${section}`);
    this.#rows.push(row);
    this.#rowsOf = section;
    this.#count += 1;
    this.#characters += characters;
  }

  #parsed(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw this.#fault("this is not JSON");
    }
  }

  #fault(detail: string): MillraceError {
    return damaged(`line ${this.#line}: ${detail}`);
  }
}

function headOf(value: unknown): Head {
  const fields: Readonly<Record<string, unknown>> =
    typeof value === "object" && value !== null ? { ...value } : {};
  const { format, id, millrace, startedAtMs } = fields;
  const kind = storeKinds.find((one) => one === fields["kind"]);
  if (typeof format === "string" && format !== FORMAT && format.startsWith("millrace backup ")) {
    throw new MillraceError(
      "BACKUP_MISMATCH",
      `it is a '${format.slice(0, 40)}', written by Millrace ${String(millrace).slice(0, 40)}; this one reads '${FORMAT}'`,
    );
  }
  const known = format === FORMAT && typeof id === "string" && typeof millrace === "string";
  if (!known || kind === undefined || !Number.isSafeInteger(startedAtMs))
    throw damaged("line 1: this is no head of a backup");
  return { format, id, millrace, kind, startedAtMs: Number(startedAtMs) };
}
