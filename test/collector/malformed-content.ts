import { constants, deflateSync, gzipSync } from "node:zlib";
import { as, event, events, gzip, ok, raw, type Table } from "./requests.ts";
import { bytes, type Headers, type Text } from "./wire.ts";

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
export const zeroMembers = Buffer.concat(Array<Buffer>(1024).fill(zeros(2 ** 20)));
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

export const malformedContent: readonly Table[] = [
  {
    title: "a body that is not what its encoding says is refused:",
    rows: [
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
      ["a gibibyte of zeros as gzip of a mebibyte", events(zeroMembers, gzip), 413],
      ["6 MiB of brackets as gzip", events(gzipSync("[".repeat(6 * 2 ** 20)), gzip), 413],
    ],
  },
  {
    title: "another content type is refused:",
    rows: [
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
    ],
  },
  {
    title: "a broken CloudEvent is refused:",
    rows: [
      ["structured, no JSON", event("{", as("application/cloudevents+json")), 400],
      [
        "structured, an array",
        event(`[${JSON.stringify(cloudEvent)}]`, as("application/cloudevents+json")),
        400,
      ],
      ["structured, a bare event", event(ok, as("application/cloudevents+json")), 400],
      ["structured, without specversion", structured({ specversion: undefined }), 400],
      ["structured, without id", structured({ id: undefined }), 400],
      ["structured, without source", structured({ source: undefined }), 400],
      ["structured, without type", structured({ type: undefined }), 400],
      ["structured, of version 0.3", structured({ specversion: "0.3" }), 400],
      ["structured, with a number for an id", structured({ id: 1 }), 400],
      ["structured, with a blank in the source", structured({ source: "a b" }), 400],
      [
        "structured, with data of XML",
        structured({ datacontenttype: "application/xml", data: "<event/>" }),
        400,
      ],
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
      [
        "batched, one alone",
        events(JSON.stringify(cloudEvent), as("application/cloudevents-batch+json")),
        400,
      ],
      ["batched, of what is no object", batched(1, "a", null, [cloudEvent]), 400],
      ["batched, of bare events", batched(JSON.parse(ok)), 400],
      ["batched, without ids", batched({ ...cloudEvent, id: undefined }, { ...cloudEvent, id: "" }), 400],
    ],
  },
  {
    title: "a header that means nothing is refused:",
    rows: [
      ["an empty idempotency key", event(ok, { "idempotency-key": "" }), 400],
      ["an idempotency key with a blank", event(ok, { "idempotency-key": "a b" }), 400],
      ["an idempotency key of 201 letters", event(ok, { "idempotency-key": "k".repeat(201) }), 400],
      ["an idempotency key beyond ASCII", event(ok, { "idempotency-key": "schlüssel" }), 400],
      ["two idempotency keys", event(ok, { "idempotency-key": "a", "Idempotency-Key": "b" }), 400],
      ["an idempotency key with a blank, of a batch", events(`[${ok}]`, { "idempotency-key": "a b" }), 400],
      ["an expectation that nobody meets", event(ok, { expect: "200-ok" }), 417],
    ],
  },
];
