import { afterAll, beforeAll, describe, expect } from "vitest";
import { event, expectCounted, type Headers, json, send } from "../collector/client.ts";
import { expectProblem } from "../collector/problem.ts";
import { exchange, request } from "../collector/wire.ts";
import { openBroker, rubbish } from "../commands/work-off.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { tryAttack } from "./try.ts";

describe("on a standalone", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({ readyTimeoutMs: 100_000 });
    await using broker = openBroker(millrace.dataDir);
    await broker.publish(rubbish("text/csv", "secret"));
  }, 110_000);
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });
  const body = JSON.stringify(event("forged"));
  const replay = JSON.stringify({ queue: "hourlyLog", ids: ["1"] });
  const reads = [
    "/",
    "/console/setup",
    "/console/live",
    "/console/uplot.js",
    "/dead-letters",
    "/accounts",
    "/accounts/u",
    "/metrics/hourly_logs/total",
    "/metrics/hourly_logs/per_user",
    "/metrics/distinct_names",
    "/docs",
    "/openapi.json",
    "/nothing",
  ];

  tryAttack("rebinding", async (answered) => {
    const requests: readonly (readonly [url: string, line: string, body?: string])[] = [
      ...reads.map((path) => [millrace.queryUrl, `GET ${path}`] as const),
      ...["/metrics", "/healthz", "/readyz", "/nothing"].map(
        (path) => [millrace.adminUrl, `GET ${path}`] as const,
      ),
      ...["/debug/vars", "/docs", "/openapi.json"].map(
        (path) => [millrace.collectorUrl, `GET ${path}`] as const,
      ),
      [millrace.collectorUrl, "POST /event", body],
      [millrace.collectorUrl, "POST /events", `[${body}]`],
      [millrace.collectorUrl, "OPTIONS /event"],
      [millrace.queryUrl, "POST /console/event", body],
      [millrace.queryUrl, "POST /dead-letters/replay", replay],
    ];
    for (const host of ["evil.example", "evil.example:3001", "localhost.evil.example", ""]) {
      for (const [url, line, sent = ""] of requests) {
        const headers = { ...json, host, origin: `http://${host}`, "sec-fetch-site": "same-origin" };
        const answers = await exchange(url, request(line, sent, headers), 1, "answered");
        expect({ line, host, answers: answers.length }).toEqual({ line, host, answers: 1 });
        for (const answer of answers) {
          answered(answer.status);
          expectProblem(answer);
          expect(answer.body).not.toContain("secret");
        }
      }
    }
    await expectCounted(millrace, "forged", 0);
  });

  tryAttack("crossSite", async (answered) => {
    const page: readonly Headers[] = [
      { "content-type": "application/x-www-form-urlencoded" },
      { "content-type": "text/plain;charset=UTF-8" },
      { "content-type": "multipart/form-data; boundary=b" },
      { ...json, origin: "http://evil.example" },
      { ...json, origin: "null" },
      { ...json, "sec-fetch-site": "cross-site" },
      { ...json, "sec-fetch-site": "same-site" },
    ];
    const before = await send("GET", `${millrace.queryUrl}/dead-letters`);
    for (const headers of page) {
      for (const [path, sent] of [
        ["/console/event", body],
        ["/dead-letters/replay", replay],
      ] as const) {
        const answer = await send("POST", `${millrace.queryUrl}${path}`, { headers, body: sent });
        answered(answer.status);
      }
    }
    expect((await send("GET", `${millrace.queryUrl}/dead-letters`)).text).toBe(before.text);
    await expectCounted(millrace, "forged", 0);
  });

  tryAttack("crossOrigin", async (answered) => {
    const origin = "https://evil.example";
    const texts = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"];
    for (const path of ["/event", "/events"]) {
      for (const type of texts) {
        const headers = { origin, "content-type": type, "sec-fetch-site": "cross-site" };
        const answer = await send("POST", `${millrace.collectorUrl}${path}`, { headers, body });
        answered(answer.status);
      }
      const asks = {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
      };
      const preflight = await send("OPTIONS", `${millrace.collectorUrl}${path}`, { headers: asks });
      answered(preflight.status);
      expect(
        Array.from(preflight.headers.keys()).filter((name) => name.startsWith("access-control")),
      ).toEqual([]);
    }
    for (const path of reads.filter(
      (one) => one !== "/console/live" && one !== "/accounts/u" && one !== "/nothing",
    )) {
      const { status, headers } = await send("GET", `${millrace.queryUrl}${path}`, { headers: { origin } });
      answered(status);
      expect(headers.has("access-control-allow-origin")).toBe(false);
    }
    await expectCounted(millrace, "forged", 0);
  });

  tryAttack("framing", async (answered) => {
    for (const [path, ancestors] of [
      ["/", "'none'"],
      ["/docs", "'self'"],
    ] as const) {
      const { status, headers } = await send("GET", `${millrace.queryUrl}${path}`);
      answered(status);
      const policy = headers.get("content-security-policy") ?? "";
      const directives = new Map(
        policy.split(";").map((one) => one.trim().split(/ (.*)/, 2) as [string, string]),
      );
      expect(directives.get("frame-ancestors")).toBe(ancestors);
      expect(directives.get("script-src") ?? directives.get("default-src")).toBe("'self'");
      expect(directives.get("object-src")).toBe("'none'");
      expect(headers.get("x-frame-options")).toMatch(/^(DENY|SAMEORIGIN)$/);
    }
  });
});
