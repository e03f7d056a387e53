import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { newKey } from "../../src/commands/key.ts";
import type { LendDeadLetters } from "../../src/console/dead-letters.ts";
import { sendTo } from "../../src/console/send-event.ts";
import type { DeadLetterRow } from "../../src/console/snapshot.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { DeadLetters } from "../../src/ports/broker.ts";
import { type Answer, event, expectCounted, type Headers, json, problem, send } from "../collector/client.ts";
import { openBroker, rubbish } from "../commands/work-off.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { deadPort } from "./admin-ports.ts";
import { openConsole } from "./serve.ts";

const postTo = (url: string, body: unknown, headers: Headers = {}): Promise<Answer> =>
  send("POST", url, {
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { ...json, ...headers },
  });
interface Letters {
  readonly rows: readonly DeadLetterRow[];
  readonly more: boolean;
}
const lettersAt = async (url: string, search = ""): Promise<Letters> =>
  (await send("GET", `${url}/dead-letters${search}`)).body as unknown as Letters;

describe("a standalone process", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({ readyTimeoutMs: 50_000 });
    await using broker = openBroker(millrace.dataDir);
    for (const text of ["<b>one</b>", "two", "a".repeat(5000)])
      await broker.publish(rubbish("text/csv", text));
    const died = async () => (await lettersAt(millrace.queryUrl)).rows.length === 9;
    await vi.waitUntil(died, { timeout: 20_000, interval: 100 });
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });
  const sendEvent = (body: unknown, headers: Headers = {}) =>
    postTo(`${millrace.queryUrl}/console/event`, body, headers);
  const replay = (body: unknown, headers: Headers = {}) =>
    postTo(`${millrace.queryUrl}/dead-letters/replay`, body, headers);

  test("says what the page can do", async () => {
    const { body, headers } = await send("GET", `${millrace.queryUrl}/console/setup`);
    expect(body).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      canSend: true,
      canReplay: true,
      needsKeyFor: [],
    });
    expect(headers.get("cache-control")).toBe("no-store");
  });

  test("passes an event on to its collector, which counts it once by its id", async () => {
    for (let time = 0; time < 2; time += 1) {
      expect(await sendEvent(event("by hand", { id: "1" }))).toMatchObject({ status: 200, text: "" });
    }
    await expectCounted(millrace, "by hand", 1);
  });

  test("answers what is wrong with an event in the collector's own words", async () => {
    const wrong = { username: "", metric: "m", count: 1.5 };
    const own = await postTo(`${millrace.collectorUrl}/event`, wrong);
    const passedOn = await sendEvent(wrong);
    expect(passedOn).toMatchObject({ status: 400, text: own.text });
    expect(passedOn.headers.get("content-type")).toBe(own.headers.get("content-type"));
    expect(await sendEvent("{")).toMatchObject({ status: 400, body: { code: "MALFORMED_BODY" } });
    expect(await sendEvent("")).toMatchObject({ status: 400 });
  });

  test("takes no event that is larger than a collector takes", async () => {
    const answer = await sendEvent({ ...event("large"), username: "u".repeat(70_000) });
    expect(answer).toMatchObject({ status: 413, body: { code: "BODY_TOO_LARGE" } });
  });

  test("lists dead letters oldest first, with as much of a body as can be read", async () => {
    const { rows, more } = await lettersAt(millrace.queryUrl);
    expect(more).toBe(false);
    expect(rows.map(({ queue }) => queue)).toEqual(projectionNames.flatMap((name) => [name, name, name]));
    expect(rows[0]).toEqual({
      id: expect.stringMatching(/./),
      queue: "accountName",
      reason: 'MESSAGE_UNREADABLE: content type "text/csv"',
      attempts: 1,
      deadAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      contentType: "text/csv",
      body: "<b>one</b>",
    });
    expect(rows[2]?.body).toBe("a".repeat(2000));
  });

  test("lists those of one queue, and as many as are asked for", async () => {
    const { rows, more } = await lettersAt(millrace.queryUrl, "?queue=hourlyLog&limit=2");
    expect(rows.map(({ queue, body }) => [queue, body])).toEqual([
      ["hourlyLog", "<b>one</b>"],
      ["hourlyLog", "two"],
    ]);
    expect(more).toBe(true);
    expect((await lettersAt(millrace.queryUrl, "?queue=hourlyLog&limit=3")).more).toBe(false);
  });

  test.for([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=1e1", "limit"],
    ["queue=other", "queue"],
    ["page=1", "page"],
  ])("names what is wrong with ?%s", async ([search, name]) => {
    const answer = await send("GET", `${millrace.queryUrl}/dead-letters?${search}`);
    expect(answer).toMatchObject({
      status: 400,
      body: {
        code: "INVALID_QUERY",
        errors: [{ pointer: `/${name}`, detail: expect.stringContaining(String(name)) }],
      },
    });
  });

  test("replays those that are named, and passes over those that are not there", async () => {
    const letters = async () => (await lettersAt(millrace.queryUrl, "?queue=distinctName")).rows;
    const [first, ...others] = await letters();
    const ids = [first?.id, first?.id, "99999"];
    expect(await replay({ queue: "distinctName", ids })).toMatchObject({
      status: 200,
      body: { replayed: 1 },
    });
    // It is as unreadable as before, and so it dies again.
    const again = async () => (await letters()).find(({ body }) => body === first?.body)?.deadAt ?? "";
    await expect.poll(again, { timeout: 10_000 }).not.toMatch(new RegExp(`^$|^${first?.deadAt}$`));
    expect(await letters()).toEqual(expect.arrayContaining(others));
  });

  test.for([
    ["no queue", { ids: ["1"] }, ""],
    ["a queue that is none", { queue: "other", ids: ["1"] }, "/queue"],
    ["no ids", { queue: "hourlyLog", ids: [] }, "/ids"],
    ["too many ids", { queue: "hourlyLog", ids: Array.from({ length: 101 }, String) }, "/ids"],
    ["an id that is none", { queue: "hourlyLog", ids: [1] }, "/ids/0"],
    ["more than it knows", { queue: "hourlyLog", ids: ["1"], all: true }, "/all"],
  ] as const)("replays nothing for %s", async ([, body, pointer]) => {
    expect(await replay(body)).toMatchObject({
      status: 400,
      body: { code: "INVALID_BODY", errors: [{ pointer }] },
    });
  });

  test.for([
    ["from another site", { "sec-fetch-site": "cross-site" }],
    ["from another host of the same site", { "sec-fetch-site": "same-site" }],
    ["with another origin", { origin: "http://evil.example" }],
    ["with the origin of another port", { origin: "http://127.0.0.1:1" }],
    ["with an origin that is hidden", { origin: "null" }],
  ] as const)("does nothing for a page %s", async ([, headers]) => {
    const refused = {
      status: 403,
      body: problem("CROSS_SITE", 403, "The request comes from a page of another site"),
    };
    expect(await sendEvent(event("forged"), headers)).toMatchObject(refused);
    expect(await replay({ queue: "hourlyLog", ids: ["1"] }, headers)).toMatchObject(refused);
  });

  test.for(["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])(
    "takes no %s, which a form could send from anywhere",
    async (type) => {
      const refused = { status: 415, body: { code: "UNSUPPORTED_MEDIA_TYPE" } };
      expect(await sendEvent(event("forged"), { "content-type": type })).toMatchObject(refused);
      const body = { queue: "hourlyLog", ids: ["1"] };
      expect(await replay(body, { "content-type": type })).toMatchObject(refused);
    },
  );

  test("does what its own page asks for, and lets no other read an answer", async () => {
    const own = { origin: new URL(millrace.queryUrl).origin, "sec-fetch-site": "same-origin" };
    const answer = await sendEvent(event("own"), own);
    expect(answer.status).toBe(200);
    expect(answer.headers.has("access-control-allow-origin")).toBe(false);
    expect(answer.headers.get("cross-origin-resource-policy")).toBe("same-origin");
    const asked = { origin: "http://evil.example", "access-control-request-method": "POST" };
    const preflight = await send("OPTIONS", `${millrace.queryUrl}/console/event`, { headers: asked });
    expect(preflight.headers.has("access-control-allow-origin")).toBe(false);
  });

  test("describes each of these routes", async () => {
    const { body } = await send("GET", `${millrace.queryUrl}/openapi.json`);
    const { paths } = body as { paths: Readonly<Record<string, Readonly<Record<string, object>>>> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((one) => `${one} ${path}`),
    );
    expect(described).toEqual(
      expect.arrayContaining([
        "get /console/setup",
        "get /console/live",
        "post /console/event",
        "get /dead-letters",
        "post /dead-letters/replay",
      ]),
    );
  });
});

