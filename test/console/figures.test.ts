import { describe, expect, test } from "vitest";
import { decisionsOf, type Observed, snapshotOf } from "../../src/console/figures.ts";
import { samplesIn } from "../../src/console/prometheus-text.ts";
import type { Reading } from "../../src/console/reading.ts";

const everything = { has: () => true } as unknown as ReadonlySet<string>;
const reading = (atMs: number, text: string): Reading => ({
  atMs,
  samples: samplesIn(text, everything),
  decisions: undefined,
});
function seen(
  role: string,
  before: string | undefined,
  now: string,
  extra: Partial<Observed> = {},
): Observed {
  return {
    role,
    host: `mill-${role}-admin`,
    address: "10.0.0.1:9090",
    fault: undefined,
    before: before === undefined ? undefined : reading(1000, before),
    reading: reading(3000, now),
    ...extra,
  };
}
const dead = (role: string): Observed =>
  seen(role, undefined, "", { fault: "no answer within 2000 ms", reading: undefined });

const events = (accepted: number, start = 1) =>
  `process_start_time_seconds ${start}\nmillrace_events_total{outcome="accepted"} ${accepted}\nmillrace_events_total{outcome="rejected"} 0`;
const accepted = (...processes: Observed[]) => snapshotOf(5, processes).events;

describe("events in a second", () => {
  test("are those between two readings of a process, over the time between them", () => {
    expect(accepted(seen("collector", events(10), events(30)))).toMatchObject({
      acceptedPerSecond: 10,
      rejectedPerSecond: 0,
      failedPerSecond: null,
      acceptedTotal: 30,
    });
  });
  test("are summed over all collectors", () => {
    const both = [seen("collector", events(10), events(30)), seen("collector", events(0), events(4))];
    expect(accepted(...both)).toMatchObject({ acceptedPerSecond: 12, acceptedTotal: 34 });
  });
  test("are not known of a process that was read once", () => {
    expect(accepted(seen("collector", undefined, events(30)))).toMatchObject({ acceptedPerSecond: null });
  });
  test("are never negative: a process that was started again counts from its second reading on", () => {
    const others = seen("collector", events(0), events(4));
    expect(accepted(seen("collector", events(1000), events(3)), others).acceptedPerSecond).toBe(2);
    expect(accepted(seen("collector", events(10, 1), events(1000, 2)), others).acceptedPerSecond).toBe(2);
    expect(accepted(seen("collector", events(10, 1), events(1000, 2))).acceptedPerSecond).toBeNull();
  });
  test("are told by collectors alone, though every process has that metric", () => {
    expect(accepted(seen("query", events(10), events(30)))).toMatchObject({
      acceptedPerSecond: null,
      acceptedTotal: null,
    });
    expect(accepted(seen("standalone", events(10), events(30))).acceptedPerSecond).toBe(10);
  });
  test("of a process that cannot be read are left out, and it is named with its fault", () => {
    const { events: told, processes } = snapshotOf(5, [
      dead("collector"),
      seen("collector", events(0), events(2)),
    ]);
    expect(told.acceptedPerSecond).toBe(1);
    expect(processes).toEqual([
      { role: "collector", address: "10.0.0.1:9090", fault: "no answer within 2000 ms" },
      { role: "collector", address: "10.0.0.1:9090", fault: null },
    ]);
  });
});

const queueText = (ready: number, age: number, objective = 30) => `
millrace_queue_messages{queue="hourlyLog",state="ready"} ${ready}
millrace_queue_messages{queue="hourlyLog",state="unsettled"} 2
millrace_queue_messages{queue="hourlyLog",state="dead"} 1
millrace_queue_messages{queue="accountName",state="ready"} 99
millrace_oldest_delivery_age_seconds{queue="hourlyLog"} ${age}
millrace_wait_objective_seconds{queue="hourlyLog"} ${objective}
`;
const hourly = (...processes: Observed[]) => snapshotOf(5, processes).queues.hourlyLog;

