import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { type Answer, ask as askAt } from "./ask.ts";

const MAX_ROWS = 100;
const total = "/metrics/hourly_logs/total";
const perUser = "/metrics/hourly_logs/per_user";
const distinct = "/metrics/distinct_names";
const accounts = "/accounts";

let millrace: Standalone;
beforeAll(async () => {
  millrace = await startStandalone({ environment: { MILLRACE_QUERY_MAX_ROWS: String(MAX_ROWS) } });
});
afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
});
const ask = (path: string): Promise<Answer> => askAt(millrace.queryUrl, path);

const cursorOf = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString("base64url");

describe("a parameter that is not valid is named in a problem:", () => {
  test.each([
    ...[perUser, distinct, accounts].flatMap((path): [string, string, string][] => [
      [path, "limit=0", "limit"],
      [path, "limit=-1", "limit"],
      [path, `limit=${MAX_ROWS + 1}`, "limit"],
      [path, "limit=many", "limit"],
      [path, "limit=1.5", "limit"],
      [path, "limit=", "limit"],
      [path, "limit=NaN", "limit"],
      [path, "limit=1e400", "limit"],
      [path, "limit=1e2", "limit"],
      [path, "limit=0x10", "limit"],
      [path, "limit=%201", "limit"],
      [path, "limit=+1", "limit"],
      [path, "limit=true", "limit"],
      [path, `limit=${"9".repeat(400)}`, "limit"],
      [path, "limit=9007199254740993", "limit"],
      [path, "limit=1&limit=2", "limit"],
      [path, "limit[]=1", "limit"],
      [path, "cursor=", "cursor"],
      [path, "cursor=garbage", "cursor"],
      [path, "cursor=%00", "cursor"],
      [path, `cursor=${cursorOf(null)}`, "cursor"],
      [path, `cursor=${cursorOf({ length: 2 })}`, "cursor"],
      [path, `cursor=${cursorOf([])}`, "cursor"],
      [path, `cursor=${cursorOf(["a"])}`, "cursor"],
      [path, `cursor=${cursorOf(["a", "b", "c"])}`, "cursor"],
      [path, `cursor=${cursorOf([["a"], ["b"]])}`, "cursor"],
      [path, `cursor=${cursorOf([null, null])}`, "cursor"],
      [path, `cursor=${cursorOf(["a", "b"]).slice(0, -3)}`, "cursor"],
      [path, `cursor=${"a".repeat(5000)}`, "cursor"],
      [path, `cursor=${cursorOf(["a", "b"])}&cursor=${cursorOf(["a", "b"])}`, "cursor"],
      [path, "page=1", "page"],
      [path, "Limit=1", "Limit"],
      [path, "limit=1&unknown", "unknown"],
      [path, "__proto__=1", "__proto__"],
      [path, "constructor=1", "constructor"],
    ]),
    [total, "order=size", "order"],
    [total, "order=count&order=metric", "order"],
    [total, `order=count&cursor=${cursorOf(["a"])}`, "cursor"],
    [perUser, "order=count", "order"],
    [perUser, `cursor=${cursorOf([1, "a"])}`, "cursor"],
    [perUser, "username=", "username"],
    [perUser, `username=${"u".repeat(513)}`, "username"],
    [perUser, "username=a&username=b", "username"],
    [perUser, "metric=", "metric"],
    [perUser, `metric=${"m".repeat(513)}`, "metric"],
    [perUser, "from=2026-11-24", "from"],
    [accounts, `cursor=${cursorOf(["a", "b"])}`, "cursor"],
    [accounts, "since=", "since"],
    [accounts, "since=yesterday", "since"],
    [accounts, "since=2026-11-24", "since"],
    [accounts, "since=2026-02-31T00:00:00Z", "since"],
    [accounts, "since=2026-11-24T06:00:00", "since"],
    [accounts, "since=1969-12-31T23:59:59Z", "since"],
    [accounts, "since=1795500000000", "since"],
    [accounts, "username=plain", "username"],
    [distinct, `cursor=${cursorOf([1, "a"])}`, "cursor"],
    [distinct, "granularity=week", "granularity"],
    [distinct, "granularity=Day", "granularity"],
    [distinct, "granularity=", "granularity"],
    [distinct, "granularity=day&granularity=month", "granularity"],
    [distinct, "metric=kite_call", "metric"],
    ...["from", "to"].flatMap((bound): [string, string, string][] => [
      [distinct, `${bound}=`, bound],
      [distinct, `${bound}=today`, bound],
      [distinct, `${bound}=20261124`, bound],
      [distinct, `${bound}=2026-1-1`, bound],
      [distinct, `${bound}=2026`, bound],
      [distinct, `${bound}=2026-11`, bound],
      [distinct, `${bound}=2026-11-24T00:00:00Z`, bound],
      [distinct, `granularity=month&${bound}=2026-11-24`, bound],
      [distinct, `${bound}=2026-13-01`, bound],
      [distinct, `${bound}=2026-00-01`, bound],
      [distinct, `${bound}=2026-11-00`, bound],
      [distinct, `${bound}=2026-02-31`, bound],
      [distinct, `${bound}=2026-02-29`, bound],
      [distinct, `granularity=month&${bound}=2026-13`, bound],
    ]),
    ["/metrics/hourly_logs/total", "username=ann", "username"],
    ["/metrics/hourly_logs/total", "metric=kite_call", "metric"],
    ["/accounts/plain", "since=2026-11-24T06:00:00Z", "since"],
  ])("%s?%s", async (path, search, parameter) => {
    const { status, headers, body } = await ask(`${path}?${search}`);
    expect({ status, body }).toMatchObject({
      status: 400,
      body: {
        type: "https://millrace.io/errors#invalid-query",
        title: "A query parameter is not valid",
        status: 400,
        code: "INVALID_QUERY",
      },
    });
    expect(headers["content-type"]).toMatch(/^application\/problem\+json/);
    expect(JSON.stringify(body)).toContain(parameter);
  });

  test.each([
    [perUser, "limit=0", "limit"],
    [perUser, "unknown=1", "unknown"],
    [perUser, "cursor=garbage", "cursor"],
    [distinct, "granularity=week", "granularity"],
    [distinct, "from=today", "from"],
    [distinct, "from=2026-11", "from"],
    [accounts, "since=yesterday", "since"],
  ])("%s?%s, in `errors` too, as the API's description says", async (path, search, parameter) => {
    const { body } = await ask(`${path}?${search}`);
    expect(body).toMatchObject({
      errors: [{ pointer: `/${parameter}`, detail: expect.stringMatching(/\S/) }],
    });
  });

  test("all that are not valid are named at once", async () => {
    const { body } = await ask(`${distinct}?limit=0&granularity=week&from=today&unknown=1`);
    const { errors } = body as { errors: { pointer: string }[] };
    expect(new Set(errors.map(({ pointer }) => pointer))).toEqual(
      new Set(["/limit", "/granularity", "/from", "/unknown"]),
    );
  });
});
