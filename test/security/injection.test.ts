import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, vi } from "vitest";
import { event, expectCounted, post, send } from "../collector/client.ts";
import { event as rawEvent } from "../collector/requests.ts";
import { bytes, exchange, lines, request } from "../collector/wire.ts";
import { openBroker, rubbish } from "../commands/work-off.ts";
import { childEnvironment, millraceBin, type Standalone, startStandalone } from "../flow/standalone.ts";
import { accounts, hourlyTotals } from "../flow/views.ts";
import { operatorQueries } from "./operator-queries.ts";
import { tryAttack } from "./try.ts";

describe("on a standalone", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({ readyTimeoutMs: 100_000 });
  }, 110_000);
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  tryAttack("replay", async (answered) => {
    const repeated: readonly (readonly [string, object, object])[] = [
      ["by id", { id: "replayed" }, {}],
      ["by key", {}, { "idempotency-key": "replayed" }],
    ];
    for (const [metric, more, headers] of repeated) {
      const sent = Array.from({ length: 50 }, () =>
        post(millrace, "/event", event(metric, more), { ...headers }),
      );
      for (const { status } of await Promise.all(sent)) answered(status);
      await expectCounted(millrace, metric, 1);
    }
  });

  tryAttack("queryOperators", async (answered) => {
    // So that there is something to find.
    await expectCounted(millrace, "none", 0);
    for (const path of operatorQueries) {
      const { status, text } = await send("GET", `${millrace.queryUrl}${path}`);
      answered(status);
      if (status === 200) expect({ path, text }).toEqual({ path, text: "[]" });
    }
    expect((await hourlyTotals(millrace.queryUrl)).length).toBeGreaterThan(0);
  });

  tryAttack("eventOperators", async (answered) => {
    const texts = [
      "$gt",
      "$where",
      "a.b",
      "$set.x",
      "'; DROP TABLE accounts; --",
      '" OR 1=1 --',
      "%",
      "*",
      "[object Object]",
    ];
    for (const text of texts) {
      answered((await post(millrace, "/event", { username: text, metric: text, count: 1 })).status);
      for (const field of ["username", "metric", "count", "id", "timestamp"]) {
        for (const operator of [{ $gt: "" }, { $ne: null }, { $where: "1" }, { [text]: text }, [text]]) {
          answered((await post(millrace, "/event", event("never", { [field]: operator }))).status);
        }
      }
    }
    for (const text of texts) await expectCounted(millrace, text, 1);
    const names = (await Array.fromAsync(accounts(millrace.queryUrl))).map(({ username }) => username);
    expect(names).toEqual(expect.arrayContaining(texts));
    await expectCounted(millrace, "never", 0);
  });

  tryAttack("prototypePollution", async (answered) => {
    const field = (name: string, value: string) =>
      `{"username":"u","metric":"never","count":1,"${name}":${value}}`;
    const bodies = [
      ...["__proto__", "constructor", "prototype"].flatMap((name) => [
        field(name, '{"polluted":true}'),
        field(name, '{"prototype":{"polluted":true}}'),
        field("timestamp", `{"${name}":{"polluted":true}}`),
      ]),
      '{"__proto__":{"username":"u","metric":"never","count":1}}',
    ];
    for (const body of bodies) {
      for (const [path, sent] of [
        ["/event", body],
        ["/events", `[${body}]`],
      ] as const) {
        answered((await post(millrace, path, sent)).status);
      }
    }
    for (const metric of ["__proto__", "constructor", "hasOwnProperty"]) {
      expect((await post(millrace, "/event", event(metric))).status).toBe(200);
      await expectCounted(millrace, metric, 1);
    }
    expect((await send("GET", `${millrace.collectorUrl}/debug/vars`)).text).not.toContain("polluted");
    await expectCounted(millrace, "never", 0);
  });

  tryAttack("unicode", async (answered) => {
    const names = [
      "\u00e9",
      "e\u0301",
      "ADMIN",
      "\uff21\uff24\uff2d\uff29\uff2e",
      "\u0430dmin",
      "admin\u200b",
      "\u202eadmin",
      "\ufb01",
      "fi",
      "\u0131",
      "i",
    ];
    for (const name of names)
      answered((await post(millrace, "/event", { username: name, metric: "unicode", count: 1 })).status);
    await expectCounted(millrace, "unicode", names.length);
    for (const name of names) {
      const answer = await send("GET", `${millrace.queryUrl}/accounts/${encodeURIComponent(name)}`);
      expect(answer.body).toMatchObject({ username: name });
    }
    const broken = ['"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"'].map((name) =>
      Buffer.from(`{"username":${name},"metric":"never","count":1}`),
    );
    const bad = ["ff", "c0af", "eda080", "f4908080", "e282"].map((hex) =>
      bytes('{"username":"', Buffer.from(hex, "hex"), '","metric":"never","count":1}'),
    );
    for (const body of [...broken, ...bad]) {
      const [answer] = await exchange(millrace.collectorUrl, rawEvent(body), 1, "answered");
      answered(answer?.status ?? 0);
    }
    await expectCounted(millrace, "never", 0);
  });
});

