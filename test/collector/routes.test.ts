import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newWriteKey } from "../../src/commands/key.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { accounts, distinctNames, eventsIn, hourlyTotals } from "../flow/views.ts";

type Headers = Readonly<Record<string, string>>;
type Body = NonNullable<RequestInit["body"]>;

interface Answer {
  readonly status: number;
  readonly headers: globalThis.Headers;
  readonly text: string;
  /** Of an answer that is JSON. */
  readonly body: Record<string, unknown>;
}

async function send(
  method: string,
  url: string,
  options: { body?: Body; headers?: Headers } = {},
): Promise<Answer> {
  const answer = await fetch(url, { method, ...options });
  const text = await answer.text();
  const json = answer.headers.get("content-type")?.includes("json") === true && text !== "";
  return { status: answer.status, headers: answer.headers, text, body: json ? JSON.parse(text) : {} };
}

const json = { "content-type": "application/json" };
const ndjson = { "content-type": "application/x-ndjson" };
const gzip = { "content-encoding": "gzip" };

/** POST to a collector: what is not text or bytes goes as JSON. */
async function post(to: Standalone, path: string, body: unknown, headers: Headers = {}): Promise<Answer> {
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const sent = raw ? (body as Body) : JSON.stringify(body);
  return send("POST", `${to.collectorUrl}${path}`, { body: sent, headers: { ...json, ...headers } });
}

/** How many events of a metric the two views that count have; polled, since they follow the 200. */
async function counted(by: Standalone, metric: string): Promise<readonly number[]> {
  const views = [await hourlyTotals(by.queryUrl), await distinctNames(by.queryUrl)];
  return views.map((rows) => eventsIn(rows.filter((row) => row.metric === metric)));
}
async function expectCounted(by: Standalone, metric: string, events: number): Promise<void> {
  // A later event of another metric tells that all before it have been counted.
  const mark = `mark-${Math.random()}`;
  expect(await post(by, "/event", { username: "mark", metric: mark, count: 1 })).toMatchObject({
    status: 200,
  });
  await expect.poll(() => counted(by, mark), { timeout: 20_000 }).toEqual([1, 1]);
  expect(await counted(by, metric)).toEqual([events, events]);
}

const event = (metric: string, more: object = {}) => ({ username: "u", metric, count: 1, ...more });

const oneOf = (metric: string) => JSON.stringify(event(metric));
const arrayOf = (metric: string) => JSON.stringify([event(metric), event(metric)]);
const linesOf = (metric: string) => `${oneOf(metric)}\n`.repeat(3);
const largeOf = (metric: string) =>
  JSON.stringify(Array.from({ length: 8000 }, () => event(metric, { username: "u".repeat(256) })));
const structuredOf = (metric: string) =>
  JSON.stringify({ specversion: "1.0", id: metric, source: "/s", type: "t", data: event(metric) });
const ce = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/takes", "ce-type": "t" };

const as = (type: string): Headers => ({ "content-type": type });
const encodedAs = (encoding: string): Headers => ({ "content-encoding": encoding });
type Of = (metric: string) => string;
const zipped = (of: Of) => (metric: string) => gzipSync(of(metric));
const twiceZipped = (of: Of) => (metric: string) => Buffer.concat([zipped(of)(metric), zipped(of)(metric)]);

const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });

function problem(code: string, status: number, title: string): object {
  const type = `https://millrace.io/errors#${code.toLowerCase().replaceAll("_", "-")}`;
  return { type, title, status, code };
}

