import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { event, expectCounted, post, send } from "./client.ts";

describe("a collector with CORS", () => {
  const page = "https://page.example";
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({
      environment: { MILLRACE_CORS_ORIGINS: `${page},http://localhost:8080` },
    });
  });
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  test.each(["/event", "/events"])(
    "lets a page of its origins ask first whether it may post to %s",
    async (path) => {
      const headers = {
        origin: page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, idempotency-key, authorization",
      };
      const answer = await send("OPTIONS", `${millrace.collectorUrl}${path}`, { headers });
      expect(answer.status).toBe(204);
      expect(answer.headers.get("access-control-allow-origin")).toBe(page);
      expect(answer.headers.get("access-control-allow-methods")).toContain("POST");
      const allowed = answer.headers.get("access-control-allow-headers") ?? "";
      for (const name of ["content-type", "idempotency-key", "authorization"])
        expect(allowed).toContain(name);
      expect(answer.headers.get("vary")).toMatch(/origin/i);
    },
  );

  test.each([
    ["a page of its origins", page, page],
    ["a page of its other origin", "http://localhost:8080", "http://localhost:8080"],
    ["another page", "https://evil.example", null],
    ["a page whose origin begins alike", `${page}.evil.example`, null],
    ["a page of another scheme", "http://page.example", null],
  ])("tells the browser of %s what it may read", async (_, origin, allowed) => {
    const answers = [
      await post(millrace, "/event", event("paged"), { origin }),
      await post(millrace, "/event", {}, { origin }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 400]);
    for (const { headers } of answers) expect(headers.get("access-control-allow-origin")).toBe(allowed);
  });

  test.each([
    ["/event", JSON.stringify(event("beacon-event")), "beacon-event", 1],
    ["/events", JSON.stringify([event("beacon-events"), event("beacon-events")]), "beacon-events", 2],
  ])("reads text/plain on %s, which is what a beacon sends", async (path, body, metric, events) => {
    const headers = { origin: page, "content-type": "text/plain;charset=UTF-8" };
    expect(await post(millrace, path, body, headers)).toMatchObject({ status: 200 });
    await expectCounted(millrace, metric, events);
  });

  test("judges text/plain like JSON", async () => {
    const headers = { "content-type": "text/plain" };
    expect(await post(millrace, "/event", "garbage", headers)).toMatchObject({ status: 400 });
    expect(await post(millrace, "/event", { username: 1 }, headers)).toMatchObject({ status: 400 });
  });

  test("has methods that are not allowed all the same", async () => {
    const answer = await send("DELETE", `${millrace.collectorUrl}/event`, { headers: { origin: page } });
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toContain("POST");
  });
});