/** All that a terminal would act on, and a line that looks like one of ours. */
const acting = '\u001b[2J\u001b]0;title\u0007\u009b31m\u202e\u2028\r\n{"level":30,"msg":"forged"}\n\u0008';
const sign = (found: string): RegExp => new RegExp(found, "u");

tryAttack(
  "logInjection",
  async (answered) => {
    for (const format of ["json", "pretty"]) await tryLog(format, answered);
  },
  300_000,
);

async function tryLog(format: string, answered: (...statuses: readonly number[]) => void): Promise<void> {
  const environment = { MILLRACE_LOG_FORMAT: format, MILLRACE_LOG_LEVEL: "debug" };
  await using millrace = await startStandalone({ environment, readyTimeoutMs: 100_000 });
  await using broker = openBroker(millrace.dataDir);
  await broker.publish(rubbish(`text/csv${acting}`, acting));
  await broker.publish(
    rubbish("application/json", JSON.stringify({ username: `${acting}${"x".repeat(300)}`, metric: acting })),
  );
  const died = async () => {
    const { body } = await send("GET", `${millrace.queryUrl}/dead-letters`);
    return (body["rows"] as readonly unknown[]).length === 6;
  };
  await vi.waitUntil(died, { timeout: 30_000, interval: 200 });
  answered((await post(millrace, "/event", { username: acting.repeat(9), metric: "m", count: "x" })).status);
  const type = await exchange(
    millrace.collectorUrl,
    request("POST /event", "{}", { "content-type": "text/\u009b31m" }),
    1,
    "answered",
  );
  const broken = await exchange(
    millrace.collectorUrl,
    bytes(lines("GET / HTTP/1.1", "host: localhost", "x: \u001b[2J\rforged", "")),
    1,
    "answered",
  );
  answered(...[...type, ...broken].map(({ status }) => status));
  const list = await millraceSays(["dead-letters", "list"], millrace.dataDir);
  const ids = Array.from(list.matchAll(/^\w+:\S+/gm), ([id]) => id);
  expect(ids).toHaveLength(6);
  const show = await millraceSays(["dead-letters", "show", ...ids], millrace.dataDir);
  await millrace.stop();
  const log = millrace.log();
  expect(log).toMatch(/dead letter/);
  for (const text of [log, list, show])
    expect(text).not.toMatch(sign(String.raw`[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]`));
  // The log quotes nothing of a message.
  for (const text of [list, show]) expect(text).toContain("\\u001b[2J");
  // Each is on the line of what it is of; a body alone may have lines of its own.
  for (const text of [log, list]) expect(text).not.toMatch(/^\{"level":30,"msg":"forged"\}/m);
}

async function millraceSays(words: readonly string[], dataDir: string): Promise<string> {
  const env = childEnvironment({ MILLRACE_DATA_DIR: dataDir });
  return (await promisify(execFile)(process.execPath, [millraceBin, ...words], { env })).stdout;
}
