import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DecisionLog, QueueSnapshot, ScalerSnapshot, Snapshot } from "../../src/console/snapshot.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { noChromium, openChromium } from "../parts/chromium.ts";
import { START_MS } from "./open-page.ts";

const scaler: ScalerSnapshot = {
  desired: 5,
  current: 5,
  ready: 5,
  minimum: 1,
  maximum: 5,
  forecastWaitSeconds: 1,
  limited: false,
  bottleneck: false,
};
const calm: QueueSnapshot = {
  ready: 0,
  unsettled: 0,
  deadLetters: 0,
  storedPerSecond: 0,
  oldestWaitSeconds: 0,
  objectiveSeconds: 30,
  workers: 1,
  scaler: null,
};
interface World {
  readonly queue?: Partial<QueueSnapshot>;
  readonly scaler?: Partial<ScalerSnapshot>;
  readonly events?: Partial<Snapshot["events"]>;
  readonly fault?: string;
  readonly operator?: DecisionLog["operator"];
}
/** A calm system but for what is given, which is of the queue hourlyLog. */
function snapshotOf({ queue, scaler: ofScaler, events, fault }: World): Snapshot {
  const scaled = ofScaler === undefined ? null : { ...scaler, ...ofScaler };
  return {
    atMs: 1_000_000,
    events: { acceptedPerSecond: 1, rejectedPerSecond: 0, failedPerSecond: 0, acceptedTotal: 9, ...events },
    queues: { accountName: calm, distinctName: calm, hourlyLog: { ...calm, scaler: scaled, ...queue } },
    processes: [{ role: "collector", address: "10.0.0.3:9090", fault: fault ?? null }],
  };
}

describe.skipIf(noChromium())("the words of the console's page", () => {
  let millrace: Standalone;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    [millrace, browser] = await Promise.all([startStandalone({ readyTimeoutMs: START_MS }), openChromium()]);
    page = await browser.newPage();
    await page.goto(millrace.queryUrl);
  }, 2 * START_MS);
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });
  /** What a function of the page's own modules answers, in the browser. */
  const call = <T>(file: string, name: string, ...given: readonly unknown[]): Promise<T> =>
    page.evaluate<T>(
      `import("/console/${file}").then((module) => module.${name}(...${JSON.stringify(given)}))`,
    );

  test.for<[World, string[]]>([
    [{}, []],
    [{ queue: { oldestWaitSeconds: 41 } }, ["hourlyLog: oldest event waits 41 s, objective 30 s"]],
    [{ queue: { oldestWaitSeconds: 30 } }, []],
    [{ queue: { oldestWaitSeconds: null, objectiveSeconds: null } }, []],
    [{ queue: { deadLetters: 12 } }, ["hourlyLog: 12 dead letters"]],
    [{ queue: { deadLetters: 1 } }, ["hourlyLog: 1 dead letter"]],
    [{ queue: { deadLetters: null } }, []],
    [{ fault: "no answer in 2 s" }, ["collector 10.0.0.3:9090 cannot be read: no answer in 2 s"]],
    [{ queue: { workers: 0, ready: 3 } }, ["hourlyLog: no worker answers, and 3 messages wait"]],
    [{ queue: { workers: 0, ready: 3 }, scaler: { desired: 0 } }, []],
    [{ queue: { workers: 0 } }, []],
    [
      { events: { failedPerSecond: 2.5 } },
      ["2.5 events/s fail: they are not durable, and the client was told so"],
    ],
    [
      { events: { acceptedPerSecond: null, acceptedTotal: null } },
      ["No collector can be read: what comes in is not known."],
    ],
    [
      { scaler: { limited: true, forecastWaitSeconds: 80 } },
      ["hourlyLog: at its maximum of 5, and a message of now will wait 80 s, objective 30 s"],
    ],
    [{ scaler: { limited: true, forecastWaitSeconds: 3 } }, []],
    [
      { scaler: { bottleneck: true } },
      ["hourlyLog: more replicas bring no more throughput; look at what they share, the store"],
    ],
    [
      { operator: "unreachable" },
      ["No operator answers that leads: the numbers of replicas stay as they are."],
    ],
    [{ operator: "none" }, []],
    [
      { queue: { deadLetters: 2, oldestWaitSeconds: 31 }, fault: "refused" },
      [
        "hourlyLog: oldest event waits 31 s, objective 30 s",
        "collector 10.0.0.3:9090 cannot be read: refused",
        "hourlyLog: 2 dead letters",
      ],
    ],
  ])("of %j tell of the faults %j, the worst first", async ([world, words]) => {
    const log: DecisionLog = { operator: world.operator ?? "leading", scalers: [], changes: [] };
    const faults = await call<{ words: string }[]>("health.js", "faultsOf", snapshotOf(world), log);
    expect(faults.map((fault) => fault.words)).toEqual(words);
  });

  test.for<[World, string]>([
    [{}, "good"],
    [{ queue: { workers: 0, oldestWaitSeconds: null } }, "good"],
    [{ queue: { ready: 1, oldestWaitSeconds: null } }, "unknown"],
    [{ queue: { deadLetters: null } }, "unknown"],
    [{ queue: { ready: null, unsettled: null } }, "unknown"],
    [{ events: { acceptedTotal: null } }, "unknown"],
  ])("do not call %j well unless it is known to be: %s", async ([world, level]) => {
    expect(await call("health.js", "calmOf", snapshotOf(world))).toMatchObject({ level });
  });

  test.for<[number | null, string]>([
    [null, "–"],
    [0, "0"],
    [0.256, "0.26"],
    [0.001, "0"],
    [9.996, "10"],
    [12.34, "12.3"],
    [999.4, "999"],
    [999.6, "1 k"],
    [1234, "1.23 k"],
    [45_600_000, "45.6 M"],
    [-1500, "−1.5 k"],
    [Number.MAX_SAFE_INTEGER, "9.01 P"],
  ])("show the number %j as %s", async ([value, shown]) => {
    expect(await call("shown.js", "si", value)).toBe(shown);
  });

  test.for<[number | null, string]>([
    [null, "–"],
    [0, "0 s"],
    [0.0001, "1 ms"],
    [0.0123, "12 ms"],
    [0.9996, "1 s"],
    [1.24, "1.2 s"],
    [41.4, "41 s"],
    [119.4, "119 s"],
    [200, "3 min 20 s"],
    [7500, "2 h 5 min"],
    [273_600, "3 d 4 h"],
  ])("show the time span of %j s as %s", async ([seconds, shown]) => {
    expect(await call("shown.js", "span", seconds)).toBe(shown);
  });

  test.for<[boolean, number, number, string]>([
    [true, 0, 100_000, "connecting"],
    [true, 100_000, 104_000, "live"],
    [false, 100_000, 104_000, "reconnecting"],
    [true, 100_000, 105_001, "stale"],
    [false, 100_000, 105_001, "stale"],
  ])("call a connection that is open: %j, with figures of %i at %i, %s", async ([open, came, now, state]) => {
    expect(await call("live.js", "connectionOf", open, came, now)).toMatchObject({ state });
  });
});
