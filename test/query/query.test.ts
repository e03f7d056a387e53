import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { type Answer, ask as askAt, type Row } from "./ask.ts";

const MAX_ROWS = 100;
const DAY_MS = 86_400_000;

interface Event {
  readonly username: string;
  readonly metric: string;
  readonly count: number;
  readonly timestamp: number;
}

/** Names that a URL, a cursor, a database or an object could take for something else. */
const names = [
  "plain",
  "with/slash",
  "/",
  "//",
  ".",
  "..",
  "../accounts",
  "50%",
  "%2F",
  "%",
  "%zz",
  "a b",
  " ",
  "a+b",
  "a?b=c&d",
  "a#b",
  "a;b:c,d",
  "a\"b'c`d",
  "a\\b",
  "back\nbreak\ttab",
  "émigré",
  "e\u0301migre\u0301",
  "日本語",
  "\u{1f600}",
  "\uffee",
  "\u{1f600}".repeat(256),
  "u".repeat(256),
  "__proto__",
  "constructor",
  "null",
];
const metrics = ["kite_call", "a/b %", "\u{1f680}"];

const perUser = "/metrics/hourly_logs/per_user";
const distinct = "/metrics/distinct_names";
const accounts = "/accounts";

let millrace: Standalone;
let nowMs: number;
let events: readonly Event[];

/** Three metrics by thirty users within the last hour, and one user on eight days before. */
function someEvents(): readonly Event[] {
  const recent = names.flatMap((username, user) =>
    metrics.map((metric, place) => {
      // Ten at a time share their millisecond: what is first seen together is told apart by the name.
      const timestamp = nowMs - 60_000 + Math.floor(user / 10) * 1000;
      return { username, metric, count: user * 7 - place * 11, timestamp };
    }),
  );
  const daily = Array.from({ length: 8 }, (_, day) =>
    metrics.slice(0, 1 + (day % 3)).map((metric) => {
      return { username: "daily", metric, count: 1, timestamp: nowMs - (day + 1) * 3 * DAY_MS };
    }),
  );
  return [...recent, ...daily.flat()];
}

/** The views follow the 200. */
async function until(path: string, rows: number): Promise<void> {
  await vi.waitUntil(async () => (await ask(path)).rows.length === rows, { timeout: 20_000 });
}

