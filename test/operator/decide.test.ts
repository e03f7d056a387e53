import { describe, expect, test } from "vitest";
import { decide, initialMemory, reasons, type ScalingSpec } from "../../operator/decide.ts";
import { Loop, usualFigures, usualSpec } from "./decide-cases.ts";

const perReplica = (messages: number) => (replicas: number) => replicas * messages;
const bounded = (min: number, max: number): ScalingSpec => ({ ...usualSpec, replicas: { min, max } });

/** The loop after a load that suits its replicas, so that all is known. */
function settled(spec: ScalingSpec, replicas: number): Loop {
  return new Loop(spec, { replicas, ready: 20 }).run({
    published: replicas * 9.5,
    done: perReplica(10),
    seconds: 60,
  });
}

describe("a decision says why", () => {
  test.for([
    ["Arrivals", settled(usualSpec, 2).run({ published: 80, done: perReplica(10), seconds: 20 })],
    [
      "Backlog",
      new Loop(usualSpec, { replicas: 2, ready: 3000 }).run({
        published: 5,
        done: perReplica(10),
        seconds: 5,
      }),
    ],
    ["Steady", settled(usualSpec, 2)],
    ["CoolingDown", settled(usualSpec, 4).run({ published: 10, done: perReplica(10), seconds: 10 })],
    [
      "Waking",
      new Loop(usualSpec, { replicas: 0, ready: 1 }).run({ published: 0, done: perReplica(10), seconds: 5 }),
    ],
    ["Idle", new Loop(usualSpec, { replicas: 0 }).run({ published: 0, done: perReplica(10), seconds: 5 })],
    [
      "Paused",
      new Loop({ ...usualSpec, paused: true }, { replicas: 99 }).run({
        published: 0,
        done: perReplica(10),
        seconds: 5,
      }),
    ],
    [
      "MessagesPerReplica",
      new Loop({ ...usualSpec, messagesPerReplica: 100 }, { replicas: 1, ready: 450 }).run({
        published: 0,
        done: perReplica(10),
        seconds: 5,
      }),
    ],
    [
      "DeadLetters",
      settled(usualSpec, 2).run({ published: 80, done: perReplica(10), dead: 18, seconds: 40 }),
    ],
    ["NoConsumers", settled(usualSpec, 2).run({ published: 80, done: () => 0, consumers: 0, seconds: 40 })],
    ["StoreBound", settled(usualSpec, 3).run({ published: 60, done: () => 28, seconds: 150 })],
  ] as const)("%s", ([reason, loop]) => {
    const given = loop.decisions.map(({ decision }) => decision);
    expect(given.map((decision) => decision.reason)).toContain(reason);
    expect(given.find((decision) => decision.reason === reason)?.message).toMatch(/^[A-Z0-9a-z].{18,}[^.]$/);
  });

  test("ScalingDown", () => {
    const loop = settled(usualSpec, 6).run({ published: 10, done: perReplica(10), seconds: 60 });
    const down = loop.decisions.find(({ decision }) => decision.reason === "ScalingDown");
    expect(down?.decision.desiredReplicas).toBeLessThan(6);
  });

  test("in a sentence with the figures", () => {
    const loop = settled(usualSpec, 2).run({ published: 80, done: perReplica(10), seconds: 10 });
    const [first] = loop.decisions.filter(({ decision }) => decision.reason === "Arrivals");
    expect(first?.decision.message).toMatch(
      /^[\d,]+ messages wait and [\d.]+ a second come in; a replica does [\d.]+ a second: \d+ replicas keep the wait under 30 s$/,
    );
  });

  test("with a word that is explained for each reason", () => {
    for (const meaning of Object.values(reasons)) expect(meaning).toMatch(/^[a-zA-Z].+[^.]$/);
  });
});

