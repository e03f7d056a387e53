import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newKey } from "../../src/commands/key.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { counted, event, type Headers, post, problem, send } from "./client.ts";

const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });

describe("a collector with write keys", () => {
  const [first, second, unknown] = [newKey(), newKey(), newKey()];
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
  const [one, other] = [newKey(), newKey()];
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
