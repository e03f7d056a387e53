import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openKeyFile } from "../../src/adapters/embedded/key-file.ts";
import { newKey } from "../../src/commands/key.ts";
import type { StoredKey } from "../../src/domain/key.ts";
import { revokeKey } from "../../src/domain/key-changes.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { type Answer, event, ndjson, post, send } from "./client.ts";

const PATIENCE = { timeout: 30_000, interval: 100 };
const createdAt = "2026-11-30T12:00:00.000Z";
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

describe("a collector with a file of keys", { timeout: 90_000 }, () => {
  const holders = {
    writer: { ...newKey(), access: ["write"], createdAt },
    reader: { ...newKey(), access: ["read", "admin"], createdAt },
    former: { ...newKey(), access: ["write"], createdAt, expiresAt: "2026-11-30T13:00:00.000Z" },
    leaver: { ...newKey(), access: ["write"], createdAt },
    paced: { ...newKey(), access: ["write"], createdAt, ratePerSecond: 5 },
    sparing: { ...newKey(), access: ["write"], createdAt, eventsPerDay: 5 },
  } as const satisfies Record<string, Omit<StoredKey, "name"> & { key: string }>;
  const hashed = newKey();
  const storedOf = ([name, holder]: readonly [string, (typeof holders)[keyof typeof holders]]): StoredKey => {
    const { key: _key, ...kept } = { ...holder, name, access: [...holder.access] };
    return kept;
  };
  const stored = Object.entries(holders).map(storedOf);
  let folder: string;
  let file: string;
  let millrace: Standalone;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
    file = join(folder, "keys.json");
    await openKeyFile(file).change(() => stored);
    millrace = await startStandalone({
      environment: { MILLRACE_KEYS_FILE: file, MILLRACE_WRITE_KEY_HASHES: hashed.hash },
      readyTimeoutMs: 80_000,
    });
  }, 90_000);
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  /** What a key that may read is told of a metric by both views. */
  const seen = async (metric: string): Promise<unknown> => {
    const url = `${millrace.queryUrl}/metrics/hourly_logs/total`;
    const { body } = await send("GET", url, { headers: bearer(holders.reader.key) });
    const rows = body as unknown as readonly { _id: string; count: number }[];
    return rows.find(({ _id }) => _id === metric)?.count ?? 0;
  };

  test.for([
    ["nobody's", newKey().key, 403, "it is not known"],
    ["one that may not write", holders.reader.key, 403, "its access is read, admin; write is needed here"],
    ["one that has expired", holders.former.key, 403, "it has expired"],
    ["one that may write", holders.writer.key, 200, undefined],
    ["one of the hashes", hashed.key, 200, undefined],
  ] as const)("answers %s key by what it may do", async ([, key, status, detail]) => {
    const answer = await post(millrace, "/event", event("answered"), bearer(key));
    expect(answer).toMatchObject(
      detail === undefined ? { status } : { status, body: { code: "KEY_REFUSED", detail } },
    );
  });

  test("tells in its description that it wants one", async () => {
    const { body } = await send("GET", `${millrace.collectorUrl}/openapi.json`);
    expect(body).toMatchObject({
      components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
      paths: {
        "/event": { post: { security: [{ key: [] }] } },
        "/events": { post: { security: [{ key: [] }] } },
      },
    });
    expect(body).not.toHaveProperty(["paths", "/debug/vars", "get", "security"]);
  });

  test("bounds the requests of a key by its own rate, and no other's", async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => post(millrace, "/event", event("paced"), bearer(holders.paced.key))),
    );
    const refused = answers.filter(({ status }) => status !== 200);
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(5);
    expect(refused.length).toBeGreaterThan(0);
    for (const { status, headers, body } of refused) {
      expect([status, body["code"]]).toEqual([429, "RATE_LIMITED"]);
      expect(headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      expect([headers.get("ratelimit-limit"), headers.get("ratelimit-remaining")]).toEqual(["5", "0"]);
    }
    for (let time = 0; time < 20; time += 1) {
      const answer = await post(millrace, "/event", event("unbounded"), bearer(holders.writer.key));
      expect(answer.status).toBe(200);
      expect(answer.headers.get("ratelimit-limit")).toBeNull();
    }
    await expect.poll(() => seen("paced"), PATIENCE).toBe(answers.length - refused.length);
  });

  test("takes no more events of a key than its quota, and a batch whole or not at all", async () => {
    const lines = (events: number) => `${JSON.stringify(event("spared"))}\n`.repeat(events);
    const by = (events: number) =>
      post(millrace, "/events", lines(events), { ...ndjson, ...bearer(holders.sparing.key) });
    expect(await by(3)).toMatchObject({ status: 200, body: { accepted: 3 } });
    const over = await by(3);
    expect(over).toMatchObject({
      status: 429,
      body: {
        code: "QUOTA_EXCEEDED",
        detail: "2 of 5 events are left for this UTC day, and these are 3",
      },
    });
    const untilMidnight = Number(over.headers.get("retry-after"));
    expect(untilMidnight).toBeGreaterThan(0);
    expect(untilMidnight).toBeLessThanOrEqual(86_400);
    expect(over.headers.get("ratelimit-limit")).toBe("5");
    expect(over.headers.get("ratelimit-remaining")).toBe("2");
    expect(over.headers.get("ratelimit-reset")).toBe(String(untilMidnight));
    // What is not taken uses nothing up.
    const invalid = await post(
      millrace,
      "/event",
      event("spared", { count: 0.5 }),
      bearer(holders.sparing.key),
    );
    expect(invalid.status).toBe(400);
    expect(await by(2)).toMatchObject({ status: 200 });
    expect(await by(1)).toMatchObject({ status: 429, body: { code: "QUOTA_EXCEEDED" } });
    await expect.poll(() => seen("spared"), PATIENCE).toBe(5);
  });

  test("refuses a revoked key within seconds while requests go on, and loses no event that it took", async () => {
    let taken = 0;
    let others = 0;
    let refusal: Answer | undefined;
    let refusedAt: number | undefined;
    let revokedAt = Number.POSITIVE_INFINITY;
    const sending = async (): Promise<void> => {
      while (refusedAt === undefined) {
        const answer = await post(millrace, "/event", event("leaving"), bearer(holders.leaver.key));
        if (answer.status === 200) {
          taken += 1;
        } else {
          refusal = answer;
          refusedAt = performance.now();
        }
        const other = await post(millrace, "/event", event("staying"), bearer(holders.writer.key));
        expect(other.status).toBe(200);
        others += 1;
      }
    };
    const senders = Promise.all([sending(), sending()]);
    await expect.poll(() => taken, PATIENCE).toBeGreaterThan(5);
    revokedAt = performance.now();
    await openKeyFile(file).change((keys) => revokeKey(keys, "leaver"));
    await senders;
    expect(refusal?.body).toMatchObject({ code: "KEY_REFUSED", detail: "it is not known" });
    expect(refusedAt).toBeGreaterThan(revokedAt);
    await expect.poll(() => seen("leaving"), PATIENCE).toBe(taken);
    await expect.poll(() => seen("staying"), PATIENCE).toBe(others);
    expect(millrace.log()).toMatch(/"audit":true,.*"removed":\["leaver"\]/);
  });

  test("keeps the keys of before while the file is broken, and says so", async () => {
    const ready = async () => (await send("GET", `${millrace.adminUrl}/readyz`)).body;
    expect(await ready()).not.toHaveProperty("warnings");
    await writeFile(file, "{");
    await expect.poll(ready, PATIENCE).toMatchObject({
      status: "ok",
      warnings: { keys: expect.stringContaining("it is not JSON") },
    });
    expect(await post(millrace, "/event", event("broken"), bearer(holders.writer.key))).toMatchObject({
      status: 200,
    });
    await rm(file);
    await openKeyFile(file).change(() => stored);
    await expect.poll(ready, PATIENCE).not.toHaveProperty("warnings");
    expect(millrace.log()).toContain(
      "the file of keys cannot be read: those of before stay in force, mend it",
    );
  });

  test("opens nothing once its last key is revoked, and writes no key or hash to its log", async () => {
    await openKeyFile(file).change(() => []);
    const status = async () =>
      (await post(millrace, "/event", event("shut"), bearer(holders.writer.key))).status;
    await expect.poll(status, PATIENCE).toBe(403);
    expect((await post(millrace, "/event", event("shut"))).status).toBe(401);
    expect((await send("GET", `${millrace.queryUrl}/accounts`)).status).toBe(401);
    const log = millrace.log();
    expect(log).toMatch(/\S/);
    for (const { key, hash } of Object.values(holders)) {
      expect(log).not.toContain(key);
      expect(log).not.toContain(hash);
    }
  });
});

describe("a file of keys", { timeout: 90_000 }, () => {
  test("that cannot be read stops the start, with its name and its fault", async () => {
    const file = join(tmpdir(), "there-is-no-such-file.json");
    const started = startStandalone({ environment: { MILLRACE_KEYS_FILE: file }, readyTimeoutMs: 80_000 });
    await expect(started).rejects.toThrow(
      /The keys cannot be read or changed: .*there-is-no-such-file.*ENOENT/,
    );
  });

  test("leaves open what needs no key by its setting", async () => {
    const folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
    try {
      const file = join(folder, "keys.json");
      await openKeyFile(file).change(() => []);
      await using millrace = await startStandalone({
        environment: { MILLRACE_KEYS_FILE: file, MILLRACE_KEYS_REQUIRED_FOR: "admin,read" },
        readyTimeoutMs: 80_000,
      });
      expect(await post(millrace, "/event", event("open"))).toMatchObject({ status: 200 });
      expect((await send("GET", `${millrace.queryUrl}/dead-letters`)).status).toBe(401);
      expect((await send("GET", `${millrace.queryUrl}/accounts`)).status).toBe(401);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
