import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decide,
  type Decision,
  initialMemory,
  type Memory,
  type Observation,
  type ScalingSpec,
} from "../../operator/decide.ts";
import { Loop, usualSpec } from "./decide-cases.ts";

const count = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 1e12 }));
const total = fc.option(count, { nil: undefined });
const time = fc.oneof(fc.integer({ min: 0, max: 600_000 }), fc.integer({ min: 0, max: 4e12 }));
const replicaCount = fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 20_000 }));

/** Anything that a broker, a cluster and two clocks might say, in any order. */
const observation: fc.Arbitrary<Observation> = fc.record({
  nowMs: time,
  queue: fc.option(
    fc.record({
      sampledAtMs: time,
      ready: count,
      unacknowledged: count,
      consumers: total,
      published: total,
      delivered: total,
      acknowledged: total,
      redelivered: total,
      deadLetters: total,
    }),
    { nil: undefined },
  ),
  brokerReachable: fc.boolean(),
  replicas: fc.record({ current: replicaCount, ready: replicaCount }),
});

const limit = fc.option(
  fc.record({ replicas: fc.integer({ min: 1, max: 50 }), periodSeconds: fc.integer({ min: 1, max: 3600 }) }),
  { nil: undefined },
);
const anySpec: fc.Arbitrary<ScalingSpec> = fc
  .record({
    min: fc.integer({ min: 0, max: 20 }),
    more: fc.integer({ min: 1, max: 1000 }),
    maxWaitSeconds: fc.integer({ min: 1, max: 86_400 }),
    messagesPerReplica: fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: undefined }),
    scaleUp: limit,
    scaleDown: limit,
    zeroAfterSeconds: fc.integer({ min: 0, max: 600 }),
    messagesPerSecond: fc.option(fc.integer({ min: 1, max: 1_000_000 }), { nil: undefined }),
    startupSeconds: fc.integer({ min: 0, max: 3600 }),
    pollingIntervalSeconds: fc.integer({ min: 1, max: 300 }),
  })
  .map((of) => ({
    replicas: { min: of.min, max: of.min + of.more },
    objective: { maxWaitSeconds: of.maxWaitSeconds },
    ...(of.messagesPerReplica === undefined ? {} : { messagesPerReplica: of.messagesPerReplica }),
    behavior: {
      zeroAfterSeconds: of.zeroAfterSeconds,
      ...(of.scaleUp === undefined ? {} : { scaleUp: of.scaleUp }),
      ...(of.scaleDown === undefined ? {} : { scaleDown: of.scaleDown }),
    },
    hints: {
      startupSeconds: of.startupSeconds,
      ...(of.messagesPerSecond === undefined ? {} : { messagesPerSecond: of.messagesPerSecond }),
    },
    paused: false,
    pollingIntervalSeconds: of.pollingIntervalSeconds,
  }));

