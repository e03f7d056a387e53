import { CloudEvent, HTTP } from "cloudevents";
import { describe, expect, test } from "vitest";
import { checkCloudEvent, fromHeaders, fromJsonFormat } from "../../src/domain/cloud-event.ts";
import type { Checked, EventRules } from "../../src/domain/event.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 6);
const rules: EventRules = { unknownFields: "reject", maxFutureMs: 86_400_000 };

const data = { username: "kodingbot", metric: "kite_call", count: 12_412_414 };
const attributes = {
  id: "42",
  source: "/checkout",
  type: "org.example.usage",
  time: "2026-11-24T05:00:00.000Z",
};
const taken = {
  ok: true,
  event: { ...data, id: "ce:/checkout 42", atMs: Date.UTC(2026, 10, 24, 5) },
};

/** What a server makes of a message of the SDK in each mode. */
const modes = {
  binary: (event: CloudEvent<unknown>): Checked => {
    const { headers, body } = HTTP.binary(event);
    return checkBinary(headers, JSON.parse(String(body)));
  },
  structured: (event: CloudEvent<unknown>): Checked => checkJson(String(HTTP.structured(event).body)),
  // The SDK writes no batches; one is a JSON array of structured events.
  batched: (event: CloudEvent<unknown>): Checked => {
    const batch = JSON.parse(`[${String(HTTP.structured(event).body)}]`) as unknown[];
    return checkJson(JSON.stringify(batch[0]));
  },
} as const;

function checkBinary(headers: Readonly<Record<string, unknown>>, body: unknown): Checked {
  const cloudEvent = fromHeaders(headers, body);
  if (cloudEvent === undefined) throw new Error("no CloudEvent");
  return checkCloudEvent(cloudEvent, rules, NOW_MS);
}
function checkJson(json: string): Checked {
  const cloudEvent = fromJsonFormat(JSON.parse(json));
  if (cloudEvent === undefined) throw new Error(`no CloudEvent: ${json}`);
  return checkCloudEvent(cloudEvent, rules, NOW_MS);
}
function checkStructured(value: object): Checked {
  return checkJson(JSON.stringify(value));
}
function pointersOf(checked: Checked): readonly string[] {
  return checked.ok ? [] : checked.faults.map(({ pointer }) => pointer);
}
function reasonOf(checked: Checked): string {
  return checked.ok ? "" : checked.faults.map(({ detail }) => detail).join("; ");
}
const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString("base64");

const structured = { specversion: "1.0", ...attributes, data };
const binary = Object.fromEntries(
  Object.entries({ specversion: "1.0", ...attributes }).map(([name, value]) => [`ce-${name}`, value]),
);

describe.each(Object.entries(modes))("an event that the SDK wrote in %s mode", (_, check) => {
  test("is taken: its data, its source and id, and its time", () => {
    expect(check(new CloudEvent({ ...attributes, data }))).toEqual(taken);
  });

  test("may have a subject, a schema, a content type and extensions", () => {
    const event = new CloudEvent({
      ...attributes,
      subject: "cart/1",
      dataschema: "https://example.org/usage.json",
      datacontenttype: "application/json",
      partitionkey: "a",
      sampledrate: 7,
      data,
    });
    expect(check(event)).toEqual(taken);
  });

  const idOf = (source: string, id: string) => {
    const checked = check(new CloudEvent({ ...attributes, source, id, data }));
    return checked.ok ? checked.event.id : undefined;
  };

  test("has the same id whenever it has the same source and id, and another otherwise", () => {
    expect(idOf("/a", "1")).toBe(idOf("/a", "1"));
    expect(new Set([idOf("/a", "1"), idOf("/a", "2"), idOf("/b", "1"), idOf("/a/1", "1")]).size).toBe(4);
  });

  test("counts at the data's own timestamp, where it has one", () => {
    const timestamp = Date.UTC(2026, 10, 24, 4);
    const checked = check(new CloudEvent({ ...attributes, data: { ...data, timestamp } }));
    expect(checked).toMatchObject({ ok: true, event: { atMs: timestamp } });
  });

  test("is told every fault of its data, by where it is in the body", () => {
    const checked = check(new CloudEvent({ ...attributes, data: { username: "", count: 1.5, more: 1 } }));
    const at = check === modes.binary ? "" : "/data";
    expect(pointersOf(checked)).toEqual(
      ["username", "metric", "count", "more"].map((name) => `${at}/${name}`),
    );
  });

  test("keeps an id that goes beyond ASCII", () => {
    const id = "Ünïcode 100% \u{1f600}";
    const event = new CloudEvent({ ...attributes, data });
    // The SDK sends headers as they are; the HTTP binding asks for percent-encoding.
    const cloned = event.cloneWith({ id: check === modes.binary ? encodeURIComponent(id) : id });
    expect(check(cloned)).toMatchObject({ ok: true, event: { id: `ce:/checkout ${id}` } });
  });
});

