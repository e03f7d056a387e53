import { envelopeContentType } from "../../src/domain/envelope.ts";

/** What another producer may send: the body, and what it says it is. */
export interface Sent {
  readonly contentType: string | undefined;
  readonly body: Buffer;
}
/** A way to be wrong. */
export interface Kind {
  readonly name: string;
  /** What the reason of its dead letter says. */
  readonly reason: RegExp;
  readonly sent: Sent;
  /** The letter as a person would mend it; undefined where there is nothing to mend. */
  readonly mended: { readonly contentType: string; readonly body: string } | undefined;
}

const json = "application/json";
const good = (nowMs: number) => ({ username: "mended", metric: "mended", count: 1, timestamp: nowMs });
const envelope = (events: string) =>
  `{"schema":"millrace.envelope/1","id":"m","fields":["username","metric","count","at","id"],"events":[${events}]}`;

/** Twenty kinds of rubbish; six of them can be mended. */
export function kindsOfRubbish(nowMs: number): readonly Kind[] {
  const body = JSON.stringify(good(nowMs));
  const mended = { contentType: json, body };
  const without = (field: string) => JSON.stringify({ ...good(nowMs), [field]: undefined });
  const withField = (field: object) => JSON.stringify({ ...good(nowMs), ...field });
  const kind = (
    name: string,
    contentType: string | undefined,
    bytes: string | Uint8Array,
    reason: RegExp,
    repair?: Kind["mended"],
  ): Kind => ({
    name,
    reason,
    sent: { contentType, body: typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes) },
    mended: repair,
  });
  return [
    kind("nothing", json, "", /not JSON in UTF-8/),
    kind("prose", json, "hello there", /not JSON in UTF-8/),
    kind("cut off", json, body.slice(0, -5), /not JSON in UTF-8/),
    kind("no UTF-8", json, Buffer.of(0x22, 0xff, 0xfe, 0x22), /not JSON in UTF-8/),
    kind("zeros", json, Buffer.alloc(4096), /not JSON in UTF-8/),
    kind("an array", json, `[${body}]`, /must be a JSON object/),
    kind("a number", json, "42", /must be a JSON object/),
    kind("null", json, "null", /must be a JSON object/),
    kind("no username", json, without("username"), /username/, mended),
    kind("an empty username", json, withField({ username: "" }), /username/),
    kind("a long username", json, withField({ username: "x".repeat(257) }), /username/),
    kind("a NUL in the metric", json, withField({ metric: "a\0b" }), /metric/),
    kind("a count in quotes", json, withField({ count: "1" }), /count/, mended),
    kind("half a count", json, withField({ count: 1.5 }), /count/, mended),
    kind("a count beyond 2^53", json, withField({ count: 2 ** 60 }), /count/),
    kind("no time", json, without("timestamp"), /timestamp is missing/, mended),
    kind("another type", "text/csv", body, /content type "text\/csv"/, mended),
    kind("no type", undefined, body, /content type ""/, mended),
    kind("another schema", envelopeContentType, '{"schema":"other/9"}', /not of schema/),
    kind(
      "a bad row",
      envelopeContentType,
      envelope('["a","m",1,1],["","m",1,1]'),
      /the event at 1 is not valid/,
    ),
  ];
}
