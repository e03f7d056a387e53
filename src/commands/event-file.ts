import { isUtf8 } from "node:buffer";
import { randomUUIDv7 } from "node:crypto";
import { CsvBoundary, fieldsOf } from "./csv.ts";

export type Format = "ndjson" | "csv";

/** An event as JSON text that has an id. `line` is the line it begins on, counted from 1. */
export interface InputEvent {
  readonly line: number;
  readonly text: string;
}
/** A line (or a record of several lines) that is no event, and why. */
export interface BadLine {
  readonly line: number;
  readonly reason: string;
}
/** What one piece of the input held. */
export interface InputPart {
  readonly lines: readonly (InputEvent | BadLine)[];
  readonly bytes: number;
}

/** Longest line of NDJSON or record of CSV, in bytes. */
export const LINE_MAX_BYTES = 1024 * 1024;

/**
 * Reads events piece by piece and holds no more than one piece and one line. A bad line is reported and passed over; only
 * a CSV header that cannot be used throws.
 */
export async function* readEvents(
  input: AsyncIterable<Uint8Array>,
  format: Format,
): AsyncGenerator<InputPart> {
  const cutter = new Cutter(format === "csv" ? new CsvBoundary() : new LineBoundary());
  const parse = format === "csv" ? csvParser() : jsonParser;
  for await (const piece of withoutByteOrderMark(input)) {
    yield { lines: linesOf(cutter.cut(piece), parse), bytes: piece.length };
  }
  yield { lines: linesOf(cutter.end(), parse), bytes: 0 };
}

function linesOf(cuts: readonly Cut[], parse: Parser): (InputEvent | BadLine)[] {
  const lines: (InputEvent | BadLine)[] = [];
  for (const { line, lastLine, content } of cuts) {
    const parsed = parse(content);
    if (parsed === undefined) continue;
    if ("text" in parsed) lines.push({ line, text: parsed.text });
    else if (line === lastLine) lines.push({ line, reason: parsed.reason });
    else lines.push({ line, reason: `${parsed.reason} (lines ${line} to ${lastLine})` });
  }
  return lines;
}

interface Text {
  readonly text: string;
}
interface Fault {
  readonly reason: string;
}
/** A line or record as it lies in the input, or why it cannot be looked at. */
interface Cut {
  readonly line: number;
  readonly lastLine: number;
  readonly content: Text | Fault;
}
/** Answers the event's text, or undefined where there is nothing to send. */
type Parser = (content: Text | Fault) => Text | Fault | undefined;

interface Boundary {
  find(piece: Uint8Array, from: number): number;
  lines(): number;
}

class LineBoundary implements Boundary {
  find(piece: Uint8Array, from: number): number {
    return piece.indexOf(0x0a, from);
  }
  lines(): number {
    return 1;
  }
}

/** Cuts a stream of bytes at the boundaries. What is too long is skipped, not held. */
class Cutter {
  readonly #boundary: Boundary;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #line = 1;

  constructor(boundary: Boundary) {
    this.#boundary = boundary;
  }

  cut(piece: Uint8Array): Cut[] {
    const cuts: Cut[] = [];
    for (let from = 0; ; ) {
      const end = this.#boundary.find(piece, from);
      this.#hold(piece.subarray(from, end === -1 ? piece.length : end));
      if (end === -1) return cuts;
      cuts.push(this.#take());
      from = end + 1;
    }
  }

  /** What is left where the input does not end with a newline. */
  end(): Cut[] {
    return this.#heldBytes === 0 ? [] : [this.#take()];
  }

  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > LINE_MAX_BYTES) this.#held = [];
    else if (bytes.length > 0) this.#held.push(bytes);
  }

  #take(): Cut {
    const content = this.#content();
    const line = this.#line;
    this.#line += this.#boundary.lines();
    this.#held = [];
    this.#heldBytes = 0;
    return { line, lastLine: this.#line - 1, content };
  }

  #content(): Text | Fault {
    if (this.#heldBytes > LINE_MAX_BYTES) return { reason: `this is longer than ${LINE_MAX_BYTES} bytes` };
    const bytes = Buffer.concat(this.#held, this.#heldBytes);
    return isUtf8(bytes) ? { text: bytes.toString("utf8") } : { reason: "this is not text in UTF-8" };
  }
}