describe("where write keys are on", () => {
  const { key, hash } = newKey();
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({
      environment: { MILLRACE_WRITE_KEY_HASHES: hash },
      readyTimeoutMs: 50_000,
    });
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  test.for([
    ["no key", {}, 401, "KEY_MISSING"],
    ["an unknown key", { authorization: `Bearer ${newKey().key}` }, 403, "KEY_REFUSED"],
    ["the key", { authorization: `Bearer ${key}` }, 200, undefined],
  ] as const)("with %s an event and a replay are answered alike", async ([, headers, status, code]) => {
    const sent = await postTo(`${millrace.queryUrl}/console/event`, event("keyed"), headers);
    const replayed = await postTo(
      `${millrace.queryUrl}/dead-letters/replay`,
      { queue: "hourlyLog", ids: ["1"] },
      headers,
    );
    expect([sent.status, replayed.status]).toEqual([status, status]);
    expect([sent.body["code"], replayed.body["code"]]).toEqual([code, code]);
    expect(sent.headers.get("www-authenticate")).toBe(status === 401 ? "Bearer" : null);
  });

  test("the page knows that it needs one, and may look without", async () => {
    expect((await send("GET", `${millrace.queryUrl}/console/setup`)).body).toMatchObject({
      needsKeyFor: ["write", "admin"],
    });
    expect((await send("GET", `${millrace.queryUrl}/dead-letters`)).status).toBe(200);
  });
});

