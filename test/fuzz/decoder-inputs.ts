import { gzipSync } from "node:zlib";
import { encodeRows, envelopeContentType, type Message, rowsOf } from "../../src/domain/envelope.ts";
import { type Random, seededRandom } from "../fault/random.ts";

const json = "application/json";
const AT_MS = Date.UTC(2026, 10, 24, 6);
const names = [
  "u",
  "kodingbot",
  "\u{1f600}",
  "e\u0301",
  "\u202e",
  "__proto__",
  "constructor",
  "$gt",
  "a.b",
  "x".repeat(256),
] as const;
const prototypeNames = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "length",
  "$where",
] as const;
/** As they stand in JSON: the ends of ranges, and what is beyond them. */
const numbers = [
  "0",
  "-0",
  "1",
  "-1",
  "1.5",
  "1e400",
  "-1e400",
  "1e-400",
  "9007199254740991",
  "9007199254740993",
  "-9007199254740991",
  "253402300799999",
  "253402300800000",
  "1e2",
  "9".repeat(400),
  `0.${"0".repeat(400)}1`,
] as const;
const odd = [
  ...numbers,
  "null",
  "true",
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  `"${"y".repeat(257)}"`,
  `"${"z".repeat(5000)}"`,
  "[]",
  "{}",
  "[[]]",
  '{"$gt":""}',
  '{"length":1}',
  '"millrace.envelope/2"',
] as const;
const types = [
  envelopeContentType,
  `${envelopeContentType}; charset=utf-8`,
  envelopeContentType.toUpperCase(),
  json,
  "application/json;charset=utf-16",
  " application/json ",
  "",
  "text/plain",
  "application/json\0",
  ";",
  "__proto__",
  "application/vnd.millrace.envelope",
] as const;

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The same for the same seed and index, so that one that shows a fault can be had again. */
export function inputOf(seed: number, index: number): Message {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  const kind = random.pick(kinds);
  const { contentType, body } = kind(random);
  return {
    id: random.chance(0.9) ? `message-${index}` : random.pick(names),
    contentType: random.chance(0.05) ? random.pick(types) : contentType,
    body: typeof body === "string" ? Buffer.from(body) : body,
  };
}

interface Input {
  readonly contentType: string;
  readonly body: string | Buffer;
}
const either = (random: Random): string => (random.chance(0.5) ? envelopeContentType : json);

function goodEnvelope(random: Random): Buffer {
  const events = Array.from({ length: random.integer(0, 6) }, () => ({
    username: random.pick(names),
    metric: random.pick(names),
    count: random.integer(-1000, 1000),
    atMs: AT_MS + random.integer(-1e9, 1e9),
    id: random.chance(0.5) ? `id:${random.integer(0, 1e6)}` : undefined,
  }));
  const rows = events.length === 0 ? [] : [rowsOf(events)];
  return Buffer.from(encodeRows(`e-${random.integer(1, 1e9)}`, rows).body);
}
function goodEvent(random: Random): Buffer {
  const timestamp = random.chance(0.5) ? AT_MS : new Date(AT_MS).toISOString();
  const event = {
    username: random.pick(names),
    metric: random.pick(names),
    count: random.integer(-9, 9),
    timestamp,
  };
  return Buffer.from(JSON.stringify(random.chance(0.3) ? { ...event, id: random.pick(names) } : event));
}
const good = (random: Random) => {
  const contentType = either(random);
  return { contentType, body: contentType === json ? goodEvent(random) : goodEnvelope(random) };
};

/** Bytes changed, left out, doubled and added anywhere. */
function mutated(random: Random, from: Buffer): Buffer {
  let body = Buffer.from(from);
  for (let times = random.integer(1, 4); times > 0; times -= 1) {
    const at = random.integer(0, body.length);
    const to = random.integer(at, Math.min(body.length, at + random.skewed(1, 64)));
    const piece = random.pick<() => Buffer>([
      () => Buffer.of(random.integer(0, 255)),
      () => Buffer.alloc(0),
      () => Buffer.concat([body.subarray(at, to), body.subarray(at, to)]),
      () => Buffer.from(random.pick(odd)),
      () => Buffer.from(random.pick(['"', ",", "]", "}", "[", "{", ":", "\\", "\\u", "\n", "\0"])),
    ])();
    body = Buffer.concat([body.subarray(0, at), piece, body.subarray(to)]);
  }
  return random.chance(0.1) ? body.subarray(0, random.integer(0, body.length)) : body;
}