/** A life as it might be: time goes on, totals grow with a restart now and then, figures come or not. */
const event = fc.record({
  seconds: fc.integer({ min: 1, max: 300 }),
  published: fc.integer({ min: 0, max: 5000 }),
  acknowledged: fc.integer({ min: 0, max: 5000 }),
  inHand: fc.integer({ min: 0, max: 200 }),
  dead: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100 })),
  restarts: fc.oneof(
    { weight: 9, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
  reachable: fc.oneof(
    { weight: 6, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
  replicas: fc.integer({ min: 0, max: 60 }),
  starting: fc.integer({ min: 0, max: 5 }),
  told: fc.boolean(),
});
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

function lived(events: readonly Event[]): readonly Observation[] {
  let nowMs = 1_700_000_000_000;
  let published = 0;
  let acknowledged = 0;
  let deadLetters = 0;
  let sampledAtMs = nowMs;
  return events.map((one) => {
    nowMs += one.seconds * 1000;
    if (one.restarts) published = acknowledged = 0;
    published += one.published;
    acknowledged = Math.min(published, acknowledged + one.acknowledged);
    deadLetters += one.dead;
    if (one.reachable) sampledAtMs = nowMs - 500;
    const backlog = published - acknowledged;
    return {
      nowMs,
      queue: {
        sampledAtMs,
        ready: Math.max(0, backlog - one.inHand),
        unacknowledged: Math.min(backlog, one.inHand),
        consumers: Math.max(1, one.replicas - one.starting),
        published: one.told ? published : undefined,
        delivered: undefined,
        acknowledged: one.told ? acknowledged : undefined,
        redelivered: undefined,
        deadLetters,
      },
      brokerReachable: one.reachable,
      replicas: { current: one.replicas, ready: Math.max(0, one.replicas - one.starting) },
    };
  });
}

interface Step {
  readonly observation: Observation;
  readonly before: Memory;
  readonly decision: Decision;
}
function decidedAll(spec: ScalingSpec, observations: readonly Observation[]): readonly Step[] {
  let memory = initialMemory(undefined);
  return observations.map((seen) => {
    const before = memory;
    const decision = decide(spec, memory, seen);
    memory = decision.memory;
    return { observation: seen, before, decision };
  });
}

const anyLife = fc.oneof(
  fc.array(observation, { minLength: 1, maxLength: 30 }),
  fc.array(event, { minLength: 1, maxLength: 40 }).map(lived),
);

describe("whatever is observed", () => {
  test("the answer is a whole number within the bounds, with a sentence and no figure that is none", () => {
    fc.assert(
      fc.property(anySpec, anyLife, (spec, observations) => {
        for (const { decision } of decidedAll(spec, observations)) {
          expect(decision.desiredReplicas).toSatisfy(Number.isInteger);
          expect(decision.desiredReplicas).toBeGreaterThanOrEqual(spec.replicas.min);
          expect(decision.desiredReplicas).toBeLessThanOrEqual(spec.replicas.max);
          expect(decision.message).not.toMatch(/NaN|undefined|Infinity/);
          for (const figure of Object.values(decision.estimates)) {
            expect(figure === undefined || (Number.isFinite(figure) && figure >= 0)).toBe(true);
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  test("the memory is plain, holds no NaN, and does not grow", () => {
    fc.assert(
      fc.property(anySpec, anyLife, (spec, observations) => {
        const life = [...observations, ...observations, ...observations];
        const { memory } = decidedAll(spec, life).at(-1)?.decision ?? { memory: {} };
        const text = JSON.stringify(memory);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(structuredClone(memory))));
        expect(text).not.toContain("null");
        expect(text.match(/-?\d+(\.\d+)?(e[+-]?\d+)?/g)?.length ?? 0).toBeLessThanOrEqual(200);
      }),
      { numRuns: 200 },
    );
  });

  test("the same question gets the same answer, and the memory that was given stays as it was", () => {
    fc.assert(
      fc.property(anySpec, anyLife, (spec, observations) => {
        for (const { observation: seen, before, decision } of decidedAll(spec, observations)) {
          const kept = structuredClone(before);
          expect(decide(spec, before, seen)).toEqual(decision);
          expect(before).toEqual(kept);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("unknown figures take no replica away", () => {
    fc.assert(
      fc.property(anySpec, anyLife, observation, (spec, observations, last) => {
        const memory = decidedAll(spec, observations).at(-1)?.decision.memory ?? initialMemory(undefined);
        const { desiredReplicas } = decide(spec, memory, { ...last, brokerReachable: false });
        expect(desiredReplicas).toBeGreaterThanOrEqual(Math.min(last.replicas.current, spec.replicas.max));
      }),
      { numRuns: 300 },
    );
  });

  test("more messages that are ready never mean fewer replicas", () => {
    fc.assert(
      fc.property(anySpec, fc.array(event, { minLength: 2, maxLength: 40 }), count, (spec, events, more) => {
        for (const { observation: seen, before, decision } of decidedAll(spec, lived(events))) {
          const { queue } = seen;
          if (queue === undefined) continue;
          const larger = { ...seen, queue: { ...queue, ready: queue.ready + more } };
          expect(decide(spec, before, larger).desiredReplicas).toBeGreaterThanOrEqual(
            decision.desiredReplicas,
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a paused scaler keeps the number there is, even beyond its bounds", () => {
    fc.assert(
      fc.property(anySpec, anyLife, (spec, observations) => {
        for (const { observation: seen, decision } of decidedAll({ ...spec, paused: true }, observations)) {
          expect(decision).toMatchObject({ desiredReplicas: seen.replicas.current, reason: "Paused" });
        }
      }),
    );
  });

  test("the plain rule is exact", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 0, max: 40 }),
        (messagesPerReplica, ready, unacknowledged, current) => {
          const spec = { ...usualSpec, replicas: { min: 0, max: 10_000 }, messagesPerReplica };
          const { desiredReplicas } = decide(spec, initialMemory(undefined), {
            nowMs: 0,
            queue: {
              sampledAtMs: 0,
              ready,
              unacknowledged,
              consumers: 1,
              published: undefined,
              delivered: undefined,
              acknowledged: undefined,
              redelivered: undefined,
              deadLetters: undefined,
            },
            brokerReachable: true,
            replicas: { current, ready: current },
          });
          expect(desiredReplicas).toBe(Math.ceil((ready + unacknowledged) / messagesPerReplica));
        },
      ),
    );
  });
});

describe("under a constant load", () => {
  const rhythms = [
    [1, 2],
    [2, 8],
    [5, 8],
    [15, 8],
    [60, 20],
    [120, 30],
  ] as const;
  test.for(rhythms)(
    "polled every %i s, with replicas that start in %i s, the number settles",
    ([stepSeconds, startupSeconds]) => {
      fc.assert(
        fc.property(
          fc.double({ min: -1, max: 5, noNaN: true }),
          fc.double({ min: 0.3, max: 30, noNaN: true }),
          fc.integer({ min: 1, max: 40 }),
          (magnitude, replicasNeeded, replicas) => {
            const perReplica = 10 ** magnitude;
            const spec = {
              ...usualSpec,
              replicas: { min: 1, max: 60 },
              objective: { maxWaitSeconds: Math.max(30, 4 * stepSeconds, Math.ceil(20 / perReplica)) },
              hints: { startupSeconds: 10 },
              pollingIntervalSeconds: stepSeconds,
            };
            const loop = new Loop(spec, { replicas }, { stepSeconds, startupSeconds });
            const done = (ready: number) => ready * perReplica;
            const settleSeconds = 20 * Math.max(60, spec.objective.maxWaitSeconds);
            loop.run({ published: perReplica * replicasNeeded, done, seconds: 2 * settleSeconds });
            // Between the two numbers next to what is needed it may alternate, but only at long intervals.
            expect(loop.directionChangesFrom(settleSeconds)).toBeLessThanOrEqual(stepSeconds < 60 ? 10 : 14);
            const numbers = loop.decisions.filter(({ second }) => second >= settleSeconds);
            for (const { decision } of numbers) {
              expect(Math.abs(decision.desiredReplicas - replicasNeeded)).toBeLessThan(
                3 + replicasNeeded / 2,
              );
            }
            expect(loop.last.estimates.waitSeconds).toBeLessThanOrEqual(
              spec.objective.maxWaitSeconds + stepSeconds,
            );
          },
        ),
        { numRuns: stepSeconds < 10 ? 8 : 25 },
      );
    },
  );

  test.for([
    ["published", ["published"]],
    ["published or acknowledged", ["published", "acknowledged"]],
    ["any total", ["published", "delivered", "acknowledged", "redelivered", "deadLetters", "consumers"]],
  ] as const)("the objective is kept though the broker does not tell what was %s", ([, hidden]) => {
    const done = (ready: number) => ready * 10;
    const loop = new Loop(usualSpec, { replicas: 2 }, { hidden });
    loop.run({ published: 15, done, seconds: 300 }).run({ published: 85, done, seconds: 900 });
    expect(loop.replicas).toBeGreaterThanOrEqual(7);
    expect(loop.replicas).toBeLessThanOrEqual(14);
    expect(loop.figures.ready + loop.figures.unacknowledged).toBeLessThan(85 * 30);
    loop.run({ published: 15, done, seconds: 900 });
    expect(loop.replicas).toBeLessThanOrEqual(4);
  });

  test("a broker that restarts, with totals from 0, changes nothing", () => {
    const done = (ready: number) => ready * 10;
    const loop = new Loop(usualSpec, { replicas: 5 }).run({ published: 45, done, seconds: 600 });
    const before = loop.replicas;
    loop.figures = { ...loop.figures, published: 0, delivered: 0, acknowledged: 0, redelivered: 0 };
    loop.run({ published: 45, done, seconds: 60 });
    expect(loop.decisions.slice(-12).map(({ decision }) => decision.desiredReplicas)).toEqual(
      Array(12).fill(before),
    );
  });
});

describe("a store that takes no more", () => {
  test("is noticed, and not met with replicas up to the maximum", () => {
    const spec = { ...usualSpec, replicas: { min: 1, max: 200 } };
    const loop = new Loop(spec, { replicas: 3 }).run({
      published: 28,
      done: (ready) => ready * 10,
      seconds: 60,
    });
    loop.run({ published: 60, done: (ready) => Math.min(30, ready * 10), seconds: 300 });
    expect(loop.last.bottleneck).toBe(true);
    expect(loop.replicas).toBeLessThan(40);
    const stuck = loop.replicas;
    loop.run({ published: 60, done: (ready) => ready * 10, seconds: 600 });
    expect(loop.last.bottleneck).toBe(false);
    expect(loop.last.estimates.waitSeconds).toBeLessThan(30);
    expect(loop.replicas).toBeLessThan(stuck + 5);
  });
  test("is not seen where every replica got slower", () => {
    const loop = new Loop(usualSpec, { replicas: 5 }).run({
      published: 45,
      done: (ready) => ready * 10,
      seconds: 60,
    });
    loop.run({ published: 45, done: (ready) => ready * 4, seconds: 300 });
    expect(loop.decisions.some(({ decision }) => decision.bottleneck)).toBe(false);
    expect(loop.replicas).toBeGreaterThanOrEqual(11);
  });
});
