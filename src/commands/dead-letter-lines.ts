import { isUtf8 } from "node:buffer";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { decodeMessage, type Message } from "../domain/envelope.ts";
import type { ProjectionName } from "../domain/projection.ts";
import { asMillraceError, MillraceError } from "../errors.ts";
import type { DeadLetter, DeadLetters } from "../ports/broker.ts";
import { listedOf, nameOf, queueAndId, select, type ToSettle } from "./dead-letters.ts";

/**
 * Writes letters as NDJSON, which `repairedLetters` reads once it is mended. A reader that has enough, such as `head`, ends it
 * early and is no failure.
 */
export async function writeLines(
  letters: AsyncIterable<DeadLetter>,
  output: NodeJS.WritableStream,
): Promise<void> {
  async function* lines(): AsyncGenerator<string> {
    for await (const letter of letters) yield `${lineOf(letter)}\n`;
  }
  try {
    await pipeline(lines, output, { end: false });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}

/**
 * What a file holds; `-` is standard input.
 * @throws MillraceError INVALID_SETTING where it cannot be read.
 */
export async function bytesOf(file: string, stdin: NodeJS.ReadableStream): Promise<Uint8Array> {
  try {
    return await (file === "-" ? buffer(stdin) : readFile(file));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError("INVALID_SETTING", `the file of --repaired: ${reason}`, { cause });
  }
}

function lineOf(letter: DeadLetter): string {
  const { reason, attempts, deadAtMs, message } = letter;
  const body = asBuffer(message.body);
  return JSON.stringify({
    name: nameOf(letter),
    reason,
    attempts,
    deadAt: new Date(deadAtMs).toISOString(),
    messageId: message.id,
    contentType: message.contentType,
    ...(isUtf8(body) ? { body: body.toString() } : { bodyBase64: body.toString("base64") }),
  });
}

/** The same bytes, not a copy. */
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A line that cannot be followed, and why. Lines are counted from 1. */
export interface Fault {
  readonly line: number;
  readonly reason: string;
}
export interface Repaired {
  /** Each with the message that its line says, under the id that it had; oldest first. */
  readonly letters: readonly ToSettle[];
  readonly faults: readonly Fault[];
}

/** "readable" takes only a message that a worker can read, and that it will know again by the id it had. */
export type Acceptance = "readable" | "any";

/** Finds the letters that lines name. Changes nothing. */
export async function repairedLetters(
  deadLetters: DeadLetters,
  file: Uint8Array,
  accepted: Acceptance,
): Promise<Repaired> {
  const { repairs, faults } = repairsIn(file);
  // A selection without names is one of all letters.
  if (repairs.size === 0) return { letters: [], faults };
  const letters: ToSettle[] = [];
  const found = new Set<string>();
  const ids = new Set(repairs.keys());
  const named = { ids, queue: undefined, match: undefined, deadBeforeMs: undefined, limit: Infinity };
  for await (const letter of select(deadLetters, named)) {
    const name = nameOf(letter);
    const repair = repairs.get(name);
    if (repair === undefined) continue;
    const message = { id: letter.message.id, contentType: repair.contentType, body: repair.body };
    letters.push({ ...listedOf({ ...letter, message }), repaired: message });
    const reason = accepted === "any" || found.has(name) ? undefined : unreadable(message);
    if (reason !== undefined) faults.push({ line: repair.line, reason });
    found.add(name);
  }
  for (const [name, { line }] of repairs) {
    if (!found.has(name)) faults.push({ line, reason: `no dead letter is called ${name}` });
  }
  return { letters, faults: faults.toSorted((a, b) => a.line - b.line) };
}

function unreadable(message: Message): string | undefined {
  const force = "(--force replays it all the same)";
  try {
    const { id } = decodeMessage(message);
    if (id === message.id) return undefined;
    return `the id in the body is not ${message.id}, by which its events are counted once ${force}`;
  } catch (error) {
    const { detail, message: title } = asMillraceError(error, "INTERNAL");
    return `${detail ?? title} ${force}`;
  }
}

/** As much as AMQP 0-9-1 holds. */
const CONTENT_TYPE_MAX_BYTES = 255;

/** What a line says of a letter. */
interface Repair extends Pick<Message, "contentType" | "body"> {
  readonly line: number;
  readonly queue: ProjectionName;
  readonly id: string;
}

/** By the names of the letters; a letter that two lines name must be the same in both. */
function repairsIn(file: Uint8Array): {
  readonly repairs: ReadonlyMap<string, Repair>;
  readonly faults: Fault[];
} {
  const repairs = new Map<string, Repair>();
  const faults: Fault[] = [];
  let line = 1;
  for (let from = 0; from < file.length; line += 1) {
    const newline = file.indexOf(0x0a, from);
    const end = newline === -1 ? file.length : newline;
    const read = readLine(file.subarray(from, end), line);
    from = end + 1;
    if (read === undefined) continue;
    if ("reason" in read) {
      faults.push(read);
      continue;
    }
    const name = nameOf(read);
    const earlier = repairs.get(name);
    if (earlier === undefined) repairs.set(name, read);
    else if (!isSame(earlier, read))
      faults.push({ line, reason: `line ${earlier.line} names ${name} too, and differs` });
  }
  return { repairs, faults };
}

const isSame = (one: Repair, other: Repair): boolean =>
  one.contentType === other.contentType && Buffer.compare(one.body, other.body) === 0;

/** Undefined for an empty line. */
function readLine(bytes: Uint8Array, line: number): Repair | Fault | undefined {
  const fault = (reason: string): Fault => ({ line, reason });
  if (!isUtf8(bytes)) return fault("this is not text in UTF-8");
  // Takes a byte order mark away, too.
  const text = asBuffer(bytes).toString().trim();
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fault(`this is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return fault("this is not a JSON object");
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { name, contentType } = fields;
  const named = typeof name === "string" ? queueAndId(name) : undefined;
  if (named === undefined) return fault("name must be as `list` prints it, such as hourlyLog:17");
  if (typeof contentType !== "string" || Buffer.byteLength(contentType) > CONTENT_TYPE_MAX_BYTES) {
    return fault(`contentType must be a string of at most ${CONTENT_TYPE_MAX_BYTES} bytes`);
  }
  const body = bodyOf(fields);
  return typeof body === "string" ? fault(body) : { line, ...named, contentType, body };
}

/** The bytes, or what is wrong with them. */
function bodyOf({ body, bodyBase64 }: Readonly<Record<string, unknown>>): Uint8Array | string {
  if ((body === undefined) === (bodyBase64 === undefined))
    return "there must be one of body and bodyBase64, and not both";
  if (bodyBase64 === undefined) {
    if (typeof body !== "string") return "body must be a string, in which JSON is escaped";
    return body.isWellFormed() ? new TextEncoder().encode(body) : "body holds half a surrogate pair";
  }
  const bytes = typeof bodyBase64 === "string" ? Buffer.from(bodyBase64, "base64") : undefined;
  return bytes?.toString("base64") === bodyBase64 ? bytes : "bodyBase64 must be base64, with its padding";
}
