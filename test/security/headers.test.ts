import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { json } from "../collector/requests.ts";
import { type Answer, bytes, exchange, lines, request } from "../collector/wire.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";

describe("every answer", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    const environment = { MILLRACE_REQUEST_TIMEOUT_MS: "1500" };
    millrace = await startStandalone({ environment, readyTimeoutMs: 100_000 });
  }, 110_000);
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });
  const good = '{"username":"u","metric":"m","count":1}';
  const asked: readonly (readonly [port: "collector" | "query" | "admin", sent: Buffer, status: number])[] = [
    ["collector", request("POST /event", good, json), 200],
    ["collector", request("POST /events", `[${good},1]`, json), 200],
    ["collector", request("POST /events", "[1]", json), 400],
    ["collector", request("POST /event", "{", json), 400],
    ["collector", request("GET /event"), 405],
    ["collector", request("GET /debug/vars"), 200],
    ["collector", request("GET /openapi.json"), 200],
    ["collector", request("GET /%zz"), 400],
    ["collector", request("POST /event", good, { ...json, expect: "200-ok" }), 417],
    ["collector", request("POST /event", "", { ...json, "content-length": "9" }), 408],
    ["collector", bytes("garbage\r\n\r\n"), 400],
    ["collector", bytes(lines("GET / HTTP/1.1", "")), 400],
    ["collector", request("GET /debug/vars", "", { host: "evil.example" }), 421],
    ["query", request("GET /"), 200],
    ["query", request("GET /console/setup"), 200],
    ["query", request("GET /console/nothing"), 404],
    ["query", request("GET /docs"), 200],
    ["query", request("GET /accounts"), 200],
    ["query", request("GET /accounts/nobody"), 404],
    ["query", request("GET /accounts?limit=0"), 400],
    ["query", request("GET /metrics/hourly_logs/total"), 200],
    ["query", request("GET /metrics/hourly_logs/per_user"), 200],
    ["query", request("GET /metrics/distinct_names"), 200],
    ["query", request("GET /dead-letters"), 200],
    ["query", request("QUERY /accounts"), 405],
    ["admin", request("GET /metrics"), 200],
    ["admin", request("GET /readyz"), 200],
    ["admin", request("GET /nothing"), 404],
  ];
  const answerTo = async (port: "collector" | "query" | "admin", sent: Buffer): Promise<Answer> => {
    const [answer] = await exchange(millrace[`${port}Url`], sent, 1, "answered");
    if (answer === undefined) throw new Error("there is no answer");
    return answer;
  };
  const shown = asked.map(([port, sent, status]) => ({
    line: `${port} ${sent.toString().split("\r\n", 1)[0]}`,
    port,
    sent,
    status,
  }));

  test.each(shown)(
    "is not sniffed, and tells no program or version: $status to $line",
    async ({ port, sent, status }) => {
      const { status: got, headers } = await answerTo(port, sent);
      expect(got).toBe(status);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      for (const name of ["server", "x-powered-by", "via"]) expect(headers.has(name)).toBe(false);
    },
  );

  const personal = shown.filter(({ line }) =>
    /^query GET \/(accounts|metrics|dead-letters|console\/setup)/.test(line),
  );
  test.each(personal)(
    "that tells of people or of this moment is kept by no cache: $line",
    async ({ port, sent }) => {
      expect((await answerTo(port, sent)).headers.get("cache-control")).toBe("no-store");
    },
  );
});