describe("a collector as it comes", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone();
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  // The first test of this process: nothing has been asked yet.
  test("tells its figures at once after the start, as JSON, all of them 0", async () => {
    const { status, headers, text } = await send("GET", `${millrace.collectorUrl}/debug/vars`);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toMatch(/^application\/json/);
    expect(JSON.parse(text)).toEqual({
      serverMetrics: {
        requests: { total: 0, failed: 0, successfull: 0 },
        responseTimes: { minimum: 0, maximum: 0, average: 0 },
      },
    });
  });

  test("tells how many requests were taken and how many failed, and how long they took in seconds", async () => {
    for (let taken = 0; taken < 3; taken += 1) await post(millrace, "/event", event("vars"));
    await post(millrace, "/event", "garbage");
    await post(millrace, "/events", [event("vars"), {}]);
    await post(millrace, "/events", [{}]);
    const { text } = await send("GET", `${millrace.collectorUrl}/debug/vars`);
    const { requests, responseTimes } = JSON.parse(text).serverMetrics;
    expect(requests).toEqual({ total: 6, failed: 2, successfull: 4 });
    expect(Object.keys(responseTimes)).toEqual(["minimum", "maximum", "average"]);
    expect(responseTimes.minimum).toBeGreaterThan(0);
    expect(responseTimes.average).toBeGreaterThanOrEqual(responseTimes.minimum);
    expect(responseTimes.maximum).toBeGreaterThanOrEqual(responseTimes.average);
    expect(responseTimes.maximum).toBeLessThan(10);
  });

  describe("tells in a problem", () => {
    test("where there is nothing", async () => {
      const answer = await post(millrace, "/evnet?a=b", event("x"));
      expect(answer).toMatchObject({
        status: 404,
        body: { ...problem("NOT_FOUND", 404, "There is nothing here"), detail: "/evnet" },
      });
    });

    test.each([
      ["GET", "/event", "POST"],
      ["PUT", "/event", "POST"],
      ["PATCH", "/event", "POST"],
      ["DELETE", "/event", "POST"],
      ["OPTIONS", "/event", "POST"],
      ["GET", "/events", "POST"],
      ["DELETE", "/events", "POST"],
      ["POST", "/debug/vars", "GET, HEAD"],
      ["DELETE", "/debug/vars", "GET, HEAD"],
      ["POST", "/openapi.json", "GET, HEAD"],
    ])("that %s %s is not allowed, and that %s is", async (method, path, allow) => {
      const answer = await send(method, `${millrace.collectorUrl}${path}`);
      expect(answer).toMatchObject({
        status: 405,
        body: {
          ...problem("METHOD_NOT_ALLOWED", 405, "The method is not allowed here"),
          detail: `${method} on ${path}`,
        },
      });
      expect(answer.headers.get("allow")?.split(", ").toSorted().join(", ")).toBe(allow);
    });

    test("every fault of an event, with a pointer to it", async () => {
      const answer = await post(millrace, "/event", { username: "", metric: "m", count: "1", "a/b": 1 });
      expect(answer).toMatchObject({
        status: 400,
        body: {
          ...problem("INVALID_EVENT", 400, "The event is not valid"),
          detail: expect.stringMatching(/^username is empty; .*; count is "1"; .*; "a\/b" is not a field/),
          errors: [
            { pointer: "/username", detail: expect.stringMatching(/^username is empty; it must be/) },
            { pointer: "/count", detail: expect.stringMatching(/^count is "1"; it must be an integer/) },
            { pointer: "/a~1b", detail: expect.stringMatching(/^"a\/b" is not a field of an event/) },
          ],
        },
      });
      expect(answer.headers.get("retry-after")).toBeNull();
    });

    test.each([
      ["MALFORMED_BODY", 400, "The body cannot be read", "/event", "{", json],
      ["MALFORMED_BODY", 400, "The body cannot be read", "/events", "{}", json],
      ["INVALID_HEADER", 400, "A header is not valid", "/event", "{}", { "idempotency-key": "a b" }],
      [
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        "The content type or encoding is not supported",
        "/event",
        "{}",
        { "content-type": "a/b" },
      ],
      [
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        "The content type or encoding is not supported",
        "/event",
        "{}",
        { "content-encoding": "br" },
      ],
      ["BODY_TOO_LARGE", 413, "The body is too large", "/event", " ".repeat(65_537), json],
    ] as const)("%s with status %d: %s", async (code, status, title, path, body, headers) => {
      // The header is judged with an event, so that nothing else is wrong.
      const sent = code === "INVALID_HEADER" ? JSON.stringify(event("never")) : body;
      const answer = await post(millrace, path, sent, headers);
      expect(answer).toMatchObject({
        status,
        body: { ...problem(code, status, title), detail: expect.stringMatching(/\S/) },
      });
      expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    });
  });

  describe("takes of a batch", () => {
    test("the good events, and names every bad one by its place, its id and the reason", async () => {
      const answer = await post(millrace, "/events", [
        event("mixed", { id: "mixed-0" }),
        event("mixed", { count: 1.5, id: "mixed-1" }),
        7,
        event("mixed"),
        event("mixed", { id: 5 }),
        event("mixed", { user: "x", username: "" }),
      ]);
      const rejected = { status: "rejected" };
      expect(answer).toMatchObject({ status: 200 });
      expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
      expect(answer.body).toEqual({
        accepted: 2,
        rejected: 4,
        results: [
          {
            index: 1,
            id: "mixed-1",
            ...rejected,
            reason: expect.stringMatching(/^count is 1\.5; it must be/),
          },
          { index: 2, id: null, ...rejected, reason: expect.stringMatching(/^the event is 7; it must be/) },
          { index: 4, id: null, ...rejected, reason: expect.stringMatching(/^id is 5; it must be/) },
          {
            index: 5,
            id: null,
            ...rejected,
            reason: expect.stringMatching(/^username is empty; .*"user" is not a/),
          },
        ],
      });
      await expectCounted(millrace, "mixed", 2);
    });

    test("nothing where none is good: 400, a problem with the same list", async () => {
      const answer = await post(millrace, "/events", [event("none", { count: null, id: "none-0" }), []]);
      expect(answer.status).toBe(400);
      expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
      expect(answer.body).toMatchObject({
        ...problem("INVALID_EVENT", 400, "The event is not valid"),
        accepted: 0,
        rejected: 2,
        results: [
          { index: 0, id: "none-0", status: "rejected", reason: expect.stringMatching(/^count is null/) },
          { index: 1, id: null, status: "rejected", reason: expect.stringMatching(/^the event is an array/) },
        ],
      });
      await expectCounted(millrace, "none", 0);
    });

    test("as many events as it may have, and none of one that has more", async () => {
      const many = Array.from({ length: 10_000 }, () => event("many"));
      expect((await post(millrace, "/events", many)).body).toEqual({
        accepted: 10_000,
        rejected: 0,
        results: [],
      });
      expect(await post(millrace, "/events", [...many, event("many")])).toMatchObject({
        status: 413,
        body: { code: "BODY_TOO_LARGE", detail: expect.stringContaining("10000 events") },
      });
      await expectCounted(millrace, "many", 10_000);
    });

    test("every good line of NDJSON, whatever ends it; blank lines are none", async () => {
      const line = JSON.stringify(event("good lines"));
      const body = `\r\n${line}\r\n\n  \n${line}\ngarbage\n{"username":1}\n${line}`;
      const answer = await post(millrace, "/events", body, ndjson);
      expect(answer).toMatchObject({ status: 200, body: { accepted: 3, rejected: 2 } });
      expect(answer.body["results"]).toMatchObject([
        { index: 2, id: null, reason: "the line is not JSON" },
        { index: 3, id: null, reason: expect.stringMatching(/^username is 1/) },
      ]);
      await expectCounted(millrace, "good lines", 3);
    });

    test("the good CloudEvents", async () => {
      const cloudEvent = { specversion: "1.0", source: "/batch", type: "t", data: event("cloud-batch") };
      const body = JSON.stringify([
        { ...cloudEvent, id: "1" },
        { ...cloudEvent, id: "1" },
        { ...cloudEvent, id: "2" },
        { ...cloudEvent, id: "" },
        { ...cloudEvent, id: "3", data: {} },
        event("cloud-batch"),
      ]);
      const headers = { "content-type": "application/cloudevents-batch+json" };
      const answer = await post(millrace, "/events", body, headers);
      expect(answer).toMatchObject({ status: 200, body: { accepted: 3, rejected: 3 } });
      expect(answer.body["results"]).toMatchObject([
        { index: 3, id: "", reason: expect.stringMatching(/^id must be a string that is not empty/) },
        { index: 4, id: "3", reason: expect.stringMatching(/^data: username is missing/) },
        { index: 5, id: null, reason: expect.stringMatching(/^specversion is missing/) },
      ]);
      await expectCounted(millrace, "cloud-batch", 2);
    });
  });

  describe("takes", () => {
    test.each([
      ["an event", "/event", oneOf, {}, 1],
      ["an event, its type in capitals", "/event", oneOf, as("Application/JSON"), 1],
      ["an event, with its charset", "/event", oneOf, as('application/json; charset="UTF-8"'), 1],
      ["an event, encoded as itself", "/event", oneOf, encodedAs("identity"), 1],
      ["an event as gzip", "/event", zipped(oneOf), gzip, 1],
      ["an event as gzip, in capitals", "/event", zipped(oneOf), encodedAs("GZIP"), 1],
      ["an event to a path with a slash at its end", "/event/", oneOf, {}, 1],
      ["an event to a path with a query", "/event?source=page", oneOf, {}, 1],
      [
        "a structured CloudEvent",
        "/event",
        structuredOf,
        as("application/cloudevents+json; charset=utf-8"),
        1,
      ],
      ["a binary CloudEvent", "/event", oneOf, ce, 1],
      ["an array", "/events", arrayOf, {}, 2],
      ["an array as gzip", "/events", zipped(arrayOf), gzip, 2],
      ["an array of 2 MiB", "/events", largeOf, {}, 8000],
      ["an array of 2 MiB as gzip", "/events", zipped(largeOf), gzip, 8000],
      ["lines", "/events", linesOf, ndjson, 3],
      ["a line without an end", "/events", oneOf, ndjson, 1],
      ["lines as application/jsonl", "/events", linesOf, as("application/jsonl"), 3],
      ["lines as gzip", "/events", zipped(linesOf), { ...ndjson, ...gzip }, 3],
      ["lines as gzip of two members", "/events", twiceZipped(linesOf), { ...ndjson, ...gzip }, 6],
    ] as const)("%s", async (name, path, body, headers, events) => {
      const answer = await post(millrace, path, body(name), headers);
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual(
        path.startsWith("/events") ? { accepted: events, rejected: 0, results: [] } : {},
      );
      await expectCounted(millrace, name, events);
    });

    test("a body in chunks, as a stream brings it", async () => {
      const parts = JSON.stringify(event("chunks")).match(/.{1,7}/g) ?? [];
      const answer = await fetch(`${millrace.collectorUrl}/event`, {
        method: "POST",
        headers: json,
        body: ReadableStream.from(parts.map((part) => Buffer.from(part))),
        duplex: "half",
      });
      expect(answer.status).toBe(200);
      await expectCounted(millrace, "chunks", 1);
    });

    test("an event at the client's time, and one that says none at its own", async () => {
      const before = Date.now();
      const timestamp = new Date(before - 60_000).toISOString();
      await post(millrace, "/event", event("time", { username: "then", timestamp }));
      await post(millrace, "/event", event("time", { username: "now" }));
      await expectCounted(millrace, "time", 2);
      const seen = new Map<string, string>();
      for await (const { username, firstSeen } of accounts(millrace.queryUrl)) seen.set(username, firstSeen);
      expect(seen.get("then")).toBe(timestamp);
      const nowMs = Date.parse(seen.get("now") ?? "");
      expect(nowMs).toBeGreaterThanOrEqual(before);
      expect(nowMs).toBeLessThanOrEqual(Date.now());
    });
  });

  describe("counts once", () => {
    test.each([
      ["an event that is sent again with its id", {}, { id: "again" }],
      ["an event that is sent again with its Idempotency-Key", { "idempotency-key": "again-key" }, {}],
    ])("%s", async (name, headers, more) => {
      for (let times = 0; times < 3; times += 1) {
        expect(await post(millrace, "/event", event(name, more), headers)).toMatchObject({ status: 200 });
      }
      await expectCounted(millrace, name, 1);
    });

    test("each event of a batch that is sent again with its Idempotency-Key", async () => {
      const batch = [event("batch-key"), event("batch-key", { id: "own" }), {}, event("batch-key")];
      const headers = { "idempotency-key": "batch-key" };
      for (let times = 0; times < 3; times += 1) {
        const answer = await post(millrace, "/events", batch, headers);
        expect(answer).toMatchObject({ status: 200, body: { accepted: 3, rejected: 1 } });
      }
      // The id that one brought stays its own under another key.
      await post(millrace, "/events", [event("batch-key", { id: "own" })], { "idempotency-key": "another" });
      await expectCounted(millrace, "batch-key", 3);
    });

    test("a CloudEvent that is sent again in another mode", async () => {
      const data = event("modes");
      const attributes = { specversion: "1.0", id: "é 1", source: "/modes", type: "t" };
      const headers = {
        "ce-specversion": "1.0",
        "ce-id": "%C3%A9%201",
        "ce-source": "/modes",
        "ce-type": "t",
      };
      const structured = JSON.stringify({ ...attributes, data });
      const answers = [
        await post(millrace, "/event", data, headers),
        await post(millrace, "/event", structured, { "content-type": "application/cloudevents+json" }),
        await post(millrace, "/events", `[${structured}]`, {
          "content-type": "application/cloudevents-batch+json",
        }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      await expectCounted(millrace, "modes", 1);
    });

    test("each of two events, though one brings the id that the Idempotency-Key gives the other", async () => {
      const batch = [event("clash", { id: "clash 1" }), event("clash")];
      const answer = await post(millrace, "/events", batch, { "idempotency-key": "clash" });
      expect(answer).toMatchObject({ status: 200, body: { accepted: 2 } });
      await expectCounted(millrace, "clash", 2);
    });

    test("each of two requests with different keys", async () => {
      for (const key of ["key-1", "key-2"]) {
        const answer = await post(millrace, "/event", event("keys"), { "idempotency-key": key });
        expect(answer.status).toBe(200);
      }
      await expectCounted(millrace, "keys", 2);
    });
  });

  describe("without CORS", () => {
    test("tells no page that it may read", async () => {
      const answer = await post(millrace, "/event", event("cors-off"), { origin: "https://page.example" });
      expect(answer.status).toBe(200);
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    });

    test("refuses a preflight and text/plain", async () => {
      const preflight = { origin: "https://page.example", "access-control-request-method": "POST" };
      const answer = await send("OPTIONS", `${millrace.collectorUrl}/event`, { headers: preflight });
      expect(answer.status).toBe(405);
      expect(
        await post(millrace, "/event", event("cors-off"), { "content-type": "text/plain" }),
      ).toMatchObject({
        status: 415,
      });
    });
  });

  describe("describes itself:", () => {
    interface Media {
      readonly schema?: { readonly example?: unknown; readonly examples?: readonly unknown[] };
      readonly example?: unknown;
      readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
    }
    interface Operation {
      readonly summary?: string;
      readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
      readonly responses: Readonly<Record<string, { readonly description: string }>>;
    }
    interface OpenApi {
      readonly openapi: string;
      readonly info: { readonly title: string; readonly version: string };
      readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
    }
    async function openApi(url: string): Promise<OpenApi> {
      const { status, headers, text } = await send("GET", `${url}/openapi.json`);
      expect(status).toBe(200);
      expect(headers.get("content-type")).toMatch(/^application\/json/);
      return JSON.parse(text) as OpenApi;
    }
    function operationsOf(document: OpenApi): readonly (Operation & { readonly path: string })[] {
      return Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.values(methods).map((operation) => ({ ...operation, path })),
      );
    }
    /** Where OpenAPI 3.1 and JSON Schema put examples. */
    function examplesOf({ example, examples, schema }: Media): readonly unknown[] {
      const named = Object.values(examples ?? {}).map(({ value }) => value);
      return [...named, ...(schema?.examples ?? []), example, schema?.example].filter(
        (one) => one !== undefined,
      );
    }

    test.each([
      ["collectorUrl", ["/debug/vars", "/event", "/events"]],
      [
        "queryUrl",
        [
          "/accounts",
          "/accounts/{username}",
          "/metrics/distinct_names",
          "/metrics/hourly_logs/per_user",
          "/metrics/hourly_logs/total",
        ],
      ],
    ] as const)("%s/openapi.json is OpenAPI 3.1, with every route", async (url, paths) => {
      const document = await openApi(millrace[url]);
      expect(document.openapi).toMatch(/^3\.1\.\d+$/);
      expect(document.info).toMatchObject({
        title: expect.stringMatching(/\S/),
        version: expect.stringMatching(/\S/),
      });
      expect(Object.keys(document.paths).toSorted()).toEqual(paths);
      for (const { summary, responses } of operationsOf(document)) {
        expect(summary).toMatch(/\S/);
        expect(Object.keys(responses)).toContain("200");
        for (const { description } of Object.values(responses)) expect(description).toMatch(/\S/);
      }
      const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
      for (const [, path = ""] of references) {
        const found = path
          .split("/")
          .reduce((at: unknown, key) => (at as Record<string, unknown>)?.[key], document);
        expect(found).toBeDefined();
      }
    });

    test("each example of a request, sent as it is, is taken", async () => {
      const document = await openApi(millrace.collectorUrl);
      let sent = 0;
      for (const { path, requestBody } of operationsOf(document)) {
        for (const [type, media] of Object.entries(requestBody?.content ?? {})) {
          const examples = examplesOf(media);
          expect(examples, `${type} of ${path}`).not.toEqual([]);
          for (const example of examples) {
            const answer = await post(millrace, path, example, { "content-type": type });
            expect({ path, type, status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
            expect(answer.body["rejected"] ?? 0).toBe(0);
            sent += 1;
          }
        }
      }
      expect(sent).toBeGreaterThanOrEqual(5);
    });

    test.each(["collectorUrl", "queryUrl"] as const)(
      "%s/docs is a page that may not be framed",
      async (url) => {
        const { status, headers, text } = await send("GET", `${millrace[url]}/docs`);
        expect(status).toBe(200);
        expect(headers.get("content-type")).toMatch(/^text\/html/);
        expect(headers.get("content-security-policy")).toContain("frame-ancestors 'self'");
        expect(text).toContain("<html");
      },
    );
  });
});

describe("a collector with write keys", () => {
  const [first, second, unknown] = [newWriteKey(), newWriteKey(), newWriteKey()];
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({
      environment: {
        MILLRACE_WRITE_KEY_HASHES: `${first.hash},${second.hash}`,
        MILLRACE_RATE_LIMIT_PER_SECOND: "1000",
        MILLRACE_LOG_LEVEL: "debug",
      },
    });
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });
  const bodies = { "/event": event("keyed"), "/events": [event("keyed")] } as const;

  test.each([
    ["no key", {}, 401, "KEY_MISSING"],
    ["an empty header", { authorization: "" }, 401, "KEY_MISSING"],
    ["a key without a scheme", { authorization: first.key }, 401, "KEY_MISSING"],
    ["a scheme without a key", { authorization: "Bearer " }, 401, "KEY_MISSING"],
    ["another scheme", { authorization: `Basic ${first.key}` }, 401, "KEY_MISSING"],
    ["two words for a key", bearer(`${first.key} ${first.key}`), 401, "KEY_MISSING"],
    ["another key", bearer(unknown.key), 403, "KEY_REFUSED"],
    ["the hash of a key", bearer(first.hash), 403, "KEY_REFUSED"],
    ["a key and more", bearer(`${first.key}x`), 403, "KEY_REFUSED"],
    ["a key cut short", bearer(first.key.slice(0, -1)), 403, "KEY_REFUSED"],
    ["a key in other letters", bearer(first.key.toUpperCase()), 403, "KEY_REFUSED"],
  ])("refuses %s on both routes", async (_, headers, status, code) => {
    for (const [path, body] of Object.entries(bodies)) {
      const answer = await post(millrace, path, body, headers);
      expect(answer).toMatchObject({ status, body: { status, code } });
      expect(answer.headers.get("www-authenticate")).toBe(status === 401 ? "Bearer" : null);
    }
  });

  test("judges the key before the body", async () => {
    expect(await post(millrace, "/event", "garbage")).toMatchObject({ status: 401 });
    expect(await post(millrace, "/event", "garbage", bearer(first.key))).toMatchObject({ status: 400 });
  });

  test("takes events with any of its keys, the scheme in any letters, and counts no others", async () => {
    for (const [path, body] of Object.entries(bodies)) {
      for (const authorization of [`Bearer ${first.key}`, `Bearer ${second.key}`, `bearer ${first.key}`]) {
        expect(await post(millrace, path, body, { authorization })).toMatchObject({ status: 200 });
      }
    }
    await expect.poll(() => counted(millrace, "keyed"), { timeout: 20_000 }).toEqual([6, 6]);
  });

  test("shows its figures and its description without a key", async () => {
    for (const path of ["/debug/vars", "/openapi.json"]) {
      expect(await send("GET", `${millrace.collectorUrl}${path}`)).toMatchObject({ status: 200 });
    }
  });

  test("writes no key, right or wrong, and no hash of one to its log", async () => {
    await post(millrace, "/event", event("keyed"), bearer(first.key));
    await post(millrace, "/event", event("keyed"), bearer(unknown.key));
    await millrace.stop();
    const log = millrace.log();
    expect(log).toMatch(/\S/);
    for (const secret of [first.key, first.hash, second.key, second.hash, unknown.key, unknown.hash]) {
      expect(log).not.toContain(secret);
    }
    expect(createHash("sha256").update(first.key).digest("hex")).toBe(first.hash);
  });
});

