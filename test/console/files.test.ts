import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { send } from "../collector/client.ts";
import { startStandalone } from "../flow/standalone.ts";
import { openConsole, type ServedConsole } from "./serve.ts";

describe("the files of the page", () => {
  let console: ServedConsole;
  beforeAll(async () => {
    console = await openConsole();
  });
  afterAll(async () => {
    await console?.[Symbol.asyncDispose]();
  });
  const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    send("GET", `${console.url}${path}`, { headers: { "accept-encoding": "identity", ...headers } });

  test.for([
    ["/", "text/html; charset=utf-8", "<!doctype html>"],
    ["/console/uplot.js", "text/javascript; charset=utf-8", "uPlot"],
    ["/console/uplot.css", "text/css; charset=utf-8", ".uplot"],
  ] as const)("%s is there as %s", async ([path, type, text]) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe(type);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.text).toContain(text);
  });

  test("are all there that the page names, and all that these import", async () => {
    const { text } = await get("/");
    const named = Array.from(
      text.matchAll(/(?:src|href)="\/?(console\/[^"]+)"/g),
      ([, path = ""]) => `/${path}`,
    );
    expect(named.length).toBeGreaterThan(1);
    const seen = new Set<string>();
    for (let path = named.pop(); path !== undefined; path = named.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const file = await get(path);
      expect([path, file.status]).toEqual([path, 200]);
      if (path === "/console/uplot.js") continue;
      for (const [, of = ""] of file.text.matchAll(/^(?:import|\}) .*?from "([^"]+)"/gm)) {
        named.push(new URL(of, `http://host${path}`).pathname);
      }
    }
    expect(seen.size).toBeGreaterThan(5);
  });

  test("may run and show nothing that comes from elsewhere or is written in the page", async () => {
    const policy = (await get("/")).headers.get("content-security-policy") ?? "";
    const directives = Object.fromEntries(policy.split(";").map((one) => one.trim().split(/ (.*)/, 2)));
    expect(directives).toEqual({
      "default-src": "'self'",
      "object-src": "'none'",
      "base-uri": "'none'",
      "form-action": "'self'",
      "frame-ancestors": "'none'",
    });
  });

  test("are sent again only when they have changed", async () => {
    const first = await get("/console/uplot.js");
    const etag = first.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[\w-]{20,}"$/);
    expect(first.headers.get("cache-control")).toBe("no-cache");
    expect(await get("/console/uplot.js", { "if-none-match": `"other", W/${etag}` })).toMatchObject({
      status: 304,
      text: "",
    });
    expect((await get("/console/uplot.js", { "if-none-match": '"other"' })).status).toBe(200);
  });

  test("are small on their way to who takes gzip", async () => {
    const plain = await get("/console/uplot.js");
    const answer = await fetch(`${console.url}/console/uplot.js`, { headers: { "accept-encoding": "gzip" } });
    expect(answer.headers.get("content-encoding")).toBe("gzip");
    expect(answer.headers.get("vary")).toBe("accept-encoding");
    expect(Number(answer.headers.get("content-length"))).toBeLessThan(plain.text.length / 2);
    expect(await answer.text()).toBe(plain.text);
  });

  test.for([
    "/console",
    "/console/index.html",
    "/console/tsconfig.json",
    "/console/uplot.d.ts",
    "/console/../package.json",
    "/console/..%2f..%2fconsole.ts",
    "/console/__proto__",
    "/console/none.js",
  ])("are all there is: %s is not", async (path) => {
    const answer = await get(path);
    expect(answer).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
  });

  test("are counted as one route, and the page as another", async () => {
    console.counted.splice(0);
    await get("/");
    await get("/console/uplot.css");
    await get("/console/uplot.js");
    await expect.poll(() => console.counted).toEqual(["/", "/console/{file}", "/console/{file}"]);
  });
});

test("with the console off, neither the page nor what it asks for is there, and / leads to the description", async () => {
  await using millrace = await startStandalone({
    environment: { MILLRACE_CONSOLE: "off" },
    readyTimeoutMs: 50_000,
  });
  const page = await fetch(millrace.queryUrl, { redirect: "manual" });
  expect([page.status, page.headers.get("location")]).toEqual([302, "/docs"]);
  for (const path of ["/console/setup", "/console/live", "/console/uplot.js", "/dead-letters"]) {
    expect((await send("GET", `${millrace.queryUrl}${path}`)).status).toBe(404);
  }
});
