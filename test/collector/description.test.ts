import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { post, send } from "./client.ts";

let millrace: Standalone;
beforeAll(async () => {
  millrace = await startStandalone();
});
afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
});

describe("describes itself:", () => {
  interface Media {
    readonly schema?: { readonly example?: unknown; readonly examples?: readonly unknown[] };
    readonly example?: unknown;
    readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
  }
  interface Operation {
    readonly summary?: string;
    readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
    readonly responses: Readonly<Record<string, { readonly description: string }>>;
  }
  interface OpenApi {
    readonly openapi: string;
    readonly info: { readonly title: string; readonly version: string };
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  }
  async function openApi(url: string): Promise<OpenApi> {
    const { status, headers, text } = await send("GET", `${url}/openapi.json`);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toMatch(/^application\/json/);
    return JSON.parse(text) as OpenApi;
  }
  function operationsOf(document: OpenApi): readonly (Operation & { readonly path: string })[] {
    return Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ ...operation, path })),
    );
  }
  /** Where OpenAPI 3.1 and JSON Schema put examples. */
  function examplesOf({ example, examples, schema }: Media): readonly unknown[] {
    const named = Object.values(examples ?? {}).map(({ value }) => value);
    return [...named, ...(schema?.examples ?? []), example, schema?.example].filter(
      (one) => one !== undefined,
    );
  }

  test.each([
    ["collectorUrl", ["/debug/vars", "/event", "/events"]],
    [
      "queryUrl",
      [
        "/accounts",
        "/accounts/{username}",
        "/console/event",
        "/console/live",
        "/console/setup",
        "/dead-letters",
        "/dead-letters/replay",
        "/metrics/distinct_names",
        "/metrics/hourly_logs/per_user",
        "/metrics/hourly_logs/total",
      ],
    ],
  ] as const)("%s/openapi.json is OpenAPI 3.1, with every route", async (url, paths) => {
    const document = await openApi(millrace[url]);
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({
      title: expect.stringMatching(/\S/),
      version: expect.stringMatching(/\S/),
    });
    expect(Object.keys(document.paths).toSorted()).toEqual(paths);
    for (const { summary, responses } of operationsOf(document)) {
      expect(summary).toMatch(/\S/);
      expect(Object.keys(responses)).toContain("200");
      for (const { description } of Object.values(responses)) expect(description).toMatch(/\S/);
    }
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
    for (const [, path = ""] of references) {
      const found = path
        .split("/")
        .reduce((at: unknown, key) => (at as Record<string, unknown>)?.[key], document);
      expect(found).toBeDefined();
    }
  });

  test("each example of a request, sent as it is, is taken", async () => {
    const document = await openApi(millrace.collectorUrl);
    let sent = 0;
    for (const { path, requestBody } of operationsOf(document)) {
      for (const [type, media] of Object.entries(requestBody?.content ?? {})) {
        const examples = examplesOf(media);
        expect(examples, `${type} of ${path}`).not.toEqual([]);
        for (const example of examples) {
          const answer = await post(millrace, path, example, { "content-type": type });
          expect({ path, type, status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
          expect(answer.body["rejected"] ?? 0).toBe(0);
          sent += 1;
        }
      }
    }
    expect(sent).toBeGreaterThanOrEqual(5);
  });

  test.each(["collectorUrl", "queryUrl"] as const)(
    "%s/docs is a page that may not be framed",
    async (url) => {
      const { status, headers, text } = await send("GET", `${millrace[url]}/docs`);
      expect(status).toBe(200);
      expect(headers.get("content-type")).toMatch(/^text\/html/);
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'self'");
      expect(text).toContain("<html");
    },
  );
});