test("an event without time is taken without a timestamp", () => {
  const { time: _, ...timeless } = structured;
  expect(checkStructured(timeless)).toEqual({ ok: true, event: { ...taken.event, atMs: undefined } });
});

describe.each([
  ["structured", structured, checkStructured, ""],
  ["binary", binary, (headers: object) => checkBinary({ ...headers }, data), "ce-"],
] as const)("in %s mode", (_, whole, check, prefix) => {
  test.each(["id", "source", "type", "specversion"])("a CloudEvent without %s is rejected", (name) => {
    const { [`${prefix}${name}`]: missing, ...others } = whole as Record<string, unknown>;
    expect(missing).toBeDefined();
    const checked = check(others);
    expect(checked).toMatchObject({ ok: false, faults: [{ pointer: `/${name}` }] });
    expect(reasonOf(checked)).toMatch(new RegExp(`^${name} is missing`));
  });

  test.each([
    ["id", "", /not empty/],
    ["id", "i".repeat(1025), /longer than 1024/],
    ["id", "\0", /NUL/],
    ["id", "\ud800", /surrogate/],
    ["source", "", /not empty/],
    ["source", "a b", /white space/],
    ["source", "a\u00a0b", /white space/],
    ["source", "s".repeat(1025), /longer than 1024/],
    ["type", "", /not empty/],
    ["type", "t".repeat(1025), /longer than 1024/],
    ["specversion", "0.3", /"0\.3"; it must be "1\.0"/],
    ["specversion", "1", /"1"; it must be "1\.0"/],
    ["specversion", "1.0.2", /"1\.0\.2"; it must be "1\.0"/],
    ["datacontenttype", "text/xml", /application\/json/],
    ["datacontenttype", "application/jsonp", /application\/json/],
    ["datacontenttype", "json", /application\/json/],
  ])("a CloudEvent whose %s is %j is rejected", (name, value, reason) => {
    const checked = check({ ...whole, [`${prefix}${name}`]: value });
    expect(pointersOf(checked)).toEqual([`/${name}`]);
    expect(reasonOf(checked)).toMatch(reason);
  });

  test.each([
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/vnd.usage+json",
  ])("data of type %s is taken", (type) => {
    expect(check({ ...whole, [`${prefix}datacontenttype`]: type })).toEqual(taken);
  });

  test.each([
    ["31 February", "2026-02-31T00:00:00Z"],
    ["no RFC 3339", "yesterday"],
    ["far ahead", "2026-11-26T06:00:00Z"],
  ])("a time that is %s is rejected, and it is the time that is pointed to", (_name, time) => {
    expect(pointersOf(check({ ...whole, [`${prefix}time`]: time }))).toEqual(["/time"]);
  });
});

