import { expect } from "vitest";
import type { Answer } from "./wire.ts";

/** RFC 9457, and what the server itself promises of each. */
export function expectProblem({ status, headers, body }: Answer): void {
  expect(headers.get("content-type")).toMatch(/^application\/problem\+json(; charset=utf-8)?$/);
  const problem = JSON.parse(body) as Record<string, unknown>;
  expect(problem).toMatchObject({ status });
  expect(URL.canParse(String(problem["type"]))).toBe(true);
  for (const text of [problem["title"], problem["code"]]) expect(text).toMatch(/^\S/);
  expect(problem["detail"] ?? "nothing to add").toMatch(/\S/);
  for (const one of (problem["errors"] ?? []) as unknown[]) {
    expect(one).toEqual({ pointer: expect.stringMatching(/^(\/|$)/), detail: expect.stringMatching(/\S/) });
  }
  expect(headers.get("allow") ?? "").toMatch(status === 405 ? /^[A-Z]+(, [A-Z]+)*$/ : /^$/);
}
