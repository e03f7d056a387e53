import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import type { Report } from "../../load/report.ts";
import { KITE_CALL, KODINGBOT } from "../../load/tally.ts";
import { startStandalone } from "../flow/standalone.ts";
import { command } from "../parts/command.ts";
import { type Load, pythonOrSkip, startLoad } from "./command.ts";
import { type Fate, startRelay } from "./relay.ts";

const python = await pythonOrSkip();
const TIMEOUT_MS = 240_000;
const START_MS = 60_000;
const few = ["--headless", "--users", "6", "--spawn-rate", "6", "--time", "6s", "--pause", "0.2"];

describe.skipIf(python === undefined)("npm run load", { timeout: TIMEOUT_MS }, () => {
  test("starts a standalone, counts every event of every form, and stops what it has started", async () => {
    await using load = await startLoad(...few, "--shape", "mixed");
    await expectCode(load, 0);
    const report = await load.report();
    expectExact(report);
    expect(report.lines.map(({ name }) => name)).toEqual([
      "CloudEvent, binary",
      "CloudEvent, structured",
      "CloudEvents, batch",
      "batch, JSON, gzip",
      "batch, NDJSON",
      "event",
    ]);
    const [, address = ""] = /the console are at (\S+)/.exec(load.output()) ?? [];
    await expect(fetch(`${address}/accounts`)).rejects.toThrow("fetch failed");
  });

  test("repeats what was told to wait and what was not answered, and all is counted once", async () => {
    await using standalone = await startStandalone({ readyTimeoutMs: START_MS });
    // Others have sent events of the account before.
    await post(standalone.collectorUrl, [event(3), event(5)]);
    await using relay = await startRelay(standalone.collectorUrl, ["pass", "wait", "hangUp", "pass", "pass"]);
    await using load = await startLoad(...few, "--shape", "mixed", ...at(relay.url, standalone.queryUrl));
    await expectCode(load, 0);
    const report = await load.report();
    expectExact(report);
    const { wait, hangUp } = relay.counts;
    expect(Math.min(wait, hangUp)).toBeGreaterThan(0);
    // A machine with much else to do may add some.
    expect(report.retried.toldToWait).toBeGreaterThanOrEqual(wait);
    expect(report.retried.noAnswer).toBeGreaterThanOrEqual(hangUp);
  });

  test.for([
    ["an acknowledged event that is not there", "swallow", "acknowledged", -1],
    ["an event that is counted twice", "double", "acknowledged", 1],
  ] as const)("fails for %s", async ([, fate, word, sign]) => {
    await using standalone = await startStandalone({ readyTimeoutMs: START_MS });
    const fates: [Fate, ...Fate[]] = ["pass", ...Array.from<Fate>({ length: 19 }).fill("pass"), fate];
    await using relay = await startRelay(standalone.collectorUrl, fates);
    await using load = await startLoad(...few, "--patience", "2", ...at(relay.url, standalone.queryUrl));
    await expectCode(load, 1);
    const { counted, off, failures, acknowledged } = await load.report();
    expect(failures).toEqual([]);
    expect(off.join("\n")).toContain(word);
    const days = counted.find(({ view }) => view === "distinctName")?.counted ?? 0;
    expect(relay.counts[fate]).toBeGreaterThan(0);
    expect(Math.sign(days - acknowledged)).toBe(sign);
    expect(load.output()).toContain("verdict: FAILED");
  });

  test("fails for an answer that no collector gives, though all is counted in the end", async () => {
    await using standalone = await startStandalone({ readyTimeoutMs: START_MS });
    await using relay = await startRelay(standalone.collectorUrl, ["pass", "pass", "pass", "broken"]);
    await using load = await startLoad(...few, ...at(relay.url, standalone.queryUrl));
    await expectCode(load, 1);
    const report = await load.report();
    expect(report.off).toEqual([]);
    expect(report.failures).toEqual([`${relay.counts.broken} times event: no answer: 500: broken`]);
  });

  test("a Ctrl-C stops the users, and what they sent until then is checked", async () => {
    await using load = await startLoad("--headless", "--users", "6", "--spawn-rate", "6", "--pause", "0.2");
    await expect.poll(() => load.output(), { timeout: 90_000 }).toMatch(/acknowledged [1-9]/);
    load.interrupt();
    await expectCode(load, 0);
    expectExact(await load.report());
  });

  test("says what to do where nothing answers", async () => {
    await using load = await startLoad(...few, ...at("http://127.0.0.1:1", "http://127.0.0.1:1"));
    await expectCode(load, 1);
    expect(load.output()).toContain("the collector does not answer at http://127.0.0.1:1/event");
  });

  test("its rules for answers and bursts hold", async () => {
    const folder = resolve(import.meta.dirname, "../../load");
    const words = ["-B", "-m", "unittest", "discover", "--start-directory", import.meta.dirname];
    const environment = { ...process.env, PYTHONPATH: folder };
    const run = command(python ?? "", [...words, "--pattern", "rules.py"], { environment });
    await expect(run).resolves.toBe("");
  });
});

async function expectCode(load: Load, code: number): Promise<void> {
  const exit = await load.exited;
  if (exit.code !== code) throw new Error(`it ended with ${JSON.stringify(exit)}:\n${load.output()}`);
}

function expectExact(report: Report): void {
  expect(report.failures).toEqual([]);
  expect(report.off).toEqual([]);
  expect(report.left).toEqual([]);
  expect(report.acknowledged).toBeGreaterThan(20);
  const [accounts, ...views] = report.counted;
  expect(accounts?.counted).toBe(accounts?.acknowledged);
  expect(views.map(({ counted }) => counted)).toEqual(views.map(() => report.acknowledged));
}

const at = (url: string, queryUrl: string): string[] => ["--url", url, "--query-url", queryUrl];
const event = (count: number) => ({ username: KODINGBOT, metric: KITE_CALL, count });

async function post(collectorUrl: string, events: readonly object[]): Promise<void> {
  const answer = await fetch(`${collectorUrl}/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(events),
  });
  expect(answer.status).toBe(200);
}