describe("a collector with a rate limit", () => {
  const [one, other] = [newWriteKey(), newWriteKey()];
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({
      environment: {
        MILLRACE_WRITE_KEY_HASHES: `${one.hash},${other.hash}`,
        MILLRACE_RATE_LIMIT_PER_SECOND: "5",
      },
    });
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });
  const by = (key: string) => post(millrace, "/event", event("limited"), { authorization: `Bearer ${key}` });

  test("answers 429 with Retry-After over it, per key, counts what it took, and takes more in a while", async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => by(one.key)));
    const refused = answers.filter(({ status }) => status !== 200);
    let taken = answers.length - refused.length;
    expect(taken).toBeGreaterThanOrEqual(5);
    expect(refused.length).toBeGreaterThan(0);
    for (const { status, headers, body } of refused) {
      expect(status).toBe(429);
      expect(headers.get("content-type")).toMatch(/^application\/problem\+json/);
      expect(headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      expect(body).toMatchObject({
        ...problem("RATE_LIMITED", 429, "Too many requests"),
        detail: expect.stringMatching(/5/),
      });
    }
    expect(await by(other.key)).toMatchObject({ status: 200 });
    expect(await send("GET", `${millrace.collectorUrl}/debug/vars`)).toMatchObject({ status: 200 });
    await expect.poll(async () => (await by(one.key)).status, { timeout: 10_000, interval: 100 }).toBe(200);
    taken += 2;
    await expect.poll(() => counted(millrace, "limited"), { timeout: 20_000 }).toEqual([taken, taken]);
  });
});

