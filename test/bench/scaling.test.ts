import { describe, expect, test } from "vitest";
import { clairvoyant } from "./scaling/clairvoyant.ts";
import { dayOf } from "./scaling/day.ts";
import { drawnTraces } from "./scaling/drawn-traces.ts";
import { drawnLimits, failuresOf, knownLimits } from "./scaling/judge.ts";
import { keda, kedaDefaults, type KedaSettings } from "./scaling/keda.ts";
import { knownTraces } from "./scaling/known-traces.ts";
import { usualModel } from "./scaling/model.ts";
import type { PolicyFactory } from "./scaling/policy.ts";
import { kedaExpert, rivals } from "./scaling/rivals.ts";
import { simulate } from "./scaling/simulation.ts";
import { summariesOf } from "./scaling/summary.ts";
import { scalingTable } from "./scaling/table.ts";
import { traceOf } from "./scaling/trace.ts";
import { millraceEvery } from "./scaling-policy.ts";

const always = (replicas: number): PolicyFactory => {
  return () => ({ name: `always ${replicas}`, decide: () => replicas });
};
const short = traceOf({ name: "short", seed: 3, durationSeconds: 300 }, (second) =>
  second < 150 ? 40 : 120,
);

describe("the simulated day", () => {
  test.for([...rivals, millraceEvery(2)].map((policy) => [policy] as const))(
    "is the same for the same seed and another for another, with policy %#",
    ([policy]) => {
      const first = simulate(dayOf(short, 0), policy);
      expect(simulate(dayOf(short, 0), policy)).toEqual(first);
      expect(simulate(dayOf(short, 1), policy).messages).not.toBe(first.messages);
    },
  );

  test.for(knownTraces.map((trace) => [trace.name, trace] as const))(
    "brings the same messages to every policy, and loses none: %s",
    ([, trace]) => {
      const day = dayOf(trace, 0);
      const most = simulate(day, always(usualModel.maxReplicas));
      const none = simulate({ ...day, model: { ...day.model, tailSeconds: 1 } }, always(0));
      expect(most.messages).toBe(day.messages);
      expect(none.messages).toBe(day.messages);
      expect(most.undone).toBe(0);
      expect(none.undone).toBeGreaterThan(0);
      expect(none.missed).toBeGreaterThanOrEqual(none.undone);
    },
  );

  test.for(knownTraces.map((trace) => [trace.name, trace] as const))(
    "costs a clairvoyant no less than the work, and the largest fleet more: %s",
    ([, trace]) => {
      const day = dayOf(trace, 0);
      const least = clairvoyant(day);
      expect(least.feasible).toBe(true);
      expect(least.work).toBeGreaterThan(day.messages / (usualModel.serviceRate * 1.6));
      expect(least.replicaSeconds).toBeGreaterThanOrEqual(least.work);
      expect(simulate(day, always(usualModel.maxReplicas)).replicaSeconds).toBeGreaterThan(
        least.replicaSeconds,
      );
    },
  );

  test("costs a clairvoyant the start of what a step needs", () => {
    const flat = traceOf({ name: "flat", seed: 3, durationSeconds: 300 }, () => 80);
    const step = traceOf({ name: "step", seed: 3, durationSeconds: 300 }, (second) =>
      second < 150 ? 0 : 160,
    );
    const starts = ({ replicaSeconds, work }: ReturnType<typeof clairvoyant>) => replicaSeconds - work;
    expect(starts(clairvoyant(dayOf(flat, 0)))).toBeLessThan(10);
    // About 14.5 replicas, 160 messages a second over 165 s, start for 9.5 s each.
    expect(starts(clairvoyant(dayOf(step, 0)))).toBeGreaterThan(90);
  });

  test("gives the messages of a removed worker to the others", () => {
    const run = simulate(dayOf(short, 0), () => ({
      name: "less",
      decide: ({ time }) => (time < 200 ? 12 : 4),
    }));
    expect(run.redelivered).toBeGreaterThan(0);
    expect(run.undone).toBe(0);
  });

  test("drawn by chance is one that can be mastered, and the same for the same seed", () => {
    const traces = drawnTraces(7, 6);
    expect(drawnTraces(7, 6).map(({ perSecond }) => perSecond)).toEqual(
      traces.map(({ perSecond }) => perSecond),
    );
    expect(drawnTraces(8, 1)[0]?.perSecond).not.toEqual(traces[0]?.perSecond);
    for (const trace of traces) expect(clairvoyant(dayOf(trace, 0)).feasible).toBe(true);
  });
});

/** Each change of the number of replicas that KEDA makes, as [second, replicas], with a queue that is always so deep. */
function driven(
  settings: Partial<KedaSettings>,
  start: number,
  seconds: number,
  depthAt: (second: number) => number,
): readonly (readonly [number, number])[] {
  const policy = keda({ ...kedaDefaults, queueLength: 100, ...settings })({
    sloSeconds: 30,
    minReplicas: 0,
    maxReplicas: 60,
    prefetch: 20,
    hintServiceRate: 10,
  });
  const changes: [number, number][] = [];
  let replicas = start;
  for (let time = 0; time < seconds; time++) {
    const depth = depthAt(time);
    const wanted = policy.decide({
      time,
      sampleTime: time,
      available: depth >= 0,
      ready: Math.max(0, depth),
      unacked: 0,
      arrivalTotal: 0,
      deliveredTotal: 0,
      ackedTotal: 0,
      redeliveredTotal: 0,
      replicasCurrent: replicas,
      replicasReady: replicas,
    });
    if (wanted === null) continue;
    replicas = wanted;
    changes.push([time, replicas]);
  }
  return changes;
}

