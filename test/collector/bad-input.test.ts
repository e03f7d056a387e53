import { connect } from "node:net";
import { constants, deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { accounts, distinctNames, eventsIn, hourlyPerUser, hourlyTotals } from "../flow/views.ts";

let millrace: Standalone;
let startedSeconds: number;
/** Events that were answered 200: all that the views may show. */
let taken = 0;

beforeAll(async () => {
  millrace = await startStandalone({
    environment: { MILLRACE_REQUEST_TIMEOUT_MS: "1500", MILLRACE_BATCH_MAX_EVENTS: "100" },
  });
  startedSeconds = await processMetric("start_time_seconds");
});
afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
});

/** A figure of the process behind the ports; the time of its start tells it from every other. */
async function processMetric(name: string): Promise<number> {
  const text = await (await fetch(`${millrace.adminUrl}/metrics`)).text();
  const found = new RegExp(String.raw`^\w*process_${name}\S* (\S+)$`, "m").exec(text)?.[1];
  if (found === undefined) throw new Error(`/metrics has no process_${name}`);
  return Number(found);
}

// What is sent. ---------------------------------------------------------------------------------------------------

type Text = string | Buffer;
type Headers = Readonly<Record<string, string | undefined>>;

const bytes = (...parts: readonly Text[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
const lines = (...all: readonly string[]): string => all.map((line) => `${line}\r\n`).join("");

/** A request of HTTP/1.1 whose framing is right. A header that is undefined is left out. */
function request(line: string, body: Text = "", headers: Headers = {}): Buffer {
  const length = Buffer.byteLength(body);
  const all: Headers = {
    host: "localhost",
    ...(length > 0 && { "content-length": `${length}` }),
    ...headers,
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return bytes(lines(`${line} HTTP/1.1`, ...given.map(([name, value]) => `${name}: ${value}`), ""), body);
}
const json = { "content-type": "application/json" };
const event = (body: Text, headers: Headers = {}): Buffer =>
  request("POST /event", body, { ...json, ...headers });
const events = (body: Text, headers: Headers = {}): Buffer =>
  request("POST /events", body, { ...json, ...headers });
const as = (type: string | undefined): Headers => ({ "content-type": type });
const ndjson = (body: Text): Buffer => events(body, as("application/x-ndjson"));
const gzip = { "content-encoding": "gzip" };

/** Good in itself: none of these may be seen by the views, since the request around it is broken. */
const ok = '{"username":"bad","metric":"bad","count":1}';
const fields = { username: '"bad"', metric: '"bad"', count: "1" };
/** An event with one field set to some JSON. */
function having(field: string, value: string): string {
  const all = Object.entries({ ...fields, [field]: value });
  return `{${all.map(([name, text]) => `"${name}":${text}`).join(",")}}`;
}
const named = (username: string): string => having("username", `"${username}"`);
/** An event with a field added, even one that an object of JavaScript would treat in its own way. */
const plus = (field: string, value: string): string => `${ok.slice(0, -1)},"${field}":${value}}`;
const raw = (hex: string): Buffer =>
  bytes('{"username":"', Buffer.from(hex, "hex"), '","metric":"bad","count":1}');
const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

/** POST /event up to where its framing goes its own way. */
const framed = (...rest: readonly string[]): string =>
  lines("POST /event HTTP/1.1", "host: localhost", "content-type: application/json", ...rest);
const chunked = (body: string): Buffer => bytes(framed("transfer-encoding: chunked", ""), body);
/** `good` is what may be taken: the answer to it must be 200. */
const good = '{"username":"good","metric":"alive","count":1}';

// What comes back. ------------------------------------------------------------------------------------------------

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The whole answers in what a connection brought; an answer without a length lasts until the end. */
function answersIn(received: Buffer): readonly Answer[] {
  const answers: Answer[] = [];
  let rest = received;
  while (rest.includes("\r\n\r\n")) {
    const at = rest.indexOf("\r\n\r\n");
    const [first = "", ...headerLines] = rest.toString("latin1", 0, at).split("\r\n");
    const headers = new Map(
      headerLines.map((line): [string, string] => {
        const [name = "", ...value] = line.split(":");
        return [name.toLowerCase(), value.join(":").trim()];
      }),
    );
    const status = Number(/^HTTP\/1\.1 (\d{3})\b/.exec(first)?.[1]);
    const length = Number(headers.get("content-length") ?? rest.length - at - 4);
    if (rest.length < at + 4 + length) break;
    answers.push({ status, headers, body: rest.toString("utf8", at + 4, at + 4 + length) });
    rest = rest.subarray(at + 4 + length);
  }
  return answers;
}

/** How our side of the connection ends: after the last awaited answer, right after the bytes, or with a reset. */
type End = "answered" | "half-closed" | "reset";

/** Sends bytes over a connection of their own, and resolves to all answers once the server has closed it. */
function exchange(sent: Buffer, awaited: number, end: End): Promise<readonly Answer[]> {
  return new Promise((done, fail) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(new URL(millrace.collectorUrl).port), "127.0.0.1");
    const received = (): readonly Answer[] => answersIn(Buffer.concat(chunks));
    socket.setTimeout(10_000, () => {
      const got = JSON.stringify(Buffer.concat(chunks).toString().slice(0, 500));
      socket.destroy(new Error(`neither closed nor answered ${awaited} times in time: ${got}`));
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (received().length >= awaited) socket.end();
    });
    socket.on("error", (error: Error & { code?: string }) => {
      if (error.code === undefined) fail(error);
    });
    socket.once("close", () => done(received()));
    socket.write(sent, () => {
      if (end === "half-closed") socket.end();
      if (end === "reset") socket.resetAndDestroy();
    });
  });
}

/** RFC 9457, and what the server itself promises of each. */
function expectProblem({ status, headers, body }: Answer): void {
  expect(headers.get("content-type")).toMatch(/^application\/problem\+json(; charset=utf-8)?$/);
  const problem = JSON.parse(body) as Record<string, unknown>;
  expect(problem).toMatchObject({ status });
  expect(URL.canParse(String(problem["type"]))).toBe(true);
  for (const text of [problem["title"], problem["code"]]) expect(text).toMatch(/^\S/);
  expect(problem["detail"] ?? "nothing to add").toMatch(/\S/);
  for (const one of (problem["errors"] ?? []) as unknown[]) {
    expect(one).toEqual({ pointer: expect.stringMatching(/^(\/|$)/), detail: expect.stringMatching(/\S/) });
  }
  expect(headers.get("allow") ?? "").toMatch(status === 405 ? /^[A-Z]+(, [A-Z]+)*$/ : /^$/);
}

/** The process lives, and takes the next good event. */
async function expectAlive(): Promise<void> {
  const id = `good-${taken}`;
  const answer = await fetch(`${millrace.collectorUrl}/event`, {
    method: "POST",
    headers: json,
    body: JSON.stringify({ ...(JSON.parse(good) as object), id }),
  });
  expect({ status: answer.status, body: await answer.text() }).toEqual({ status: 200, body: "" });
  taken += 1;
  expect(() => process.kill(millrace.pid, 0)).not.toThrow();
}

/** Name, bytes, the status of each answer (none: the connection is closed without one), and how our side ends. */
type Row = readonly [name: string, sent: Buffer, statuses: number | readonly number[], end?: End];

const tables: { readonly title: string; readonly rows: readonly Row[] }[] = [];
function refused(title: string, rows: readonly Row[]): void {
  tables.push({ title, rows });
}

// The tables. -----------------------------------------------------------------------------------------------------

refused("a body that is not JSON is refused:", [
  ["an empty body", event(""), 400],
  ["an empty body with its length", event("", { "content-length": "0" }), 400],
  ["blanks alone", event(" \r\n\t "), 400],
  ["a bracket alone", event("{"), 400],
  ["an event cut short", event(ok.slice(0, -1)), 400],
  ["an event cut in a string", event(ok.slice(0, 14)), 400],
  ["an event and more", event(`${ok}]`), 400],
  ["two events", event(ok + ok), 400],
  ["two events on two lines", event(`${ok}\n${ok}`), 400],
  ["a comma at the end", event(`${ok.slice(0, -1)},}`), 400],
  ["single quotes", event(ok.replaceAll('"', "'")), 400],
  ["names without quotes", event("{username:1}"), 400],
  ["a comment", event(`/* event */${ok}`), 400],
  ["a form", event("username=bad&metric=bad&count=1"), 400],
  ["XML", event("<event/>"), 400],
  ["NaN", event(having("count", "NaN")), 400],
  ["Infinity", event(having("count", "Infinity")), 400],
  ["-Infinity", event(having("count", "-Infinity")), 400],
  ["undefined", event(having("count", "undefined")), 400],
  ["a hexadecimal number", event(having("count", "0x10")), 400],
  ["a number with a leading zero", event(having("count", "01")), 400],
  ["a number with a plus", event(having("count", "+1")), 400],
  ["a number with a separator", event(having("count", "1_000")), 400],
  ["a number of two points", event(having("count", "1.0.0")), 400],
  ["a BigInt", event(having("count", "1n")), 400],
  ["a line break in a string", event(having("username", '"a\nb"')), 400],
  ["a raw NUL in a string", event(raw("00")), 400],
  ["a NUL after the event", event(`${ok}\0`), 400],
  ["NUL bytes alone", event(Buffer.alloc(64)), 400],
  ["half an escape", event(having("username", String.raw`"\u00"`)), 400],
  ["an escape that there is not", event(having("username", String.raw`"\x41"`)), 400],
  ["thirty thousand brackets", event("[".repeat(30_000)), 400],
]);

refused("a body that is not UTF-8 is refused:", [
  ["the byte FF", event(raw("ff")), 400],
  ["a byte of Latin-1", event(raw("e9")), 400],
  ["a sequence cut short", event(raw("e282")), 400],
  ["an overlong slash", event(raw("c0af")), 400],
  ["an overlong NUL", event(raw("c080")), 400],
  ["a surrogate", event(raw("eda080")), 400],
  ["a code point past the last", event(raw("f4908080")), 400],
  ["UTF-16", event(Buffer.from(ok, "utf16le")), 400],
  ["UTF-16 with a byte order mark", event(Buffer.from(`\ufeff${ok}`, "utf16le")), 400],
  ["UTF-8 with a byte order mark", event(`\ufeff${ok}`), 400],
  ["the byte FF in a batch", events(bytes("[", raw("ff"), "]")), 400],
  ["the byte FF in NDJSON", ndjson(bytes(raw("ff"), "\n", ok)), 400],
]);

refused("JSON that is no event is refused:", [
  ["null", event("null"), 400],
  ["a number", event("17"), 400],
  ["a number out of range", event("1e400"), 400],
  ["a text", event('"event"'), 400],
  ["an event as text", event(JSON.stringify(ok)), 400],
  ["an array of an event", event(`[${ok}]`), 400],
  ["an empty object", event("{}"), 400],
  ["thirty thousand arrays in each other", event(nested(30_000)), 400],
  ["no username", event('{"metric":"bad","count":1}'), 400],
  ["no metric", event('{"username":"bad","count":1}'), 400],
  ["no count", event('{"username":"bad","metric":"bad"}'), 400],
  ["a username that is null", event(having("username", "null")), 400],
  ["a username that is a number", event(having("username", "1")), 400],
  ["a username that is a boolean", event(having("username", "true")), 400],
  ["a username that is an array", event(having("username", '["bad"]')), 400],
  ["a username that is an object", event(having("username", '{"toString":1}')), 400],
  ["a username that is arrays in each other", event(having("username", nested(30_000))), 400],
  ["an empty username", event(having("username", '""')), 400],
  ["a username of 257 letters", event(named("u".repeat(257))), 400],
  ["a username of 257 emoji", event(named("\u{1f600}".repeat(257))), 400],
  ["a username of 60 000 letters", event(named("u".repeat(60_000))), 400],
  ["a username of one cluster", event(named(`e${"\u0301".repeat(30_000)}`)), 400],
  ["an escaped NUL in a username", event(having("username", String.raw`"a\u0000b"`)), 400],
  ["the first half of a surrogate pair", event(having("username", String.raw`"\ud800"`)), 400],
  ["the second half of a surrogate pair", event(having("username", String.raw`"\udfff"`)), 400],
  ["a surrogate pair the wrong way round", event(having("username", String.raw`"\ude00\ud83d"`)), 400],
  ["a metric that is a number", event(having("metric", "7")), 400],
  ["an empty metric", event(having("metric", '""')), 400],
  ["an escaped NUL in a metric", event(having("metric", String.raw`"\u0000"`)), 400],
  ["half of a surrogate pair in a metric", event(having("metric", String.raw`"m\udbff"`)), 400],
  ["a count that is null", event(having("count", "null")), 400],
  ["a count that is text", event(having("count", '"1"')), 400],
  ["a count that is a boolean", event(having("count", "true")), 400],
  ["a count that is an array", event(having("count", "[1]")), 400],
  ["a count that is an object", event(having("count", '{"$numberLong":"1"}')), 400],
  ["a count that is a fraction", event(having("count", "0.5")), 400],
  ["a count of 1e400", event(having("count", "1e400")), 400],
  ["a count of -1e400", event(having("count", "-1e400")), 400],
  ["a count of 2^53", event(having("count", "9007199254740992")), 400],
  ["a count of -2^53", event(having("count", "-9007199254740992")), 400],
  ["a count of 41 digits", event(having("count", "9".repeat(41))), 400],
  ["a count of 50 000 digits", event(having("count", "9".repeat(50_000))), 400],
  ["a count that is almost nothing", event(having("count", `0.${"0".repeat(300)}1`)), 400],
  ["an id that is null", event(having("id", "null")), 400],
  ["an id that is a number", event(having("id", "1")), 400],
  ["an empty id", event(having("id", '""')), 400],
  ["an id of 257 letters", event(having("id", `"${"i".repeat(257)}"`)), 400],
  ["an id with a NUL", event(having("id", String.raw`"\u0000"`)), 400],
  ["a timestamp that is null", event(having("timestamp", "null")), 400],
  ["a timestamp that is no time", event(having("timestamp", '"yesterday"')), 400],
  ["a timestamp on 31 February", event(having("timestamp", '"2026-02-31T00:00:00Z"')), 400],
  ["a timestamp in seconds", event(having("timestamp", "1795500000")), 400],
  ["a timestamp of the year 9999", event(having("timestamp", '"9999-12-31T23:59:59Z"')), 400],
  ["a timestamp of 1e400", event(having("timestamp", "1e400")), 400],
  ["a field that is not known", event(plus("user", "1")), 400],
  ["a field __proto__", event(plus("__proto__", "{}")), 400],
  ["a field __proto__ with the event in it", event(`{"__proto__":${ok}}`), 400],
  ["a field constructor", event(plus("constructor", '{"prototype":{"bad":1}}')), 400],
  ["a field prototype", event(plus("prototype", "{}")), 400],
  ["a field toString", event(plus("toString", "1")), 400],
  ["a field whose name is half a surrogate pair", event(plus(String.raw`\ud800`, "1")), 400],
  ["a field whose name is NUL", event(plus(String.raw`\u0000`, "1")), 400],
  ["one unknown field five thousand times", event(ok.replace("}", `${',"y":1'.repeat(5000)}}`)), 400],
]);

refused("a batch with nothing good in it is refused:", [
  ["an empty body", events(""), 400],
  ["no JSON", events("["), 400],
  ["an event cut short", events(`[${ok}`), 400],
  ["an object where an array is due", events(ok), 400],
  ["an object with the array in it", events(`{"events":[${ok}]}`), 400],
  ["null", events("null"), 400],
  ["a text", events('"[]"'), 400],
  ["an array of what is no object", events('[1,"a",null,true,[],1e400]'), 400],
  ["an array of an array of an event", events(`[[${ok}]]`), 400],
  ["an array of empty objects", events("[{},{},{}]"), 400],
  ["a hundred thousand brackets", events("[".repeat(100_000)), 400],
  ["a hundred thousand arrays in each other", events(nested(100_000)), 400],
  ["a hundred thousand objects in each other", events(`[${'{"a":'.repeat(1e5)}1${"}".repeat(1e5)}]`), 400],
  ["a username of a mebibyte", events(`[${named("u".repeat(2 ** 20))}]`), 400],
  ["a username of one cluster of a mebibyte", events(`[${named(`e${"\u0301".repeat(2 ** 19)}`)}]`), 400],
  ["NDJSON of garbage", ndjson("garbage\n\0\n%%%\n"), 400],
  ["NDJSON of an array", ndjson(`[${ok}]\n`), 400],
  ["NDJSON of events cut short", ndjson(`${ok.slice(0, -1)}\n${ok.slice(1)}\n`), 400],
  ["NDJSON of an event on several lines", ndjson(JSON.stringify(JSON.parse(ok), null, 1)), 400],
  ["NDJSON of numbers", ndjson("1\n2\n3"), 400],
  ["one event more than a batch may have", events(`[${Array(101).fill(ok).join()}]`), 413],
  ["one line more than a batch may have", ndjson(`${ok}\n`.repeat(101)), 413],
  ["a million numbers", events(`[${"1,".repeat(1e6)}1]`), 413],
]);

refused("a body over the limit is refused:", [
  ["an event of 64 KiB and a byte", event(ok + " ".repeat(65_537 - ok.length)), 413],
  ["an event that says it has 10 GB", event(ok, { "content-length": "10000000000" }), 413],
  ["an event that says it has 2^53 bytes", event(ok, { "content-length": "9007199254740992" }), 413],
  ["an event in chunks over the limit", chunked(lines("10001", " ".repeat(65_537), "0", "")), 413],
  ["a batch that says it has 5 MiB and a byte", events("[]", { "content-length": "5242881" }), 413],
  ["10 GB to nowhere", request("POST /nowhere", ok, { "content-length": "10000000000" }), 404],
]);

const packed = gzipSync(ok);
const changed = (at: number, to: number): Buffer => {
  const copy = Buffer.from(packed);
  copy[at < 0 ? copy.length + at : at] = to;
  return copy;
};
const zeros = (size: number): Buffer => gzipSync(Buffer.alloc(size), { level: constants.Z_BEST_COMPRESSION });
/** Gzip states at its end how much it holds; this one lies. */
const sayingNothing = (zipped: Buffer): Buffer => bytes(zipped.subarray(0, -4), Buffer.alloc(4));
/** A gibibyte of zeros, a mebibyte to a member: made at once, where one member of it takes seconds. */
const members = Buffer.concat(Array<Buffer>(1024).fill(zeros(2 ** 20)));

refused("a body that is not what its encoding says is refused:", [
  ["gzip cut short", event(packed.subarray(0, -9), gzip), 400],
  ["gzip without its last byte", event(packed.subarray(0, -1), gzip), 400],
  ["gzip cut in its head", event(packed.subarray(0, 5), gzip), 400],
  ["gzip with another checksum", event(changed(-8, (packed.at(-8) ?? 0) ^ 1), gzip), 400],
  ["gzip with another length", event(changed(-4, (packed.at(-4) ?? 0) ^ 1), gzip), 400],
  ["gzip with another method", event(changed(2, 7), gzip), 400],
  ["gzip with a bit changed in the middle", event(changed(20, (packed[20] ?? 0) ^ 0xff), gzip), 400],
  ["a plain body", event(ok, gzip), 400],
  ["an empty body", event("", { ...gzip, "content-length": "0" }), 400],
  ["zlib called gzip", event(deflateSync(ok), gzip), 400],
  ["gzip of gzip", event(gzipSync(packed), gzip), 400],
  ["gzip of nothing", event(gzipSync(""), gzip), 400],
  ["gzip of no JSON", event(gzipSync("garbage"), gzip), 400],
  ["gzip of what is not UTF-8", event(gzipSync(raw("ff")), gzip), 400],
  ["gzip that is not said", event(packed), 400],
  ["deflate", event(deflateSync(ok), { "content-encoding": "deflate" }), 415],
  ["Brotli", event(ok, { "content-encoding": "br" }), 415],
  ["Zstandard", event(ok, { "content-encoding": "zstd" }), 415],
  ["gzip twice", event(gzipSync(packed), { "content-encoding": "gzip, gzip" }), 415],
  ["an encoding that there is not", event(ok, { "content-encoding": "rot13" }), 415],
  ["an encoding called __proto__", event(ok, { "content-encoding": "__proto__" }), 415],
  ["64 KiB of zeros and a byte as gzip", event(zeros(65_537), gzip), 413],
  ["6 MiB of zeros as gzip", events(zeros(6 * 2 ** 20), gzip), 413],
  ["6 MiB of zeros as gzip that says it has none", events(sayingNothing(zeros(6 * 2 ** 20)), gzip), 413],
  ["a gibibyte of zeros as gzip of a mebibyte", events(members, gzip), 413],
  ["6 MiB of brackets as gzip", events(gzipSync("[".repeat(6 * 2 ** 20)), gzip), 413],
]);

refused("another content type is refused:", [
  ["none", event(ok, as(undefined)), 415],
  ["an empty one", event(ok, as("")), 415],
  ["no type at all", event(ok, as("json")), 415],
  ["a type without a subtype", event(ok, as("application/")), 415],
  ["text", event(ok, as("text/plain")), 415],
  ["text of the batch", events(`[${ok}]`, as("text/plain;charset=UTF-8")), 415],
  ["a form", event("username=bad", as("application/x-www-form-urlencoded")), 415],
  ["a form of parts", event(ok, as("multipart/form-data; boundary=b")), 415],
  ["XML", event("<event/>", as("application/xml")), 415],
  ["bytes", event(ok, as("application/octet-stream")), 415],
  ["almost JSON", event(ok, as("application/jsonp")), 415],
  ["JSON of another kind", event(ok, as("application/problem+json")), 415],
  ["NDJSON for one event", event(ok, as("application/x-ndjson")), 415],
  ["a CloudEvents batch for one event", event(`[${ok}]`, as("application/cloudevents-batch+json")), 415],
  ["one CloudEvent for a batch", events(ok, as("application/cloudevents+json")), 415],
  ["UTF-16", event(ok, as("application/json; charset=utf-16")), 415],
  ["Latin-1", event(ok, as('application/json; charset="iso-8859-1"')), 415],
  ["a charset that there is not", event(ok, as("application/json;charset=__proto__")), 415],
]);

const cloudEvent = {
  specversion: "1.0",
  id: "1",
  source: "/bad",
  type: "bad",
  data: JSON.parse(ok) as unknown,
};
const structured = (change: object): Buffer =>
  event(JSON.stringify({ ...cloudEvent, ...change }), as("application/cloudevents+json"));
const batched = (...all: readonly unknown[]): Buffer =>
  events(JSON.stringify(all), as("application/cloudevents-batch+json"));
const binary = (change: Headers, body = ok): Buffer =>
  event(body, { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/bad", "ce-type": "bad", ...change });
const base64 = (body: Text): string => bytes(body).toString("base64");
const encoded = (data: string): Buffer => structured({ data: undefined, data_base64: data });

refused("a broken CloudEvent is refused:", [
  ["structured, no JSON", event("{", as("application/cloudevents+json")), 400],
  ["structured, an array", event(`[${JSON.stringify(cloudEvent)}]`, as("application/cloudevents+json")), 400],
  ["structured, a bare event", event(ok, as("application/cloudevents+json")), 400],
  ["structured, without specversion", structured({ specversion: undefined }), 400],
  ["structured, without id", structured({ id: undefined }), 400],
  ["structured, without source", structured({ source: undefined }), 400],
  ["structured, without type", structured({ type: undefined }), 400],
  ["structured, of version 0.3", structured({ specversion: "0.3" }), 400],
  ["structured, with a number for an id", structured({ id: 1 }), 400],
  ["structured, with a blank in the source", structured({ source: "a b" }), 400],
  ["structured, with data of XML", structured({ datacontenttype: "application/xml", data: "<event/>" }), 400],
  ["structured, without data", structured({ data: undefined }), 400],
  ["structured, with data as text", structured({ data: ok }), 400],
  ["structured, with data that is no event", structured({ data: { username: "bad" } }), 400],
  ["structured, with a time on 31 February", structured({ time: "2026-02-31T00:00:00Z" }), 400],
  ["structured, with base64 of nothing", encoded(""), 400],
  ["structured, with base64 of garbage", encoded("%%%"), 400],
  ["structured, with base64 of an array", encoded(base64(`[${ok}]`)), 400],
  ["structured, with base64 of what is not UTF-8", encoded(base64(raw("ff"))), 400],
  ["structured, with data twice", structured({ data_base64: base64(ok) }), 400],
  ["binary, without specversion", binary({ "ce-specversion": undefined }), 400],
  ["binary, without id", binary({ "ce-id": undefined }), 400],
  ["binary, without source", binary({ "ce-source": undefined }), 400],
  ["binary, without type", binary({ "ce-type": undefined }), 400],
  ["binary, of version 2.0", binary({ "ce-specversion": "2.0" }), 400],
  ["binary, with an empty id", binary({ "ce-id": "" }), 400],
  ["binary, with a NUL in its id", binary({ "ce-id": "%00" }), 400],
  ["binary, with a blank in its source", binary({ "ce-source": "a%20b" }), 400],
  ["binary, with an id too long", binary({ "ce-id": "i".repeat(1025) }), 400],
  ["binary, with data that is no event", binary({}, "{}"), 400],
  ["binary, with data that is no JSON", binary({}, "garbage"), 400],
  ["binary, with a time that is none", binary({ "ce-time": "yesterday" }), 400],
  ["batched, one alone", events(JSON.stringify(cloudEvent), as("application/cloudevents-batch+json")), 400],
  ["batched, of what is no object", batched(1, "a", null, [cloudEvent]), 400],
  ["batched, of bare events", batched(JSON.parse(ok)), 400],
  ["batched, without ids", batched({ ...cloudEvent, id: undefined }, { ...cloudEvent, id: "" }), 400],
]);

refused("a header that means nothing is refused:", [
  ["an empty idempotency key", event(ok, { "idempotency-key": "" }), 400],
  ["an idempotency key with a blank", event(ok, { "idempotency-key": "a b" }), 400],
  ["an idempotency key of 201 letters", event(ok, { "idempotency-key": "k".repeat(201) }), 400],
  ["an idempotency key beyond ASCII", event(ok, { "idempotency-key": "schlüssel" }), 400],
  ["two idempotency keys", event(ok, { "idempotency-key": "a", "Idempotency-Key": "b" }), 400],
  ["an idempotency key with a blank, of a batch", events(`[${ok}]`, { "idempotency-key": "a b" }), 400],
  ["an expectation that nobody meets", event(ok, { expect: "200-ok" }), 417],
]);

const routes = ["/event", "/events", "/debug/vars", "/openapi.json"];
const others = ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];
refused("another method is refused, with those that are allowed:", [
  ...["/event", "/events"].map((path): Row => [`GET ${path}`, request(`GET ${path}`), 405]),
  ...["/debug/vars", "/openapi.json"].map(
    (path): Row => [`POST ${path}`, request(`POST ${path}`, ok, json), 405],
  ),
  ...routes.flatMap((path) =>
    others.map((method): Row => [`${method} ${path}`, request(`${method} ${path}`), 405]),
  ),
  ["GET /event with a query", request("GET /event?username=bad"), 405],
  ["PUT /event with a body", request("PUT /event", ok, json), 405],
  ["GET /event/, where POST is taken too", request("GET /event/"), 405],
]);

refused("a path where there is nothing is refused:", [
  ["/", request("POST /", ok, json), 404],
  ["/Event", request("POST /Event", ok, json), 404],
  ["/event/1", request("POST /event/1", ok, json), 404],
  ["/event%2f", request("POST /event%2f", ok, json), 404],
  ["/x/../event", request("POST /x/../event", ok, json), 404],
  ["//event", request("POST //event", ok, json), 404],
  ["*", request("OPTIONS *"), 404],
  ["/__proto__", request("GET /__proto__"), 404],
  ["a path of 10 000 letters", request(`GET /${"p".repeat(10_000)}`), 404],
  ["a path with a broken escape", request("GET /%zz"), 400],
  ["a path with half an escape", request("POST /event%", ok, json), 400],
]);

const last = lines("2b", ok, "0", "");
const coded = (coding: string): Buffer => bytes(framed(`transfer-encoding: ${coding}`, ""), "0\r\n\r\n");
refused("a request whose length cannot be told is refused:", [
  ["a length that is negative", bytes(framed("content-length: -1", ""), ok), 400],
  ["a length that is a word", bytes(framed("content-length: many", ""), ok), 400],
  ["a length with a plus", bytes(framed("content-length: +43", ""), ok), 400],
  ["a length in hexadecimal", bytes(framed("content-length: 0x2b", ""), ok), 400],
  ["a length with a fraction", bytes(framed("content-length: 43.0", ""), ok), 400],
  ["a length that is empty", bytes(framed("content-length:", ""), ok), 400],
  ["a length past 2^64", bytes(framed(`content-length: ${2n ** 64n + 43n}`, ""), ok), 400],
  ["two lengths that differ", bytes(framed("content-length: 43", "content-length: 5", ""), ok), 400],
  ["two lengths that are the same", bytes(framed("content-length: 43", "content-length: 43", ""), ok), 400],
  ["a list of lengths", bytes(framed("content-length: 43, 43", ""), ok), 400],
  ["a length and chunks", bytes(framed("content-length: 4", "transfer-encoding: chunked", ""), last), 400],
  ["chunks and a length", bytes(framed("transfer-encoding: chunked", "content-length: 43", ""), ok), 400],
  ["a transfer coding that there is not", coded("xchunked"), 400],
  ["gzip as the last transfer coding", coded("chunked, gzip"), 400],
  ["identity as the transfer coding", bytes(framed("transfer-encoding: identity", ""), ok), 400],
  ["chunked after a control character", coded("\x0bchunked"), 400],
  ["a blank before the colon", bytes(framed("transfer-encoding : chunked", ""), "0\r\n\r\n"), 400],
  ["a length too short, the rest taken for a request", event(ok, { "content-length": "20" }), [400, 400]],
  ["a length too long, and then the end", event(ok, { "content-length": "100" }), 400, "half-closed"],
  ["a length too long, and then a reset", event(ok, { "content-length": "100" }), [], "reset"],
  ["a length too long, and then silence", event(ok, { "content-length": "100" }), 408],
]);

const chunk = (size: string): Buffer => chunked(lines(size, ok, "0", ""));
refused("malformed chunks are refused:", [
  ["a size that is a word", chunk("many"), 400],
  ["a size that is negative", chunk("-2b"), 400],
  ["a size with 0x", chunk("0x2b"), 400],
  ["a size that is empty", chunk(""), 400],
  ["a size past 2^64", chunk("1000000000000002b"), 400],
  ["a size too short", chunk("2a"), 400],
  ["a size with a blank before it", chunk(" 2b"), 400],
  ["a size ended by a line feed alone", chunked(`2b\n${ok}\r\n0\r\n\r\n`), 400],
  ["a chunk not ended", chunked(`2b\r\n${ok}0\r\n\r\n`), 400],
  ["an extension of 20 000 letters", chunk(`2b;x=${"x".repeat(20_000)}`), 400],
  ["a trailer that is no header", chunked(lines("2b", ok, "0", "garbage", "")), 400],
  ["a trailer of 20 000 letters", chunked(lines("2b", ok, "0", `x: ${"x".repeat(20_000)}`, "")), 400],
  ["no last chunk, and then the end", chunked(lines("2b", ok)), 400, "half-closed"],
  ["no last chunk, and then a reset", chunked(lines("2b", ok)), [], "reset"],
  ["no last chunk, and then silence", chunked(lines("2b", ok)), 408],
]);

refused("what is slow to arrive is cut off:", [
  ["a body that does not come", event("", { "content-length": "43" }), 408],
  ["a body that stops", event(ok.slice(0, 9), { "content-length": "43" }), 408],
  ["a gzip body that stops", event(packed.subarray(0, 9), { ...gzip, "content-length": "99" }), 408],
  ["headers that stop", bytes(framed()), 408],
  ["a request line that stops", bytes("POST /ev"), 408],
  ["a second request that stops", bytes(event(good), framed()), [200, 408]],
]);

const hello =
  "16030100c4010000c00303" + "ab".repeat(32) + "20" + "cd".repeat(32) + "003e130213031301c02cc030";
const version = (text: string): Buffer =>
  bytes(
    event(ok)
      .toString()
      .replace(" HTTP/1.1", text === "" ? "" : ` ${text}`),
  );
refused("what is not HTTP/1.1 is refused:", [
  ["the hello of TLS", Buffer.from(hello, "hex"), 400],
  ["the greeting of SSH", bytes("SSH-2.0-OpenSSH_9.9\r\n"), 400],
  ["the preface of HTTP/2", bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400],
  ["a request line of HTTP/0.9", bytes("GET /event\r\n"), 408],
  ["HTTP/0.9 in a good event", version("HTTP/0.9"), 400],
  ["HTTP/2.0 in a good event", version("HTTP/2.0"), 400],
  ["no version in a good event", version(""), 400],
  ["HTTP/9.9", bytes(framed().replace("1.1", "9.9"), "\r\n"), 400],
  ["HTTP/1", bytes(framed().replace("1.1", "1"), "\r\n"), 400],
  ["http/1.1 in small letters", bytes(framed().replace("HTTP", "http"), "\r\n"), 400],
  ["a method that there is not", request("BREW /event"), 400],
  ["a method in small letters", request("post /event", ok, json), 400],
  ["garbage", bytes("garbage\r\n\r\n"), 400],
  ["NUL bytes", Buffer.alloc(100), 400],
  ["random bytes", Buffer.from("9f3c01ff7e8812ab00d5c4", "hex"), 400],
  ["JSON without HTTP", bytes(ok, "\n"), 400],
  ["AMQP", Buffer.from("414d515000000901", "hex"), 400],
  ["line feeds alone", bytes(event(ok).toString().replaceAll("\r\n", "\n")), 400],
  ["a header without a colon", bytes(framed("garbage", "")), 400],
  ["a header with a blank in its name", bytes(framed("x y: 1", "")), 400],
  ["a header with a NUL", bytes(framed("x: a\0b", "")), 400],
  ["a header with a lone carriage return", bytes(framed("x: a\rb", "")), 400],
  ["a header on two lines", bytes(framed("x: a", " b", "")), 400],
  ["a path without a slash", request("POST event", ok, json), 400],
  ["a header without a name", bytes(framed(": 1", "")), 400],
  ["headers of 20 000 letters", event(ok, { x: "x".repeat(20_000) }), 400],
  ["a thousand headers", bytes(framed(...Array<string>(1000).fill("x: 12345678901234567"), "")), 400],
  ["no host", event(ok, { host: undefined }), 400],
  ["two hosts", bytes(framed("host: example.org", "content-length: 43", ""), ok), 400],
  ["CONNECT", bytes("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\n\r\n"), []],
  ["garbage after a good request", bytes(event(good), "garbage\r\n\r\n"), [200, 400]],
  ["a bad event after a good one", bytes(event(good), event("{}"), event(good)), [200, 400, 200]],
  ["garbage after a bad event", bytes(event("{}"), "garbage\r\n\r\n"), [400, 400]],
]);

describe.each(tables)("$title", ({ rows }) => {
  const table = rows.map(([name, sent, statuses, end]) => ({ name, sent, statuses, end }));
  test.each(table)("$name", async ({ sent, statuses, end = "answered" }) => {
    const expected = [statuses].flat();
    const answers = await exchange(sent, expected.length, end);
    // What comes after a refusal on the same connection may be cut off.
    const least = expected.findIndex((status) => status !== 200) + 1;
    const seen = answers.map(({ status }) => status);
    expect(seen).toEqual(expected.slice(0, Math.max(least, seen.length)));
    taken += seen.filter((status) => status === 200).length;
    answers.filter(({ status }) => status !== 200).forEach(expectProblem);
    await expectAlive();
  });
});

test("twenty gibibytes of zeros as gzip, in parallel, cost no memory", async () => {
  const beforeBytes = await processMetric("resident_memory_bytes");
  const bomb = events(members, gzip);
  const answers = (await Promise.all(Array.from({ length: 20 }, () => exchange(bomb, 1, "answered")))).flat();
  // 503 to those for whom there is no room at this moment.
  for (const answer of answers) {
    expect([413, 503]).toContain(answer.status);
    expectProblem(answer);
  }
  expect(answers.filter(({ status }) => status === 413).length).toBeGreaterThan(0);
  expect((await processMetric("resident_memory_bytes")) - beforeBytes).toBeLessThan(256 * 2 ** 20);
  await expectAlive();
});

test("a hundred connections that are cut in the middle of a body leave room for the next", async () => {
  const cut = events(`[${ok}`, { "content-length": "1000000" });
  const answers = await Promise.all(Array.from({ length: 100 }, () => exchange(cut, 1, "reset")));
  expect(answers.flat()).toEqual([]);
  await expectAlive();
});

test("after all this the views show the good events and nothing else, in the process that was started", async () => {
  await expectAlive();
  const one = { minimum: 1, maximum: 1, average: 1, count: taken };
  await expect
    .poll(async () => eventsIn(await hourlyTotals(millrace.queryUrl)), { timeout: 20_000 })
    .toBeGreaterThanOrEqual(taken);
  await expect
    .poll(async () => eventsIn(await distinctNames(millrace.queryUrl)), { timeout: 20_000 })
    .toBeGreaterThanOrEqual(taken);
  expect(await hourlyTotals(millrace.queryUrl)).toEqual([{ metric: "alive", ...one }]);
  expect(await Array.fromAsync(hourlyPerUser(millrace.queryUrl))).toEqual([
    { username: "good", metric: "alive", ...one },
  ]);
  const days = await distinctNames(millrace.queryUrl);
  expect(new Set(days.map(({ metric }) => metric))).toEqual(new Set(["alive"]));
  expect(eventsIn(days)).toBe(taken);
  const seen = await Array.fromAsync(accounts(millrace.queryUrl));
  expect(seen.map(({ username }) => username)).toEqual(["good"]);
  expect(await processMetric("start_time_seconds")).toBe(startedSeconds);
});

const MIB = 2 ** 20;
const unknown = (size: number): string => {
  const added = Array.from({ length: size / 10 }, (_, field) => `,"${field.toString(36)}":1`);
  return `${ok.slice(0, -1)}${added.join("")}}`;
};
const list = (one: string, size: number): string =>
  `[${Array(Math.floor(size / (one.length + 1)) - 1)
    .fill(one)
    .join()}]`;

/** Within every limit on bytes, but far more in memory once parsed, or in the answer. Each has a process of its own. */
describe("a body that is short but heavy does not end the process:", () => {
  test.each([
    ["an event full of unknown fields", "/event", unknown(64 * 1024), 400],
    ["a batch of an event full of unknown fields", "/events", `[${unknown(4 * MIB)}]`, 400],
    ["a batch of events full of unknown fields", "/events", list(unknown(1000), 4 * MIB), 400],
    ["a batch of empty objects", "/events", list("{}", 5 * MIB), 413],
    ["a batch of empty arrays", "/events", list("[]", 5 * MIB), 413],
    ["a batch of arrays in each other", "/events", nested(2 * MIB), 400],
    ["a batch of brackets", "/events", "[".repeat(4 * MIB), 400],
    [
      "a batch of objects in each other",
      "/events",
      `[${'{"a":'.repeat(MIB / 2)}1${"}".repeat(MIB / 2)}]`,
      400,
    ],
    ["a batch of short texts", "/events", list('"a"', 4 * MIB), 413],
    ["a batch of fractions", "/events", list("1.5", 4 * MIB), 413],
  ])("%s", async (_name, path, body, status) => {
    await using standalone = await startStandalone();
    const post = (to: string, text: string): Promise<Response> =>
      fetch(`${standalone.collectorUrl}${to}`, { method: "POST", headers: json, body: text });
    const answer = await post(path, body).catch((error: unknown) => error);
    expect(answer).toBeInstanceOf(Response);
    const { headers } = answer as Response;
    const text = await (answer as Response).text();
    expectProblem({ status, headers: new Map(headers.entries()), body: text });
    expect({ status: (answer as Response).status }).toEqual({ status });
    // What names every fault must not be a way to make much of little.
    expect(text.length).toBeLessThan(Math.max(body.length, 4096));
    expect((await post("/event", good)).status).toBe(200);
  });
});
