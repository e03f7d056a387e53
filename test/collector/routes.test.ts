import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { accounts } from "../flow/views.ts";
import { as, event, expectCounted, gzip, type Headers, json, ndjson, post, problem, send } from "./client.ts";

const oneOf = (metric: string) => JSON.stringify(event(metric));
const arrayOf = (metric: string) => JSON.stringify([event(metric), event(metric)]);
const linesOf = (metric: string) => `${oneOf(metric)}\n`.repeat(3);
const largeOf = (metric: string) =>
  JSON.stringify(Array.from({ length: 8000 }, () => event(metric, { username: "u".repeat(256) })));
const structuredOf = (metric: string) =>
  JSON.stringify({ specversion: "1.0", id: metric, source: "/s", type: "t", data: event(metric) });
const ce = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/takes", "ce-type": "t" };
const encodedAs = (encoding: string): Headers => ({ "content-encoding": encoding });
type Of = (metric: string) => string;
const zipped = (of: Of) => (metric: string) => gzipSync(of(metric));
const twiceZipped = (of: Of) => (metric: string) => Buffer.concat([zipped(of)(metric), zipped(of)(metric)]);

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

    test("each of two events, though one brings the id that is made of the other's source and id", async () => {
      const structured = structuredOf("clash-ce");
      const answers = [
        await post(millrace, "/event", structured, as("application/cloudevents+json")),
        await post(millrace, "/event", event("clash-ce", { id: "/s clash-ce" })),
        await post(millrace, "/event", event("clash-ce", { id: "ce:/s clash-ce" })),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      await expectCounted(millrace, "clash-ce", 3);
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
});