beforeAll(async () => {
  millrace = await startStandalone({ environment: { MILLRACE_QUERY_MAX_ROWS: String(MAX_ROWS) } });
  nowMs = Math.floor(Date.now() / 1000) * 1000;
  events = someEvents();
  const answer = await fetch(`${millrace.collectorUrl}/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  if (!answer.ok) throw new Error(`the events were not taken: ${await answer.text()}`);
  await until(perUser, names.length * metrics.length);
  await until(distinct, dayRows("day").length);
  await until(accounts, names.length + 1);
});
afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
});

const ask = (path: string, method = "GET"): Promise<Answer> => askAt(millrace.queryUrl, path, method);

/** The pages from a path on, by their links. */
async function pagesFrom(path: string): Promise<readonly (readonly Row[])[]> {
  const pages: (readonly Row[])[] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const answer: Answer = await ask(next);
    expect(answer.status).toBe(200);
    pages.push(answer.rows);
    next = answer.next;
  }
  return pages;
}

const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const query = (parameters: Readonly<Record<string, string | number>>): string =>
  `?${Object.entries(parameters)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&")}`;

// What the answers must be, from the events alone.

function userRows(filter: (event: Event) => boolean = () => true): readonly Row[] {
  return events
    .filter((event) => event.timestamp > nowMs - 3_600_000 && filter(event))
    .toSorted((a, b) => byCodePoint(a.username, b.username) || byCodePoint(a.metric, b.metric))
    .map(({ username, metric, count }) => {
      return { _id: { username, metric }, minimum: count, maximum: count, average: count, count: 1 };
    });
}
function dayRows(granularity: "day" | "month"): readonly Row[] {
  const length = granularity === "day" ? "YYYY-MM-DD".length : "YYYY-MM".length;
  const counts = new Map<string, { metric: string; period: string; count: number }>();
  for (const { metric, timestamp } of events) {
    const period = new Date(timestamp).toISOString().slice(0, length);
    const key = JSON.stringify([period, metric]);
    counts.set(key, { metric, period, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return Array.from(counts.values())
    .toSorted((a, b) => byCodePoint(a.period, b.period) || byCodePoint(a.metric, b.metric))
    .map(({ metric, period, count }) => ({ _id: { metric, [granularity]: period }, count }));
}
function accountRows(): readonly Row[] {
  const firstSeen = new Map<string, number>();
  for (const { username, timestamp } of events) {
    firstSeen.set(username, Math.min(timestamp, firstSeen.get(username) ?? timestamp));
  }
  return Array.from(firstSeen, ([username, ms]) => ({
    username,
    firstSeen: new Date(ms).toISOString(),
  })).toSorted((a, b) => byCodePoint(a.firstSeen, b.firstSeen) || byCodePoint(a.username, b.username));
}

describe("in pages", () => {
  const views = [
    [perUser, {}, userRows],
    [
      "/metrics/hourly_logs/per_user",
      { metric: "a/b %" },
      () => userRows(({ metric }) => metric === "a/b %"),
    ],
    [
      "/metrics/hourly_logs/per_user",
      { username: "%2F" },
      () => userRows(({ username }) => username === "%2F"),
    ],
    [distinct, {}, () => dayRows("day")],
    [distinct, { granularity: "day" }, () => dayRows("day")],
    [distinct, { granularity: "month" }, () => dayRows("month")],
    [accounts, {}, accountRows],
  ] as const;

  test.each(views)("%s %j is whole without a limit, and in order", async (path, parameters, expected) => {
    const answer = await ask(path + query(parameters));
    expect(answer).toMatchObject({ status: 200, next: undefined });
    expect(answer.rows).toEqual(expected());
  });

  test.each(
    views.flatMap(([path, parameters, expected]) =>
      [1, 2, 3, 7, 10, 29, 30, 31, 89, 90, 91, MAX_ROWS].map(
        (limit) => [path, { ...parameters, limit }, expected] as const,
      ),
    ),
  )("%s %j is the same, no row twice, every page full but the last", async (path, parameters, expected) => {
    const rows = expected();
    const pages = await pagesFrom(path + query(parameters));
    expect(pages.flat()).toEqual(rows);
    expect(new Set(pages.flat().map((row) => JSON.stringify(row))).size).toBe(rows.length);
    expect(pages.map((page) => page.length)).toEqual(
      Array.from({ length: Math.ceil(rows.length / parameters.limit) }, (_, page) =>
        Math.min(parameters.limit, rows.length - page * parameters.limit),
      ),
    );
  });

  test("a page of a view without rows is empty and has no next", async () => {
    const answer = await ask("/metrics/hourly_logs/per_user?username=nobody&limit=1");
    expect(answer).toMatchObject({ status: 200, body: [], next: undefined });
  });
});

const idOf = (row: Row | undefined): Row => (row?.["_id"] ?? {}) as Row;
const dayOf = (row: Row | undefined): string => String(idOf(row)["day"]);
const monthOf = (row: Row | undefined): string => String(idOf(row)["month"]);

describe("within bounds", () => {
  test("the days asked for are those from the first to the last, both included", async () => {
    const all = dayRows("day");
    const days = [...new Set(all.map(dayOf))];
    const [from = "", to = ""] = [days[2], days[5]];
    const { rows } = await ask(`/metrics/distinct_names?from=${from}&to=${to}`);
    expect(rows).toEqual(all.filter((row) => dayOf(row) >= from && dayOf(row) <= to));
    expect(new Set(rows.map(dayOf)).size).toBe(4);
    expect((await ask(`/metrics/distinct_names?from=${to}&to=${from}`)).rows).toEqual([]);
  });

  test("a month asked for is the month and nothing else", async () => {
    const all = dayRows("month");
    const month = monthOf(all.at(-1));
    const { rows } = await ask(`/metrics/distinct_names?granularity=month&from=${month}&to=${month}`);
    expect(rows).toEqual(all.filter((row) => monthOf(row) === month));
  });

  test("the accounts since an instant are those first seen at it or later", async () => {
    const all = accountRows();
    const since = String(all.at(15)?.["firstSeen"]);
    const { rows } = await ask(`/accounts?since=${encodeURIComponent(since)}`);
    expect(rows).toEqual(all.filter(({ firstSeen }) => String(firstSeen) >= since));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.length).toBeLessThan(all.length);
  });

  test("the same instant with an offset is the same", async () => {
    const all = accountRows();
    const atMs = Date.parse(String(all.at(15)?.["firstSeen"]));
    const since = new Date(atMs + 2 * 3_600_000).toISOString().replace("Z", "+02:00");
    const { rows } = await ask(`/accounts?since=${encodeURIComponent(since)}`);
    expect(rows).toEqual(all.filter(({ firstSeen }) => Date.parse(String(firstSeen)) >= atMs));
  });
});

test("the totals of the hour are by metric, in order, over all users", async () => {
  const { status, rows } = await ask("/metrics/hourly_logs/total");
  expect(status).toBe(200);
  expect(rows).toEqual(
    metrics.toSorted(byCodePoint).map((metric) => {
      const counts = events
        .filter((event) => event.metric === metric && event.timestamp > nowMs - 3_600_000)
        .map(({ count }) => count);
      const sum = counts.reduce((a, b) => a + b, 0);
      return {
        _id: metric,
        minimum: Math.min(...counts),
        maximum: Math.max(...counts),
        average: sum / counts.length,
        count: counts.length,
      };
    }),
  );
});

test("the totals of the hour by number of events are the same rows, the most first, on one page", async () => {
  const { rows } = await ask("/metrics/hourly_logs/total");
  const byCount = rows.toSorted((one, other) => Number(other["count"]) - Number(one["count"]));
  expect((await ask("/metrics/hourly_logs/total?order=count")).rows).toEqual(byCount);
  const { rows: first, next } = await ask("/metrics/hourly_logs/total?order=count&limit=1");
  expect([first, next]).toEqual([byCount.slice(0, 1), undefined]);
  expect((await ask("/metrics/hourly_logs/total?order=metric")).rows).toEqual(rows);
});

describe("one account", () => {
  test.each(names.map((username) => [JSON.stringify(username).slice(0, 40), username]))(
    "called %s is found by its name in the path",
    async (_, username) => {
      const expected = accountRows().find((row) => row["username"] === username);
      const { status, body } = await ask(`/accounts/${encodeURIComponent(username).replaceAll(".", "%2E")}`);
      expect({ status, body }).toEqual({ status: 200, body: expected });
    },
  );

  test.each(names.map((username) => [JSON.stringify(username).slice(0, 40), username]))(
    "called %s is found by its name in the hourly log",
    async (_, username) => {
      const { rows } = await ask(perUser + query({ username }));
      expect(rows).toEqual(userRows((event) => event.username === username));
    },
  );

  test.each([
    "nobody",
    "Plain",
    "plain%20",
    "%00",
    "with/slash",
    "with%252Fslash",
    "e%CC%81migr%C3%A9",
    "toString",
    "%F0%9F%98%80%F0%9F%98%80",
  ])("called %s, whom no event names, is not there", async (path) => {
    const { status, headers, body } = await ask(`/accounts/${path}`);
    expect({ status, body }).toMatchObject({
      status: 404,
      body: {
        type: "https://millrace.io/errors#not-found",
        title: "There is nothing here",
        status: 404,
        code: "NOT_FOUND",
      },
    });
    expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
  });

  test.each(["%", "%zz", "%E2%82", "%C0%AF", "%ED%A0%80"])(
    "cannot be asked for by the broken escape %s",
    async (path) => {
      const { status, headers, body } = await ask(`/accounts/${path}`);
      expect({ status, body }).toMatchObject({ status: 400, body: { status: 400 } });
      expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
    },
  );
});

describe("what is not there or not allowed is a problem:", () => {
  test.each([
    "/metrics",
    "/metrics/hourly_logs",
    "/metrics/hourly_logs/total/1",
    "/account",
    "/Accounts",
    "//accounts",
  ])("GET %s", async (path) => {
    const { status, headers, body } = await ask(path);
    expect({ status, body }).toMatchObject({
      status: 404,
      body: { status: 404, code: "NOT_FOUND", detail: path },
    });
    expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
  });

  const paths = [
    "/metrics/hourly_logs/total",
    perUser,
    distinct,
    accounts,
    "/accounts/plain",
    "/openapi.json",
  ];
  test.each(
    paths.flatMap((path) =>
      ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((method) => [method, path] as const),
    ),
  )("%s %s", async (method, path) => {
    const { status, headers, body } = await ask(path, method);
    expect({ status, body }).toMatchObject({
      status: 405,
      body: { status: 405, code: "METHOD_NOT_ALLOWED" },
    });
    expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(String(headers["allow"]).split(", ").toSorted()).toEqual(["GET", "HEAD"]);
  });

  test("and HEAD is GET without a body", async () => {
    for (const path of [accounts, "/accounts/plain"]) {
      expect(await ask(path, "HEAD")).toMatchObject({ status: 200, body: undefined });
    }
    expect(await ask("/accounts/nobody", "HEAD")).toMatchObject({ status: 404, body: undefined });
  });
});