describe("in structured mode", () => {
  test.each([
    ["id", 42],
    ["id", null],
    ["source", { path: "/" }],
    ["type", ["a"]],
    ["specversion", 1],
    ["datacontenttype", 1],
  ])("a CloudEvent whose %s is %j is rejected", (name, value) => {
    expect(pointersOf(checkStructured({ ...structured, [name]: value }))).toEqual([`/${name}`]);
  });

  test("an attribute that is null is as good as not there", () => {
    expect(checkStructured({ ...structured, subject: null, datacontenttype: null })).toEqual(taken);
  });

  test("a time that is no text is rejected", () => {
    expect(pointersOf(checkStructured({ ...structured, time: NOW_MS }))).toEqual(["/time"]);
  });

  test.each([null, 7, "text", [[]], true])("%j is no CloudEvent", (value) => {
    expect(fromJsonFormat(value)).toBeUndefined();
  });

  test.each([undefined, null, 1, "text", [data], JSON.stringify(data)])("data of %j is rejected", (value) => {
    expect(pointersOf(checkStructured({ ...structured, data: value }))).toEqual(["/data"]);
  });

  test("every fault is told at once, of the attributes and of the data", () => {
    const checked = checkStructured({ specversion: "2.0", source: "a b", data: { username: 1 } });
    expect(pointersOf(checked)).toEqual([
      "/specversion",
      "/id",
      "/source",
      "/type",
      "/data/username",
      "/data/metric",
      "/data/count",
    ]);
  });

  test("a field __proto__ lends nothing, neither outside the data nor in it", () => {
    const { data: own, ...rest } = structured;
    const lent = `{"__proto__":${JSON.stringify(rest)},"data":${JSON.stringify(own)}}`;
    expect(pointersOf(checkJson(lent))).toEqual(["/specversion", "/id", "/source", "/type"]);
    const inside = `${JSON.stringify(rest).slice(0, -1)},"data":{"__proto__":${JSON.stringify(own)}}}`;
    expect(pointersOf(checkJson(inside))).toEqual([
      "/data/username",
      "/data/metric",
      "/data/count",
      "/data/__proto__",
    ]);
  });
});

describe("data in base64", () => {
  const { data: _, ...dataless } = structured;

  test("is read as the JSON it holds, as the SDK writes it", () => {
    const event = new CloudEvent({
      ...attributes,
      datacontenttype: "application/json",
      data_base64: base64(JSON.stringify(data)),
    });
    const written = JSON.parse(String(HTTP.structured(event).body)) as object;
    expect(written).toHaveProperty("data_base64");
    expect(checkStructured(written)).toEqual(taken);
  });

  test.each([
    ["is not base64", "%%%"],
    ["is empty", ""],
    ["holds no JSON", base64("username=u")],
    ["holds JSON cut short", base64(JSON.stringify(data).slice(0, -1))],
    ["holds no object", base64("[]")],
    ["is a number", 17],
    ["is null", null],
    ["is an object", { ...data }],
    [
      "holds a byte that is not UTF-8",
      base64(Buffer.from(JSON.stringify({ ...data, username: "\xff" }), "latin1")),
    ],
  ])("is rejected where it %s", (_name, value) => {
    expect(checkStructured({ ...dataless, data_base64: value }).ok).toBe(false);
  });

  test("is rejected beside data: a CloudEvent has one or the other", () => {
    const other = base64(JSON.stringify({ ...data, username: "other" }));
    expect(checkStructured({ ...structured, data_base64: other }).ok).toBe(false);
  });
});

describe("in binary mode", () => {
  test.each([
    ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \u{1f600}"],
    ["100%25", "100%"],
    ["%E2%82%ac", "\u20ac"],
    ["a%20b", "a b"],
    ["plain", "plain"],
  ])("the header value %s means %j", (value, id) => {
    const checked = checkBinary({ ...binary, "ce-id": value }, data);
    expect(checked).toMatchObject({ ok: true, event: { id: `ce:/checkout ${id}` } });
  });

  test.each([
    ["a NUL", "ce-id", "%00", "/id"],
    ["white space in the source", "ce-source", "a%20b", "/source"],
    ["nothing", "ce-type", "", "/type"],
  ])("a header that is decoded to %s is rejected", (_name, header, value, pointer) => {
    expect(pointersOf(checkBinary({ ...binary, [header]: value }, data))).toEqual([pointer]);
  });

  test("any of the headers that it must have tells that it is one", () => {
    for (const name of ["specversion", "id", "source", "type"]) {
      expect(checkBinary({ [`ce-${name}`]: "1.0" }, data).ok).toBe(false);
    }
    expect(fromHeaders({ host: "localhost", "content-type": "application/json" }, data)).toBeUndefined();
  });

  test("headers that are not of the CloudEvent are left alone", () => {
    const headers = { ...binary, host: "localhost", "content-type": "application/json", cookie: "ce-id=1" };
    expect(checkBinary(headers, data)).toEqual(taken);
  });
});
