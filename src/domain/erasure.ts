import { MillraceError } from "../errors.ts";
import { decodeMessage, encodeRows, type Envelope, type Message, rowsOf } from "./envelope.ts";

/** Within so long a worker has forgotten what it knew of the names of before an erasure, in milliseconds. */
export const FORGOTTEN_WITHIN_MS = 1000;

/** Stands for a dead letter's reason that quoted the name. */
export const ERASED_REASON = "its reason held a name that has been erased";

/** What an erasure takes away, and is counted by. */
export const erasedKinds = [
  "accounts",
  "hourlyRows",
  "claims",
  "events",
  "deadLetters",
  "unreadable",
] as const;
export type Erased = Readonly<Record<(typeof erasedKinds)[number], number>>;

export const nothingErased: Erased = {
  accounts: 0,
  hourlyRows: 0,
  claims: 0,
  events: 0,
  deadLetters: 0,
  unreadable: 0,
};
export const erasedAlso = (one: Erased, other: Erased): Erased => ({
  accounts: one.accounts + other.accounts,
  hourlyRows: one.hourlyRows + other.hourlyRows,
  claims: one.claims + other.claims,
  events: one.events + other.events,
  deadLetters: one.deadLetters + other.deadLetters,
  unreadable: one.unreadable + other.unreadable,
});
export const countErased = (erased: Erased): number =>
  erasedKinds.reduce((sum, kind) => sum + erased[kind], 0);

/** A message without the events of a user. */
export type WithoutUser =
  /** It has none. */
  | { readonly kind: "as it was" }
  /** `left` are the events of others; the message may be empty then, and has its id all the same. */
  | { readonly kind: "less"; readonly message: Message; readonly taken: number; readonly left: number }
  /** No event can be told from another in it, and the name is there. */
  | { readonly kind: "unreadable" }
  /** The name is there; a later Millrace can read it, and has to take the events out. */
  | { readonly kind: "too new" };

/** Takes the events of a user out of a message. Those of others stay as they are, in their order, under their message's id. */
export function withoutUser(message: Message, username: string): WithoutUser {
  const { contentType: type } = message;
  if (!mayHold(message.body, username) && !mayHold(Buffer.from(type), username)) return { kind: "as it was" };
  const envelope = readable(message);
  if (typeof envelope === "string") {
    // Escapes and all: what cannot be read cannot be told apart.
    const text = `${type} ${new TextDecoder().decode(message.body)}`;
    const holds = formsOf(username).some((form) => holdsName(text, form));
    return { kind: holds ? envelope : "as it was" };
  }
  const left = envelope.events.filter((event) => event.username !== username);
  const taken = envelope.events.length - left.length;
  if (taken === 0) return { kind: "as it was" };
  const { contentType, body } = encodeRows(envelope.id, left.length === 0 ? [] : [rowsOf(left)]);
  return { kind: "less", message: { ...message, contentType, body }, taken, left: left.length };
}

function readable(message: Message): Envelope | "unreadable" | "too new" {
  try {
    return decodeMessage(message);
  } catch (error) {
    return error instanceof MillraceError && error.code === "MESSAGE_TOO_NEW" ? "too new" : "unreadable";
  }
}

const BACKSLASH = 0x5c;

/** False where reading the bytes as JSON cannot give the name: it is not there, and nothing is escaped. */
function mayHold(body: Uint8Array, username: string): boolean {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return bytes.includes(BACKSLASH) || bytes.includes("%") || bytes.includes(username);
}

/** The name as others may have written it: as it is, as JSON escapes it (shortly, or all but ASCII), and as URLs do. */
export function formsOf(username: string): readonly string[] {
  const json = JSON.stringify(username).slice(1, -1);
  const ascii = json.replaceAll(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Array.from(new Set([username, json, ascii, encodeURIComponent(username)]));
}

const partOfWord = /^[\p{L}\p{N}]$/u;

/** Whether a text holds the name as a word of its own: `ann` is not in `channel`. */
export function holdsName(text: string, username: string): boolean {
  for (let at = text.indexOf(username); at >= 0; at = text.indexOf(username, at + 1)) {
    const [before = ""] = Array.from(text.slice(Math.max(0, at - 2), at)).slice(-1);
    const [after = ""] = Array.from(text.slice(at + username.length, at + username.length + 2));
    if (!partOfWord.test(before) && !partOfWord.test(after)) return true;
  }
  return false;
}