describe("what limits a decision", () => {
  const backlog = { published: 0, done: perReplica(10), seconds: 5 };
  test.for([
    ["Maximum", bounded(0, 3), { replicas: 1, ready: 100_000 }, 3],
    ["Minimum", bounded(2, 9), { replicas: 1 }, 2],
    [
      "ScaleUp",
      { ...usualSpec, behavior: { zeroAfterSeconds: 60, scaleUp: { replicas: 2, periodSeconds: 60 } } },
      { replicas: 1, ready: 700 },
      3,
    ],
    [
      "ScaleDown",
      {
        ...usualSpec,
        messagesPerReplica: 10,
        behavior: { zeroAfterSeconds: 60, scaleDown: { replicas: 1, periodSeconds: 60 } },
      },
      { replicas: 9, ready: 25 },
      8,
    ],
  ] as const)("is named: %s", ([limited, spec, start, desired]) => {
    const loop = new Loop(spec, start).run(backlog);
    expect(loop.last).toMatchObject({ limited, desiredReplicas: desired });
  });

  test("at the maximum tells how long a message waits", () => {
    const loop = new Loop(bounded(0, 3), { replicas: 3, ready: 9000 }).run(backlog);
    expect(loop.last).toMatchObject({ limited: "Maximum", desiredReplicas: 3 });
    expect(loop.last.message).toMatch(
      /with 3 replicas a message waits 3\d\d s, longer than the 30 s promised/,
    );
  });

  test.for([
    ["up", { replicas: 4, periodSeconds: 60 }, { replicas: 1, ready: 20_000 }],
    ["up, one at a time", { replicas: 1, periodSeconds: 30 }, { replicas: 1, ready: 20_000 }],
  ] as const)("%s holds within any period", ([, scaleUp, start]) => {
    const spec = { ...usualSpec, behavior: { zeroAfterSeconds: 60, scaleUp } };
    const { decisions } = new Loop(spec, start).run({ published: 100, done: perReplica(10), seconds: 300 });
    for (const { second, decision } of decisions) {
      const before = decisions.filter((one) => one.second <= second - scaleUp.periodSeconds).at(-1);
      const from = before?.decision.desiredReplicas ?? start.replicas;
      expect(decision.desiredReplicas - from).toBeLessThanOrEqual(scaleUp.replicas);
    }
    expect(decisions.at(-1)?.decision.desiredReplicas).toBeGreaterThan(start.replicas + 2 * scaleUp.replicas);
  });
});

describe("from and to zero", () => {
  const nothing = { published: 0, done: perReplica(10) };
  test("goes one replica that has had nothing to do for long enough, and not before", () => {
    const { decisions } = new Loop(usualSpec, { replicas: 1 }).run({ ...nothing, seconds: 100 });
    const firstZero = decisions.find(({ decision }) => decision.desiredReplicas === 0);
    expect(firstZero?.second).toBe(60);
    expect(firstZero?.decision).toMatchObject({ reason: "Idle", active: false });
  });
  test("goes none while messages are published, though none is ever seen to wait", () => {
    const loop = new Loop(usualSpec, { replicas: 1 }).run({
      published: 0.2,
      done: perReplica(10),
      seconds: 300,
    });
    expect(loop.last).toMatchObject({ desiredReplicas: 1, active: true });
  });
  test("goes none while one message is unacknowledged", () => {
    let memory = initialMemory(undefined);
    for (let second = 0; second < 600; second += 5) {
      const decision = decide(usualSpec, memory, {
        nowMs: second * 1000,
        queue: { ...usualFigures, sampledAtMs: second * 1000, unacknowledged: 1 },
        brokerReachable: true,
        replicas: { current: 1, ready: 1 },
      });
      memory = decision.memory;
      expect(decision.desiredReplicas).toBeGreaterThanOrEqual(1);
    }
  });
  test("goes none by a clock that leaps, or by figures of long ago", () => {
    let memory = initialMemory(undefined);
    for (const [nowMs, sampledAtMs] of [
      [0, 0],
      [5000, 5000],
      [3_600_000, 3_600_000],
      [7_200_000, 3_600_000],
    ] as const) {
      const decision = decide(usualSpec, memory, {
        nowMs,
        queue: { ...usualFigures, sampledAtMs },
        brokerReachable: true,
        replicas: { current: 1, ready: 1 },
      });
      memory = decision.memory;
      expect(decision.desiredReplicas).toBe(1);
    }
  });
  test("come as many as the forecast needs, not one", () => {
    const loop = new Loop(usualSpec, { replicas: 0, ready: 600 }).run({ ...nothing, seconds: 5 });
    expect(loop.last).toMatchObject({ reason: "Waking" });
    expect(loop.last.desiredReplicas).toBeGreaterThan(3);
  });
  test("comes one where nobody knows what a replica does, and then as many as are needed", () => {
    const spec = { ...usualSpec, hints: { startupSeconds: 10 } };
    const loop = new Loop(spec, { replicas: 0, ready: 5000 }).run({ ...nothing, seconds: 5 });
    expect(loop.last).toMatchObject({ reason: "Waking", desiredReplicas: 1 });
    loop.run({ published: 50, done: perReplica(10), seconds: 60 });
    expect(loop.replicas).toBeGreaterThan(10);
  });
});