describe("the model of KEDA", () => {
  test("adds the larger of double and four replicas within 15 s", () => {
    expect(driven({}, 3, 60, () => 1000)).toEqual([
      [7, 7],
      [22, 10],
    ]);
  });
  test("moves nothing within a tolerance of a tenth", () => {
    expect(driven({}, 10, 400, () => 1090)).toEqual([]);
  });
  test("goes down to the largest wish of the window", () => {
    expect(driven({}, 10, 400, (second) => (second < 50 ? 1000 : 450))).toEqual([[352, 5]]);
  });
  test("takes the last replica after the cooldown", () => {
    expect(driven({ scaleDownWindow: 60 }, 10, 400, (second) => (second < 50 ? 1000 : 0))).toEqual([
      [112, 1],
      [333, 0],
    ]);
  });
  test("wakes at its polling interval", () => {
    expect(driven({}, 0, 100, (second) => (second < 10 ? 0 : 5))).toEqual([[33, 1]]);
  });
  test("stays while there are no figures", () => {
    expect(driven({ scaleDownWindow: 0 }, 10, 900, () => -1)).toEqual([]);
  });
});

describe("the judge", () => {
  const run = simulate(dayOf(short, 0), millraceEvery(2));
  const rival = simulate(dayOf(short, 0), kedaExpert);
  const trial = { policy: "Millrace", rivals: [rival.policy], objectiveSeconds: 30, limits: knownLimits };
  const verdict = (changed: Partial<typeof run>, other: Partial<typeof run> = {}) =>
    failuresOf({
      ...trial,
      summaries: summariesOf([
        { ...run, ...changed },
        { ...rival, ...other },
      ]),
    });

  test.for([
    ["misses", { missed: 100 }, {}, "of messages over the objective"],
    ["cost", { replicaSeconds: 1e6 }, {}, "cost"],
    ["a long wait of many", { p99: 12.5 }, {}, "mean p99"],
    ["a longer wait on one trace", { p99: 22 }, {}, "short: p99"],
    ["restlessness", { directionChanges: 19 }, {}, "direction changes"],
    ["more misses than a rival", { missed: 100 }, { missed: 0 }, "more misses than KEDA, expert"],
    [
      "more cost than a rival",
      {},
      { missed: 0, replicaSeconds: 1 },
      "more replica-seconds than KEDA, expert",
    ],
  ] as const)("fails for %s", ([, changed, other, failure]) => {
    const failures = verdict(changed, { missed: 400, ...other });
    expect(failures.join("; ")).toContain(failure);
  });
  test("passes what keeps all limits", () => {
    expect(verdict({}, { missed: 400 })).toEqual([]);
  });
  test("does not blame a drawn trace for being restless", () => {
    const summaries = summariesOf([{ ...run, directionChanges: 40, p99: 15 }]);
    expect(failuresOf({ ...trial, summaries, limits: drawnLimits })).toEqual([]);
  });
  test("knows when there is nothing to judge", () => {
    expect(failuresOf({ ...trial, summaries: summariesOf([]) })).toEqual(["no result of Millrace"]);
  });
});

test("a table has a line for each policy, with what it missed and cost", () => {
  const run = {
    ...simulate(dayOf(short, 0), always(20)),
    missed: 0,
    leastReplicaSeconds: 1,
    replicaSeconds: 2,
  };
  const [head, rule, line] = scalingTable(summariesOf([run]).perPolicy, "policy").split("\n");
  expect(head?.split("|").map((cell) => cell.trim())).toEqual([
    "",
    "policy",
    "misses %",
    "p50 s",
    "p99 s",
    "max s",
    "cost",
    "direction changes",
    "",
  ]);
  expect(rule).toMatch(/^\|-+\|(-+:\|)+$/);
  expect(line).toMatch(/^\| always 20 +\| +0\.00 \| +[\d.]+ \| +[\d.]+ \| +\d+ \| +2\.00 \| +0 \|$/);
});

describe("Millrace on the simulator", () => {
  test.for([
    ["a step", "stepUp10"],
    ["a store that gets slow", "slowDatabase"],
    ["a broker that cannot be asked", "blindRamp"],
    ["waking up", "rampZero"],
  ] as const)("keeps the objective through %s, at less than 1.45 of a clairvoyant's cost", ([, name]) => {
    const trace = knownTraces.find((one) => one.name === name);
    if (trace === undefined) throw new Error(`no trace ${name}`);
    const day = dayOf(trace, 77);
    const run = simulate(day, millraceEvery(2));
    expect(run.missed).toBe(0);
    expect(run.replicaSeconds).toBeLessThan(run.leastReplicaSeconds * 1.45);
  });
});
