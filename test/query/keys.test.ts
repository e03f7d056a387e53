import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openKeyFile } from "../../src/adapters/embedded/key-file.ts";
import { newKey } from "../../src/commands/key.ts";
import { revokeKey } from "../../src/domain/key-changes.ts";
import { json, send } from "../collector/client.ts";
import { openBroker, rubbish } from "../commands/work-off.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";

const createdAt = "2026-11-30T12:00:00.000Z";
const views = [
  "/metrics/hourly_logs/total",
  "/metrics/hourly_logs/per_user",
  "/metrics/distinct_names",
  "/accounts/ann",
  "/accounts",
] as const;

describe("a query API with a file of keys", { timeout: 90_000 }, () => {
  const [writer, reader, admin, leaver] = [newKey(), newKey(), newKey(), newKey()];
  let folder: string;
  let file: string;
  let millrace: Standalone;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
    file = join(folder, "keys.json");
    await openKeyFile(file).change(() => [
      { name: "writer", hash: writer.hash, access: ["write"], createdAt },
      { name: "reader", hash: reader.hash, access: ["read"], createdAt, ratePerSecond: 50 },
      { name: "admin", hash: admin.hash, access: ["admin"], createdAt },
      { name: "leaver", hash: leaver.hash, access: ["read"], createdAt },
    ]);
    millrace = await startStandalone({
      // The audit log is written whatever lines are asked for.
      environment: { MILLRACE_KEYS_FILE: file, MILLRACE_LOG_LEVEL: "error" },
      readyTimeoutMs: 80_000,
    });
    await using broker = openBroker(millrace.dataDir);
    await broker.publish(rubbish("text/csv", "secret body"));
    await vi.waitUntil(async () => (await letters(admin.key)).text.includes("hourlyLog"), {
      timeout: 30_000,
      interval: 200,
    });
  }, 120_000);
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const withKey = (key: string | undefined) => (key === undefined ? {} : { authorization: `Bearer ${key}` });
  const get = (path: string, key?: string) =>
    send("GET", `${millrace.queryUrl}${path}`, { headers: withKey(key) });
  const letters = (key?: string) => get("/dead-letters", key);
  const replay = (ids: readonly string[], key?: string) =>
    send("POST", `${millrace.queryUrl}/dead-letters/replay`, {
      body: JSON.stringify({ queue: "accountName", ids }),
      headers: { ...json, ...withKey(key) },
    });
  const audit = (): readonly Record<string, unknown>[] =>
    millrace
      .log()
      .split("\n")
      .filter((line) => line.startsWith("{") && line.includes('"audit":true'))
      .map((line) => JSON.parse(line));

  test.for(views)("answers %s for a key that may read alone", async (path) => {
    const missing = await get(path);
    expect(missing).toMatchObject({ status: 401, body: { code: "KEY_MISSING", status: 401 } });
    expect(missing.headers.get("www-authenticate")).toBe("Bearer");
    expect(missing.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    for (const [key, detail] of [
      [newKey().key, "it is not known"],
      [writer.key, "its access is write; read is needed here"],
      [admin.key, "its access is admin; read is needed here"],
    ] as const) {
      expect(await get(path, key)).toMatchObject({ status: 403, body: { code: "KEY_REFUSED", detail } });
    }
    expect((await get(path, reader.key)).status).toBe(path === "/accounts/ann" ? 404 : 200);
  });

  test("shows the page, its set-up and the description without a key", async () => {
    for (const path of ["/", "/console/console.js", "/openapi.json"]) {
      expect((await get(path)).status).toBe(200);
    }
    expect((await get("/console/setup")).body).toMatchObject({ needsKeyFor: ["write", "read", "admin"] });
    const { body } = await get("/openapi.json");
    expect(body).toMatchObject({
      components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    });
    const guarded = [
      ...views.slice(0, 3),
      "/accounts/{username}",
      "/accounts",
      "/console/live",
      "/dead-letters",
    ];
    for (const path of guarded) {
      expect(body).toHaveProperty(["paths", path, "get", "security"], [{ key: [] }]);
    }
    expect(body).toHaveProperty(["paths", "/dead-letters/replay", "post", "security"], [{ key: [] }]);
    expect(body).not.toHaveProperty(["paths", "/console/setup", "get", "security"]);
  });

  test("bounds the requests of a key by its rate", async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => get("/accounts", reader.key)));
    const refused = answers.filter(({ status }) => status === 429);
    // The questions of the tests before may be of the same second.
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(50 - views.length);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ body: { code: "RATE_LIMITED" } });
    expect(refused[0]?.headers.get("ratelimit-limit")).toBe("50");
  });

  test("ends a stream of figures soon after its key is revoked, and opens none with it", async () => {
    expect((await fetch(`${millrace.queryUrl}/console/live`)).status).toBe(401);
    const stream = await fetch(`${millrace.queryUrl}/console/live`, { headers: withKey(leaver.key) });
    expect(stream.status).toBe(200);
    const told = stream.text();
    await openKeyFile(file).change((keys) => revokeKey(keys, "leaver"));
    expect(await told).toContain("event: snapshot");
    expect((await get("/console/live", leaver.key)).body).toMatchObject({ code: "KEY_REFUSED" });
  });

  test("lists and replays dead letters for an admin's key alone, each a line of the audit log", async () => {
    const before = audit().length;
    for (const key of [undefined, newKey().key]) {
      expect([(await letters(key)).status, (await replay(["1"], key)).status]).toEqual(
        key === undefined ? [401, 401] : [403, 403],
      );
    }
    expect(audit().length).toBe(before);
    expect([(await letters(reader.key)).status, (await replay(["1"], writer.key)).status]).toEqual([
      403, 403,
    ]);
    const { rows } = (await letters(admin.key)).body as unknown as { rows: { id: string; queue: string }[] };
    const id = rows.find(({ queue }) => queue === "accountName")?.id ?? "";
    expect(await replay([id, "999999"], admin.key)).toMatchObject({ status: 200, body: { replayed: 1 } });
    const common = { level: 30, audit: true, from: "127.0.0.1", time: expect.any(Number), msg: "audit" };
    const refused = { count: 0, ids: [], outcome: "refused", code: "KEY_REFUSED" };
    expect(audit().slice(before)).toEqual([
      { ...common, by: "key reader", action: "deadLetters.listed", ...refused },
      { ...common, by: "key writer", action: "deadLetters.replayed", ...refused },
      {
        ...common,
        by: "key admin",
        action: "deadLetters.listed",
        count: rows.length,
        ids: rows.map((row) => `${row.queue}:${row.id}`),
        outcome: "done",
      },
      {
        ...common,
        by: "key admin",
        action: "deadLetters.replayed",
        count: 2,
        ids: [`accountName:${id}`, "accountName:999999"],
        settled: 1,
        outcome: "done",
      },
    ]);
  });

  test("writes no key, no hash and no body to its log", async () => {
    await letters(admin.key);
    const log = millrace.log();
    expect(log).toContain("key admin");
    for (const { key, hash } of [writer, reader, admin, leaver]) {
      expect(log).not.toContain(key);
      expect(log).not.toContain(hash);
    }
    expect(log).not.toContain("secret body");
  });
});