describe("while the figures are unknown", () => {
  const dark = { brokerReachable: false, replicas: { current: 5, ready: 5 } };
  const queue = { ...usualFigures, ready: 0 };
  test.for([
    ["nothing was ever known", { ...dark, nowMs: 0, queue: undefined }, 5, "FiguresUnknown"],
    ["the broker cannot be asked", { ...dark, nowMs: 1000, queue }, 5, "FiguresUnknown"],
    ["the figures are old", { ...dark, brokerReachable: true, nowMs: 16_000, queue }, 5, "FiguresUnknown"],
  ] as const)("the number stays: %s", ([, observation, desired, reason]) => {
    const decision = decide(usualSpec, initialMemory(undefined), observation);
    expect(decision).toMatchObject({ desiredReplicas: desired, reason });
  });

  test.for([
    ["is used once it has lasted", 60, 8, 8, "Fallback"],
    ["is not used before", 59, 8, 5, "FiguresUnknown"],
    ["never takes one away", 60, 2, 5, "Fallback"],
  ] as const)("a fallback %s", ([, seconds, replicas, desired, reason]) => {
    const spec = { ...usualSpec, fallback: { replicas, afterSeconds: 60 } };
    const first = decide(spec, initialMemory(undefined), { ...dark, nowMs: 0, queue });
    const then = decide(spec, first.memory, { ...dark, nowMs: seconds * 1000, queue });
    expect(then).toMatchObject({ desiredReplicas: desired, reason });
  });

  test("what held the number back before holds no fallback back, and is not the reason any more", () => {
    const spec = { ...usualSpec, fallback: { replicas: 5, afterSeconds: 60 } };
    const loop = settled(spec, 2).run({ published: 80, done: () => 0, consumers: 0, seconds: 40 });
    expect(loop.last.reason).toBe("NoConsumers");
    const lost = { queue: loop.figures, brokerReachable: false, replicas: { current: 2, ready: 2 } };
    const first = decide(spec, loop.memory, { ...lost, nowMs: loop.figures.sampledAtMs + 20_000 });
    expect(first).toMatchObject({ reason: "FiguresUnknown", desiredReplicas: 2 });
    const then = decide(spec, first.memory, { ...lost, nowMs: loop.figures.sampledAtMs + 90_000 });
    expect(then).toMatchObject({ reason: "Fallback", desiredReplicas: 5 });
  });

  test("a fleet that was falling behind is made to keep up, once", () => {
    const loop = settled(usualSpec, 4).run({ published: 45, done: perReplica(10), seconds: 30 });
    const replicas = { current: 4, ready: 4 };
    const seen = { queue: loop.figures, brokerReachable: false, replicas };
    const decision = decide(usualSpec, loop.memory, { ...seen, nowMs: loop.figures.sampledAtMs + 2000 });
    expect(decision).toMatchObject({ reason: "Arrivals", desiredReplicas: 6 });
    const later = decide(usualSpec, loop.memory, { ...seen, nowMs: loop.figures.sampledAtMs + 60_000 });
    expect(later).toMatchObject({ reason: "FiguresUnknown", desiredReplicas: 4 });
  });
});

describe("where the published total is not told", () => {
  test("the last replica stays: messages may come and go between two readings", () => {
    const quiet = { published: 0, done: perReplica(10), seconds: 600 };
    const told = new Loop(usualSpec, { replicas: 1 }).run(quiet);
    expect(told.last.desiredReplicas).toBe(0);
    const untold = new Loop(usualSpec, { replicas: 1 }, { hidden: ["published"] }).run(quiet);
    expect(untold.last.desiredReplicas).toBe(1);
  });
});

describe("after a restart of the operator", () => {
  test("the number stays at first, though fewer would do", () => {
    const loop = new Loop(usualSpec, { replicas: 9 }).run({
      published: 10,
      done: perReplica(10),
      seconds: 20,
    });
    expect(loop.decisions.map(({ decision }) => decision.desiredReplicas)).toEqual([9, 9, 9, 9]);
  });
  test("what was learned before is taken up", () => {
    const kept = {
      arrivalsPerSecond: 3,
      messagesPerSecondPerReplica: 0.5,
      startupSeconds: 40,
      waitSeconds: 1,
    };
    const decision = decide(usualSpec, initialMemory(kept), {
      nowMs: 0,
      queue: { ...usualFigures, ready: 100 },
      brokerReachable: true,
      replicas: { current: 2, ready: 2 },
    });
    expect(decision.estimates).toMatchObject({
      arrivalsPerSecond: 3,
      messagesPerSecondPerReplica: 0.5,
      startupSeconds: 40,
    });
    expect(decision.desiredReplicas).toBeGreaterThan(15);
  });
  test.for([[Number.NaN], [-1], [Number.POSITIVE_INFINITY]] as const)(
    "an estimate of %s is not taken up",
    ([value]) => {
      const kept = { arrivalsPerSecond: value, messagesPerSecondPerReplica: value, startupSeconds: value };
      expect(initialMemory(kept)).toEqual(initialMemory(undefined));
    },
  );
});

test("a number that somebody else has lowered is not raised by what would have done before", () => {
  const loop = settled(usualSpec, 12).run({ published: 80, done: perReplica(10), seconds: 20 });
  loop.replicas = 9;
  loop.run({ published: 20, done: perReplica(10), seconds: 60 });
  const later = loop.decisions.slice(-12).map(({ decision }) => decision.desiredReplicas);
  expect(Math.max(...later)).toBeLessThanOrEqual(9);
});
