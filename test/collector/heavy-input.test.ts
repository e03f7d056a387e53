import { describe, expect, test } from "vitest";
import { startStandalone } from "../flow/standalone.ts";
import { expectProblem } from "./problem.ts";
import { good, json, nested, ok } from "./requests.ts";

const MIB = 2 ** 20;
const unknown = (size: number): string => {
  const added = Array.from({ length: size / 10 }, (_, field) => `,"${field.toString(36)}":1`);
  return `${ok.slice(0, -1)}${added.join("")}}`;
};
const list = (one: string, size: number): string =>
  `[${Array(Math.floor(size / (one.length + 1)) - 1)
    .fill(one)
    .join()}]`;

/** Within every limit on bytes, but far more in memory once parsed, or in the answer. Each has a process of its own. */
describe("a body that is short but heavy does not end the process:", () => {
  test.each([
    ["an event full of unknown fields", "/event", unknown(64 * 1024), 400],
    ["a batch of an event full of unknown fields", "/events", `[${unknown(4 * MIB)}]`, 413],
    ["a batch of events full of unknown fields", "/events", list(unknown(1000), 4 * MIB), 413],
    ["a batch of empty objects", "/events", list("{}", 5 * MIB), 413],
    ["a batch of empty arrays", "/events", list("[]", 5 * MIB), 413],
    ["a batch of arrays in each other", "/events", nested(2 * MIB), 413],
    ["a batch of brackets", "/events", "[".repeat(4 * MIB), 413],
    [
      "a batch of objects in each other",
      "/events",
      `[${'{"a":'.repeat(MIB / 2)}1${"}".repeat(MIB / 2)}]`,
      413,
    ],
    ["a batch of short texts", "/events", list('"a"', 4 * MIB), 413],
    ["a batch of fractions", "/events", list("1.5", 4 * MIB), 413],
  ])("%s", async (_name, path, body, status) => {
    await using standalone = await startStandalone();
    const post = (to: string, text: string): Promise<Response> =>
      fetch(`${standalone.collectorUrl}${to}`, { method: "POST", headers: json, body: text });
    const answer = await post(path, body).catch((error: unknown) => error);
    expect(answer).toBeInstanceOf(Response);
    const { headers } = answer as Response;
    const text = await (answer as Response).text();
    expectProblem({ status, headers: new Map(headers.entries()), body: text });
    expect({ status: (answer as Response).status }).toEqual({ status });
    // What names every fault must not be a way to make much of little.
    expect(text.length).toBeLessThan(Math.max(body.length, 4096));
    expect((await post("/event", good)).status).toBe(200);
  });
});
