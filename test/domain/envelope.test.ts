import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import {
  type AcceptedEvent,
  decodeMessage,
  encodeRows,
  type Envelope,
  envelopeContentType,
  type Message,
  rowsOf,
} from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import { MillraceError } from "../../src/errors.ts";

const AT_MS = Date.UTC(2026, 10, 24, 6);
const projections = [accountName, distinctName, hourlyLog];

const name = fc
  .string({ unit: "binary", minLength: 1, maxLength: 256 })
  .filter((text) => text.isWellFormed() && !text.includes("\0"));
const acceptedEvent: fc.Arbitrary<AcceptedEvent> = fc.record({
  username: name,
  metric: name,
  count: fc.maxSafeInteger(),
  atMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
  id: fc.option(name, { nil: undefined }),
});
const messageId = fc.oneof(fc.uuid({ version: 7 }), name);

const plain = { username: "u", metric: "m", count: 1, timestamp: AT_MS };
const row = ["u", "m", 1, AT_MS];
const head = { schema: "millrace.envelope/1", id: "1", fields: ["username", "metric", "count", "at", "id"] };
const envelope = (events: unknown) => JSON.stringify({ ...head, events });
const text = (value: unknown): string => JSON.stringify(value);
const messageOf = (contentType: string, body: string | Uint8Array) => {
  return { id: "message-1", contentType, body: typeof body === "string" ? Buffer.from(body) : body };
};

/** What is refused as unreadable holds no events; another error is one of the decoder. */
function decodedOrNothing(message: Message): Envelope {
  try {
    return decodeMessage(message);
  } catch (error) {
    if (error instanceof MillraceError && error.code === "MESSAGE_UNREADABLE") return { id: "", events: [] };
    throw error;
  }
}

test("what requests brought comes out of the message as it went in, in order", () => {
  const requests = fc.array(fc.array(acceptedEvent, { minLength: 1, maxLength: 5 }), { maxLength: 5 });
  fc.assert(
    fc.property(messageId, requests, (id, events) => {
      const message = encodeRows(id, events.map(rowsOf));
      expect(message).toMatchObject({ id, contentType: envelopeContentType });
      expect(decodeMessage(message)).toEqual({ id, events: events.flat() });
    }),
  );
});

test("whatever can be decoded can be folded by every projection", () => {
  const at = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }));
  fc.assert(
    fc.property(fc.constantFrom("envelope", "plain"), at, (form, atMs) => {
      const message =
        form === "envelope"
          ? messageOf(envelopeContentType, envelope([["u", "m", 1, atMs]]))
          : messageOf("application/json", JSON.stringify({ ...plain, timestamp: atMs }));
      const decoded = decodedOrNothing(message);
      for (const projection of projections) expect(() => projection.fold(decoded)).not.toThrow();
    }),
    {
      examples: [
        ["envelope", 1e300],
        ["envelope", -1],
        ["plain", 8.64e15],
      ],
    },
  );
});

describe("a plain message of one event from another producer is read,", () => {
  test.each([
    ["with milliseconds", plain, { count: 1, atMs: AT_MS, id: undefined }],
    ["with RFC 3339", { ...plain, timestamp: "2026-11-24T07:00:00+01:00" }, { atMs: AT_MS }],
    ["with an id", { ...plain, id: "7" }, { id: "id:7" }],
    ["with a field that is not known", { ...plain, host: "web-1" }, { atMs: AT_MS, id: undefined }],
    [
      "from a clock that is days ahead",
      { ...plain, timestamp: "2099-01-01T00:00:00Z" },
      { atMs: Date.UTC(2099, 0) },
    ],
  ])("%s", (_, body, expected) => {
    const decoded = decodeMessage(messageOf("application/json", JSON.stringify(body)));
    expect(decoded.id).toBe("message-1");
    expect(decoded.events).toHaveLength(1);
    expect(decoded.events[0]).toMatchObject({ username: "u", metric: "m", count: 1, ...expected });
    expect(decoded.events[0]).not.toHaveProperty("host");
  });

  test.each(["application/json; charset=utf-8", "Application/JSON", " application/json "])(
    "of content type %j",
    (contentType) => {
      expect(decodeMessage(messageOf(contentType, JSON.stringify(plain))).events).toHaveLength(1);
    },
  );
});