describe("a collector with CORS", () => {
  const page = "https://page.example";
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({
      environment: { MILLRACE_CORS_ORIGINS: `${page},http://localhost:8080` },
    });
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  test.each(["/event", "/events"])(
    "lets a page of its origins ask first whether it may post to %s",
    async (path) => {
      const headers = {
        origin: page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, idempotency-key, authorization",
      };
      const answer = await send("OPTIONS", `${millrace.collectorUrl}${path}`, { headers });
      expect(answer.status).toBe(204);
      expect(answer.headers.get("access-control-allow-origin")).toBe(page);
      expect(answer.headers.get("access-control-allow-methods")).toContain("POST");
      const allowed = answer.headers.get("access-control-allow-headers") ?? "";
      for (const name of ["content-type", "idempotency-key", "authorization"])
        expect(allowed).toContain(name);
      expect(answer.headers.get("vary")).toMatch(/origin/i);
    },
  );

  test.each([
    ["a page of its origins", page, page],
    ["a page of its other origin", "http://localhost:8080", "http://localhost:8080"],
    ["another page", "https://evil.example", null],
    ["a page whose origin begins alike", `${page}.evil.example`, null],
    ["a page of another scheme", "http://page.example", null],
  ])("tells the browser of %s what it may read", async (_, origin, allowed) => {
    const answers = [
      await post(millrace, "/event", event("paged"), { origin }),
      await post(millrace, "/event", {}, { origin }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 400]);
    for (const { headers } of answers) expect(headers.get("access-control-allow-origin")).toBe(allowed);
  });

  test.each([
    ["/event", JSON.stringify(event("beacon-event")), "beacon-event", 1],
    ["/events", JSON.stringify([event("beacon-events"), event("beacon-events")]), "beacon-events", 2],
  ])("reads text/plain on %s, which is what a beacon sends", async (path, body, metric, events) => {
    const headers = { origin: page, "content-type": "text/plain;charset=UTF-8" };
    expect(await post(millrace, path, body, headers)).toMatchObject({ status: 200 });
    await expectCounted(millrace, metric, events);
  });

  test("judges text/plain like JSON", async () => {
    const headers = { "content-type": "text/plain" };
    expect(await post(millrace, "/event", "garbage", headers)).toMatchObject({ status: 400 });
    expect(await post(millrace, "/event", { username: 1 }, headers)).toMatchObject({ status: 400 });
  });

  test("has methods that are not allowed all the same", async () => {
    const answer = await send("DELETE", `${millrace.collectorUrl}/event`, { headers: { origin: page } });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toContain("POST");
  });
});