describe("a queue", () => {
  test("that several processes tell of is as the one that tells most", () => {
    expect(
      hourly(seen("hourlyLog", "", queueText(7, 1)), seen("collector", "", queueText(9, 0))),
    ).toMatchObject({ ready: 9, unsettled: 2, deadLetters: 1, workers: 1 });
  });
  test("waits as long as the oldest message of any worker", () => {
    expect(
      hourly(seen("hourlyLog", "", queueText(7, 1.5)), seen("hourlyLog", "", queueText(7, 4))),
    ).toMatchObject({ oldestWaitSeconds: 4, objectiveSeconds: 30, workers: 2 });
  });
  test("of which nobody tells has no figures, not zeros", () => {
    expect(hourly(dead("hourlyLog"))).toEqual({
      ready: null,
      unsettled: null,
      deadLetters: null,
      storedPerSecond: null,
      oldestWaitSeconds: null,
      objectiveSeconds: null,
      workers: 0,
      scaler: null,
    });
  });
  test("is no figure where a process tells one that JSON does not have", () => {
    expect(hourly(seen("hourlyLog", "", queueText(Number.NaN, Number.NaN)))).toMatchObject({
      ready: null,
      oldestWaitSeconds: null,
    });
  });
});

const scaler = (name: string, maximum: number, namespace = "a") =>
  [
    "desired_replicas 3",
    "max_replicas MAX",
    "min_replicas 0",
    "limited 1",
    "bottleneck 0",
    "objective_seconds 20",
  ]
    .map((line) => line.replace("MAX", String(maximum)).split(" "))
    .map(
      ([metric, figure]) => `millrace_scaler_${metric}{namespace="${namespace}",scaler="${name}"} ${figure}`,
    )
    .join("\n");
const operator = (leading: 0 | 1, ...scalers: string[]) =>
  seen("operator", undefined, [`millrace_operator_leading ${leading}`, ...scalers].join("\n"));

describe("the scaler of a queue", () => {
  test.for([
    ["mill-worker-hourly-log", 4],
    ["hourly-log", 4],
    ["hourlyLog", 4],
    ["mill-worker-distinct-name", null],
    ["nothourly-log", null],
  ] as const)("is found by its name: %s", ([name, maximum]) => {
    expect(hourly(operator(1, scaler(name, 4))).scaler?.maximum ?? null).toBe(maximum);
  });
  test("is as the operator that leads sees it", () => {
    const both = [operator(0, scaler("x-hourly-log", 9)), operator(1, scaler("x-hourly-log", 4))];
    expect(hourly(...both)).toMatchObject({
      // No worker tells one.
      objectiveSeconds: 20,
      scaler: { maximum: 4, minimum: 0, desired: 3, current: null, limited: true, bottleneck: false },
    });
    expect(hourly(operator(0, scaler("x-hourly-log", 9))).scaler).toBeNull();
  });
  test("is that of this installation where the operator works for several", () => {
    const several = operator(1, scaler("other-hourly-log", 9), scaler("mill-hourlyLog-worker-hourly-log", 4));
    const worker = seen("hourlyLog", "", "", { host: "mill-hourlyLog-worker-hourly-log-admin" });
    expect(hourly(several).scaler?.maximum).toBe(9);
    expect(hourly(several, worker).scaler?.maximum).toBe(4);
  });
});

test("the decisions are those of the operator that leads, and it is told why there are none", () => {
  const decision = {
    namespace: "a",
    scaler: "b",
    atMs: 1,
    reason: "OnTarget",
    message: "",
    desired: 1,
    current: 1,
  };
  const told = (leading: boolean): Observed => ({
    ...operator(1),
    reading: { ...reading(1, ""), decisions: { leading, scalers: [decision], changes: [] } },
  });
  const none = { scalers: [], changes: [] };
  expect(decisionsOf([told(false), told(true)], true)).toEqual({
    operator: "leading",
    scalers: [decision],
    changes: [],
  });
  expect(decisionsOf([told(false), dead("operator")], true)).toEqual({ operator: "unreachable", ...none });
  expect(decisionsOf([dead("collector")], false)).toEqual({ operator: "none", ...none });
});