async function* awaited<T>(one: Promise<T>): AsyncGenerator<T> {
  yield await one;
}

describe("a query API in a process of its own", () => {
  let parts: AsyncDisposableStack;
  beforeEach(() => {
    parts = new AsyncDisposableStack();
  });
  afterEach(() => parts.disposeAsync());

  test("has no routes for what it does not reach", async () => {
    const { url } = parts.use(await openConsole());
    expect((await send("GET", `${url}/console/setup`)).body).toEqual({
      version: "1.2.3",
      canSend: false,
      canReplay: false,
      needsKeyFor: [],
    });
    for (const [method, path] of [
      ["POST", "/console/event"],
      ["GET", "/dead-letters"],
    ] as const) {
      expect(await send(method, `${url}${path}`)).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
    }
  });

  test("answers 503 where the collector is not there", async () => {
    const sendEvent = sendTo(`http://127.0.0.1:${await deadPort()}`);
    const { url } = parts.use(await openConsole({ sendEvent }));
    const answer = await postTo(`${url}/console/event`, event("lost"));
    expect(answer).toMatchObject({ status: 503, body: { code: "COLLECTOR_UNAVAILABLE" } });
    expect(answer.headers.get("retry-after")).toMatch(/^\d+$/);
  });

  test("passes the answer of a collector elsewhere on, and the key to it", async () => {
    const { key, hash } = newKey();
    await using millrace = await startStandalone({
      environment: { MILLRACE_WRITE_KEY_HASHES: hash },
      readyTimeoutMs: 50_000,
    });
    const { url } = parts.use(await openConsole({ sendEvent: sendTo(millrace.collectorUrl) }));
    const refused = await postTo(`${url}/console/event`, event("far"));
    expect(refused).toMatchObject({ status: 401, body: { code: "KEY_MISSING" } });
    expect(refused.headers.get("www-authenticate")).toBe("Bearer");
    const taken = await postTo(`${url}/console/event`, event("far"), { authorization: `Bearer ${key}` });
    expect(taken).toMatchObject({ status: 200, text: "" });
  });

  test("answers 503 for a second list while one is in hand, and for a broker that is away", async () => {
    const gate = Promise.withResolvers<never>();
    const letters: DeadLetters = {
      list: () => awaited(gate.promise),
      replay: async () => 0,
      drop: async () => 0,
    };
    const asked = Promise.withResolvers<void>();
    const lendDeadLetters: LendDeadLetters = (use) => {
      asked.resolve();
      return use(letters);
    };
    const { url } = parts.use(await openConsole({ lendDeadLetters }));
    const first = send("GET", `${url}/dead-letters`);
    await asked.promise;
    const second = await send("GET", `${url}/dead-letters`);
    expect(second).toMatchObject({ status: 503, body: { code: "OVERLOADED" } });
    expect(second.headers.get("retry-after")).toMatch(/^\d+$/);
    gate.reject(new MillraceError("BROKER_UNAVAILABLE", "it is away"));
    expect(await first).toMatchObject({
      status: 503,
      body: { code: "BROKER_UNAVAILABLE", detail: "it is away" },
    });
    const third = await send("GET", `${url}/dead-letters`);
    expect(third).toMatchObject({ status: 503, body: { code: "BROKER_UNAVAILABLE" } });
  });
});