async function* withoutByteOrderMark(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let start: Uint8Array | undefined = new Uint8Array();
  for await (const piece of input) {
    if (start === undefined) {
      yield piece;
    } else if (start.length + piece.length < 3) {
      start = Buffer.concat([start, piece]);
    } else {
      const whole = Buffer.concat([start, piece]);
      start = undefined;
      yield whole.indexOf("\uFEFF") === 0 ? whole.subarray(3) : whole;
    }
  }
  if (start !== undefined) yield start;
}

/** The id goes into the text, so that numbers reach the collector as they were written. */
function jsonParser(content: Text | Fault): Text | Fault | undefined {
  if ("reason" in content) return content;
  const trimmed = content.text.trim();
  if (trimmed === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch (error) {
    return { reason: `this is not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { reason: "this is not a JSON object" };
  }
  if (Object.hasOwn(value, "id")) return { text: trimmed };
  const rest = trimmed.slice(1).trimStart();
  return { text: `{"id":"${randomUUIDv7()}"${rest === "}" ? "" : ","}${rest}` };
}

const requiredColumns = ["username", "metric", "count"];
const columns = [...requiredColumns, "id", "timestamp"];

/** The first record that is not empty names the columns. */
function csvParser(): Parser {
  let header: readonly string[] | undefined;
  return (content) => {
    const read = "reason" in content ? content : recordOf(content.text);
    if (read === undefined) return undefined;
    if (header !== undefined) return "reason" in read ? read : eventOf(header, read.fields);
    if ("reason" in read) throw new Error(`the CSV header cannot be read: ${read.reason}`);
    header = headerOf(read.fields);
    return undefined;
  };
}

function recordOf(text: string): { readonly fields: readonly string[] } | Fault | undefined {
  const record = text.endsWith("\r") ? text.slice(0, -1) : text;
  if (record === "") return undefined;
  const fields = fieldsOf(record);
  return typeof fields === "string" ? { reason: fields } : { fields };
}

function headerOf(fields: readonly string[]): readonly string[] {
  const names = fields.map((field) => field.trim());
  for (const column of requiredColumns) {
    if (!names.includes(column)) throw new Error(`the CSV header has no column ${column}`);
  }
  for (const [index, name] of names.entries()) {
    const shown = JSON.stringify(name.slice(0, 60));
    if (!columns.includes(name)) {
      throw new Error(`the CSV header names ${shown}; the columns are ${columns.join(", ")}`);
    }
    if (names.indexOf(name) !== index) throw new Error(`the CSV header names ${shown} twice`);
  }
  return names;
}

function eventOf(header: readonly string[], fields: readonly string[]): Text | Fault {
  if (fields.length !== header.length) {
    return { reason: `this has ${fields.length} fields; the header names ${header.length}` };
  }
  const event: Record<string, string | number> = {};
  for (const [index, name] of header.entries()) {
    const field = fields[index] ?? "";
    if (name === "count") {
      const count = numberOf(field);
      if (count === undefined)
        return { reason: `count is ${JSON.stringify(field.slice(0, 60))}; it must be a number` };
      event[name] = count;
    } else if (name === "timestamp") {
      // Digits alone are milliseconds since 1970.
      if (field !== "") event[name] = /^\d+$/.test(field) ? Number(field) : field;
    } else if (name !== "id" || field !== "") {
      event[name] = field;
    }
  }
  event["id"] ??= randomUUIDv7();
  return { text: JSON.stringify(event) };
}

function numberOf(field: string): number | undefined {
  const text = field.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}