/** Still JSON, with one part of it replaced by something odd, left out, doubled, or called otherwise. */
function reshaped(random: Random, from: Buffer): string {
  const parts: { within: Json[] | { [name: string]: Json }; at: string }[] = [];
  const root: Json = JSON.parse(from.toString());
  const collect = (value: Json): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [at, below] of Object.entries(value)) {
      parts.push({ within: value, at });
      collect(below);
    }
  };
  collect(root);
  const mark = "\u0001mark";
  const part = parts[random.integer(0, parts.length - 1)];
  if (part === undefined) return random.pick(odd);
  const { within, at } = part;
  const marked = within as { [name: string]: Json };
  if (Array.isArray(within) && random.chance(0.3)) within.splice(Number(at), 1, mark, mark);
  else marked[at] = mark;
  const text = JSON.stringify(root).replaceAll(JSON.stringify(mark), () => random.pick(odd));
  if (!random.chance(0.2)) return text;
  // A name that an object of JavaScript treats in its own way, or one that is there twice.
  const name = random.pick([...prototypeNames, "schema", "id", "fields", "events", "username", "timestamp"]);
  const where = random.chance(0.5) ? text.indexOf("{") + 1 : text.lastIndexOf("}");
  const field = `"${name}":${random.pick(odd)}`;
  return `${text.slice(0, where)}${text[where - 1] === "{" ? `${field},` : `,${field}`}${text.slice(where)}`;
}

function nested(random: Random): string {
  const depth = random.chance(0.002) ? 200_000 : random.skewed(1, 5000);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
    ['{"__proto__":', "}"],
  ] as [[string, string], ...[string, string][]]);
  const inner =
    open.repeat(depth) + (open === "[" ? "" : "1") + close.repeat(random.chance(0.8) ? depth : depth >> 1);
  if (random.chance(0.5)) return inner;
  const head = `{"schema":"millrace.envelope/1","id":"n","fields":["username","metric","count","at","id"],"events":`;
  return random.chance(0.5) ? `${head}${inner}}` : `${head}[["u","m",${inner},1]]}`;
}

function otherwiseEncoded(random: Random): Buffer {
  const text = goodEnvelope(random).toString();
  return random.pick<() => Buffer>([
    () => Buffer.from(text, "utf16le"),
    () => Buffer.from(`\ufeff${text}`, "utf16le"),
    () => Buffer.from(text, "latin1"),
    () => Buffer.from(`\ufeff${text}`),
    () => gzipSync(text),
    () => Buffer.from(text).subarray(1),
    () => Buffer.from(text.replace("u", "\\ud83d")),
    () =>
      Buffer.concat([
        Buffer.from('["'),
        Buffer.from(random.pick(["eda080", "c0af", "f4908080", "ff", "e282"]), "hex"),
        Buffer.from('"]'),
      ]),
    () => Buffer.concat([Buffer.from(text), Buffer.alloc(random.integer(1, 9))]),
  ])();
}

function bytesOf(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.skewed(1, 300) }, () => random.integer(0, 255)));
}

const kinds: readonly [(random: Random) => Input, ...((random: Random) => Input)[]] = [
  good,
  (random) => ({ contentType: either(random), body: bytesOf(random) }),
  (random) => ({ contentType: either(random), body: random.pick(odd) }),
  (random) => ({ contentType: either(random), body: nested(random) }),
  (random) => ({ contentType: either(random), body: otherwiseEncoded(random) }),
  ...Array.from({ length: 3 }, () => (random: Random) => {
    const { contentType, body } = good(random);
    return { contentType, body: mutated(random, body) };
  }),
  ...Array.from({ length: 4 }, () => (random: Random) => {
    const { contentType, body } = good(random);
    return { contentType, body: reshaped(random, body) };
  }),
];