describe("across versions", () => {
  test("what is added to an envelope beside its columns is passed over", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (added) => {
        const body = text({ ...added, ...head, events: [row] });
        expect(decodeMessage(messageOf(envelopeContentType, body))).toEqual({
          id: "1",
          events: [{ username: "u", metric: "m", count: 1, atMs: AT_MS, id: undefined }],
        });
      }),
    );
  });

  test("an envelope of a later version, whatever it holds, is left to a later Millrace, and both versions are named", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2 }), fc.dictionary(fc.string(), fc.jsonValue()), (version, held) => {
        const body = text({ ...held, schema: `millrace.envelope/${version}` });
        expect(() => decodeMessage(messageOf(envelopeContentType, body))).toThrow(
          expect.objectContaining({
            code: "MESSAGE_TOO_NEW",
            facts: expect.objectContaining({ retry: "later" }),
            detail: `the envelope is of version ${version}; this Millrace reads version 1`,
          }),
        );
      }),
    );
  });
});

describe("rubbish is refused for good and with a reason:", () => {
  const json = "application/json";
  const own = envelopeContentType;
  test.each([
    ["no content type", messageOf("", text(plain)), /content type ""/],
    ["another content type", messageOf("text/plain", text(plain)), /content type "text\/plain"/],
    ["binary", messageOf("application/octet-stream", new Uint8Array(9)), /content type "application\/octet/],
    ["an empty body", messageOf(json, ""), /not JSON in UTF-8/],
    ["no JSON", messageOf(json, "username=u"), /not JSON in UTF-8/],
    ["JSON cut short", messageOf(json, text(plain).slice(0, -1)), /not JSON in UTF-8/],
    ["two JSON texts", messageOf(json, text(plain).repeat(2)), /not JSON in UTF-8/],
    [
      "a byte that is not UTF-8",
      messageOf(json, Buffer.from(text({ ...plain, username: "\xff" }), "latin1")),
      /not JSON in UTF-8/,
    ],
    ["UTF-16", messageOf(json, Buffer.from(text(plain), "utf16le")), /not JSON in UTF-8/],
    ["gzip", messageOf(json, Buffer.from("1f8b0800", "hex")), /not JSON in UTF-8/],
    ["null", messageOf(json, "null"), /the event is null/],
    ["a number", messageOf(json, "1e400"), /a number out of range/],
    ["a hundred thousand brackets", messageOf(json, "[".repeat(1e5) + "]".repeat(1e5)), /an array/],
    ["an array of events", messageOf(json, text([plain])), /the event is an array/],
    [
      "an id with half of a surrogate pair",
      messageOf(own, JSON.stringify({ ...head, id: "\ud800", events: [row] })),
      /the id is not valid/,
    ],
    [
      "an id with a NUL",
      messageOf(own, JSON.stringify({ ...head, id: "a\0b", events: [row] })),
      /the id is not valid/,
    ],
    ["an empty object", messageOf(json, "{}"), /username is missing.*metric is missing.*count is missing/],
    [
      "an event without timestamp",
      messageOf(json, text({ ...plain, timestamp: undefined })),
      /timestamp is missing/,
    ],
    [
      "an event with seconds",
      messageOf(json, text({ ...plain, timestamp: AT_MS / 1000 })),
      /timestamp is no such/,
    ],
    ["a count that is text", messageOf(json, text({ ...plain, count: "1" })), /count is "1"/],
    [
      "a count out of range",
      messageOf(json, text({ ...plain, count: 2 ** 53 })),
      /count is 9007199254740992/,
    ],
    ["a username with NUL", messageOf(json, text({ ...plain, username: "\0" })), /username holds a NUL/],
    [
      "half of a surrogate pair",
      messageOf(json, String.raw`{"username":"\ud800","metric":"m","count":1}`),
      /username holds half/,
    ],
    ["a username too long", messageOf(json, text({ ...plain, username: "u".repeat(257) })), /username/],
    ["fields lent by __proto__", messageOf(json, `{"__proto__":${text(plain)}}`), /username is missing/],
    ["a plain event called an envelope", messageOf(own, text(plain)), /not of schema millrace\.envelope\/1/],
    [
      "an array of an envelope of a later version",
      messageOf(own, text([{ ...head, schema: "millrace.envelope/2" }])),
      /not of schema/,
    ],
    [
      "a later version in the plain content type",
      messageOf(json, text({ schema: "millrace.envelope/2" })),
      /./,
    ],
    ["an envelope without id", messageOf(own, text({ ...head, id: undefined, events: [row] })), /schema/],
    ["an envelope with an empty id", messageOf(own, text({ ...head, id: "", events: [row] })), /schema/],
    ["an envelope without events", messageOf(own, text(head)), /schema/],
    [
      "an envelope with other columns",
      messageOf(own, text({ ...head, fields: ["metric", "username", "count", "at", "id"], events: [row] })),
      /schema/,
    ],
    ["an envelope with a row too short", messageOf(own, envelope([row.slice(0, 3)])), /schema/],
    ["an envelope with a row too long", messageOf(own, envelope([[...row, "id", 1]])), /schema/],
    ["an envelope with a null id in a row", messageOf(own, envelope([[...row, null]])), /schema/],
    ["an envelope with an object for a row", messageOf(own, envelope([plain])), /schema/],
    ["an envelope with a fraction for a count", messageOf(own, envelope([["u", "m", 0.5, AT_MS]])), /schema/],
    ["an envelope with a count out of range", messageOf(own, envelope([["u", "m", 1e300, AT_MS]])), /./],
    ["an envelope with an instant out of range", messageOf(own, envelope([["u", "m", 1, 1e300]])), /./],
    ["an envelope with an empty username", messageOf(own, envelope([["", "m", 1, AT_MS]])), /./],
    [
      "an envelope with an instant of the year 10000",
      messageOf(own, envelope([["u", "m", 1, 253402300800000]])),
      /event at 0/,
    ],
    [
      "an envelope with a username too long",
      messageOf(own, envelope([row, ["u".repeat(257), "m", 1, AT_MS]])),
      /event at 1/,
    ],
    ["an envelope with half a pair in an id", messageOf(own, envelope([[...row, "\ud800"]])), /event at 0/],
    ["an envelope with NUL in an id", messageOf(own, envelope([[...row, "\0"]])), /event at 0/],
    ["an envelope with NUL in a metric", messageOf(own, envelope([["u", "m\0", 1, AT_MS]])), /./],
    ["an envelope in the plain content type", messageOf(json, envelope([row])), /username is missing/],
  ])("%s", (_, message, reason) => {
    let thrown: unknown;
    try {
      thrown = decodeMessage(message);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(MillraceError);
    expect(thrown).toMatchObject({ code: "MESSAGE_UNREADABLE", facts: { retry: "never" } });
    expect((thrown as MillraceError).detail).toMatch(reason);
  });

  test.each(["0", "01", "1.5", "1e1", "-1", " 2", "2 ", "Infinity", "9007199254740992", ""])(
    "an envelope of a version that is none: %j",
    (version) => {
      const body = text({ ...head, schema: `millrace.envelope/${version}`, events: [row] });
      expect(() => decodeMessage(messageOf(own, body))).toThrow(
        expect.objectContaining({
          code: "MESSAGE_UNREADABLE",
          detail: expect.stringMatching(/not of schema/),
        }),
      );
    },
  );

  test("any bytes of either content type", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom(json, own), (body, contentType) => {
        expect(() => decodeMessage(messageOf(contentType, body))).toThrow(
          expect.objectContaining({ code: "MESSAGE_UNREADABLE", detail: expect.stringMatching(/./) }),
        );
      }),
    );
  });
});
