import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { accounts, distinctNames, eventsIn, hourlyPerUser, hourlyTotals } from "../flow/views.ts";
import { malformedBodies } from "./malformed-bodies.ts";
import { malformedContent, zeroMembers } from "./malformed-content.ts";
import { malformedHttp } from "./malformed-http.ts";
import { expectProblem } from "./problem.ts";
import { events, good, gzip, json, ok } from "./requests.ts";
import { exchange } from "./wire.ts";

let millrace: Standalone;
let startedSeconds: number;
/** Events that were answered 200: all that the views may show. */
let taken = 0;

beforeAll(async () => {
  millrace = await startStandalone({
    environment: { MILLRACE_REQUEST_TIMEOUT_MS: "1500", MILLRACE_BATCH_MAX_EVENTS: "100" },
  });
  startedSeconds = await processMetric("start_time_seconds");
});
afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
});

/** A figure of the process behind the ports; the time of its start tells it from every other. */
async function processMetric(name: string): Promise<number> {
  const text = await (await fetch(`${millrace.adminUrl}/metrics`)).text();
  const found = new RegExp(String.raw`^\w*process_${name}\S* (\S+)$`, "m").exec(text)?.[1];
  if (found === undefined) throw new Error(`/metrics has no process_${name}`);
  return Number(found);
}

/** The process lives, and takes the next good event. */
async function expectAlive(): Promise<void> {
  const id = `good-${taken}`;
  const answer = await fetch(`${millrace.collectorUrl}/event`, {
    method: "POST",
    headers: json,
    body: JSON.stringify({ ...(JSON.parse(good) as object), id }),
  });
  expect({ status: answer.status, body: await answer.text() }).toEqual({ status: 200, body: "" });
  taken += 1;
  expect(() => process.kill(millrace.pid, 0)).not.toThrow();
}

describe.each([...malformedBodies, ...malformedContent, ...malformedHttp])("$title", ({ rows }) => {
  const table = rows.map(([name, sent, statuses, end]) => ({ name, sent, statuses, end }));
  test.each(table)("$name", async ({ sent, statuses, end = "answered" }) => {
    const expected = [statuses].flat();
    const answers = await exchange(millrace.collectorUrl, sent, expected.length, end);
    // What comes after a refusal on the same connection may be cut off.
    const least = expected.findIndex((status) => status !== 200) + 1;
    const seen = answers.map(({ status }) => status);
    expect(seen).toEqual(expected.slice(0, Math.max(least, seen.length)));
    taken += seen.filter((status) => status === 200).length;
    answers.filter(({ status }) => status !== 200).forEach(expectProblem);
    await expectAlive();
  });
});

test("twenty gibibytes of zeros as gzip, in parallel, cost no memory", async () => {
  const beforeBytes = await processMetric("resident_memory_bytes");
  const bomb = events(zeroMembers, gzip);
  const answers = (
    await Promise.all(Array.from({ length: 20 }, () => exchange(millrace.collectorUrl, bomb, 1, "answered")))
  ).flat();
  // 503 to those for whom there is no room at this moment.
  for (const answer of answers) {
    expect([413, 503]).toContain(answer.status);
    expectProblem(answer);
  }
  expect(answers.filter(({ status }) => status === 413).length).toBeGreaterThan(0);
  expect((await processMetric("resident_memory_bytes")) - beforeBytes).toBeLessThan(256 * 2 ** 20);
  await expectAlive();
});

test("a hundred connections that are cut in the middle of a body leave room for the next", async () => {
  const cut = events(`[${ok}`, { "content-length": "1000000" });
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => exchange(millrace.collectorUrl, cut, 1, "reset")),
  );
  expect(answers.flat()).toEqual([]);
  await expectAlive();
});

test("after all this the views show the good events and nothing else, in the process that was started", async () => {
  await expectAlive();
  const one = { minimum: 1, maximum: 1, average: 1, count: taken };
  await expect
    .poll(async () => eventsIn(await hourlyTotals(millrace.queryUrl)), { timeout: 20_000 })
    .toBeGreaterThanOrEqual(taken);
  await expect
    .poll(async () => eventsIn(await distinctNames(millrace.queryUrl)), { timeout: 20_000 })
    .toBeGreaterThanOrEqual(taken);
  expect(await hourlyTotals(millrace.queryUrl)).toEqual([{ metric: "alive", ...one }]);
  expect(await Array.fromAsync(hourlyPerUser(millrace.queryUrl))).toEqual([
    { username: "good", metric: "alive", ...one },
  ]);
  const days = await distinctNames(millrace.queryUrl);
  expect(new Set(days.map(({ metric }) => metric))).toEqual(new Set(["alive"]));
  expect(eventsIn(days)).toBe(taken);
  const seen = await Array.fromAsync(accounts(millrace.queryUrl));
  expect(seen.map(({ username }) => username)).toEqual(["good"]);
  expect(await processMetric("start_time_seconds")).toBe(startedSeconds);
});
