import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type RawFigures, resample, type Sample } from "../../operator/rabbitmq/resample.ts";

/** RabbitMQ's interval, and what is allowed for its way. */
const RENEWED_AFTER_MS = 6000;

const count = fc.nat({ max: 3 });
const totals = fc.record({ published: count, delivered: count, acknowledged: count, redelivered: count });
const raw: fc.Arbitrary<RawFigures> = fc.record({
  ready: count,
  unacknowledged: count,
  consumers: fc.option(count, { nil: undefined }),
  totals: fc.option(totals, { nil: undefined }),
  counts: fc.constant(true),
});
/** Readings of a queue, each some time after the one before; small figures, so that equal ones are frequent. */
const readings = fc.array(fc.record({ afterMs: fc.nat({ max: 8000 }), raw }), {
  minLength: 1,
  maxLength: 40,
});

interface Seen {
  readonly nowMs: number;
  readonly raw: RawFigures;
  readonly sample: Sample;
}
function sampled(all: readonly { readonly afterMs: number; readonly raw: RawFigures }[]): readonly Seen[] {
  const seen: Seen[] = [];
  let nowMs = 1_000_000;
  for (const one of all) {
    nowMs += one.afterMs;
    seen.push({ nowMs, raw: one.raw, sample: resample(seen.at(-1)?.sample, one.raw, nowMs) });
  }
  return seen;
}

describe("whatever is read", () => {
  test("lengths and consumers are those of the reading", () => {
    fc.assert(
      fc.property(readings, (all) => {
        for (const { raw: read, sample } of sampled(all)) {
          const { ready, unacknowledged, consumers } = read;
          expect(sample.figures).toMatchObject({ ready, unacknowledged, consumers });
        }
      }),
    );
  });

  test("the time of a sample never goes back, and is less than two intervals away from the clock", () => {
    fc.assert(
      fc.property(readings, (all) => {
        let lastMs = 0;
        for (const { nowMs, sample } of sampled(all)) {
          const { sampledAtMs } = sample.figures;
          expect(sampledAtMs).toBeGreaterThanOrEqual(lastMs);
          expect(sampledAtMs - nowMs).toBeLessThanOrEqual(7500);
          expect(nowMs - sampledAtMs).toBeLessThan(2 * RENEWED_AFTER_MS);
          lastMs = sampledAtMs;
        }
      }),
    );
  });

  test("totals that differ are of samples that are whole intervals apart", () => {
    fc.assert(
      fc.property(readings, (all) => {
        const seen = sampled(all);
        for (const [i, { sample }] of seen.entries()) {
          const before = seen[i - 1]?.sample;
          if (before === undefined || before.figures.published === sample.figures.published) continue;
          const apartMs = sample.figures.sampledAtMs - before.figures.sampledAtMs;
          expect([apartMs > 0, apartMs % 5000]).toEqual([true, 0]);
        }
      }),
    );
  });

  test("what was read is taken within the interval and the next reading", () => {
    fc.assert(
      fc.property(readings, raw, (all, last) => {
        const seen = sampled(all).at(-1);
        if (seen === undefined) return;
        const next = resample(seen.sample, last, seen.nowMs + RENEWED_AFTER_MS + 1);
        expect(next.figures).toMatchObject(last.totals ?? {});
      }),
    );
  });

  test("to read the same answer again changes nothing", () => {
    fc.assert(
      fc.property(readings, (all) => {
        for (const { nowMs, raw: read, sample } of sampled(all)) {
          expect(resample(sample, read, nowMs)).toEqual(sample);
        }
      }),
    );
  });
});

/** As the management API tells it: three tables, each renewed every 5 s at a phase of its own. */
function told(nowMs: number, perSecond: number, phases: readonly [number, number, number]): RawFigures {
  const at = (phase: number) => Math.floor((nowMs - phase) / 5000) * 5 * perSecond;
  const [published, ready, done] = phases.map(at);
  const of = { published: published ?? 0, delivered: done ?? 0, acknowledged: done ?? 0, redelivered: 0 };
  return { ready: (ready ?? 0) % 7, unacknowledged: 0, consumers: 1, totals: of, counts: true };
}

/** The samples of two minutes of a steady stream, as counts and seconds; the first ones, which find the rhythm, left out. */
function samplesOf(phases: readonly [number, number, number], everyMs: number, perSecond: number) {
  const counted: { readonly messages: number; readonly seconds: number }[] = [];
  let before: Sample | undefined;
  for (let nowMs = 1_000_000; nowMs < 1_120_000; nowMs += everyMs) {
    const sample = resample(before, told(nowMs, perSecond, phases), nowMs);
    const [was, is] = [before?.figures, sample.figures];
    before = sample;
    if (was === undefined || nowMs < 1_020_000 || was.sampledAtMs === is.sampledAtMs) continue;
    counted.push({
      messages: (is.published ?? 0) - (was.published ?? 0),
      seconds: (is.sampledAtMs - was.sampledAtMs) / 1000,
    });
  }
  return counted;
}
const phase = fc.nat({ max: 4999 });
const phases = fc.tuple(phase, phase, phase);
const perSeconds = fc.integer({ min: 1, max: 500 });
const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0);

test("a steady stream is told as what it is, however the tables' phases and the polls fall", () => {
  const everyMs = fc.integer({ min: 400, max: 5000 });
  fc.assert(
    fc.property(phases, everyMs, perSeconds, (at, every, perSecond) => {
      const samples = samplesOf(at, every, perSecond);
      const messages = sumOf(samples.map((one) => one.messages));
      const seconds = sumOf(samples.map((one) => one.seconds));
      expect(Math.abs(messages / seconds / perSecond - 1)).toBeLessThan(0.15);
    }),
  );
});

test("with polls that are quick enough, nearly each sample of it is whole", () => {
  const everyMs = fc.integer({ min: 400, max: 2100 });
  fc.assert(
    fc.property(phases, everyMs, perSeconds, (at, every, perSecond) => {
      const samples = samplesOf(at, every, perSecond);
      const whole = samples.filter(({ messages, seconds }) => messages === seconds * perSecond);
      expect(samples.length).toBeGreaterThan(10);
      expect(whole.length).toBeGreaterThanOrEqual(samples.length * 0.75);
    }),
  );
});

test("totals of a queue that has had some are unknown while they are not told, never zero", () => {
  const some = { published: 1, delivered: 0, acknowledged: 0, redelivered: 0 };
  const first = resample(undefined, { ...quiet, totals: some }, 1_000_000);
  expect(resample(first, quiet, 1_010_000).figures.published).toBeUndefined();
});

const quiet: RawFigures = { ready: 0, unacknowledged: 0, consumers: 0, totals: undefined, counts: true };
const unknown = {
  published: undefined,
  delivered: undefined,
  acknowledged: undefined,
  redelivered: undefined,
};

test("a queue that never had a message has totals of zero where the broker counts, and none where it does not", () => {
  const zero = { published: 0, delivered: 0, acknowledged: 0, redelivered: 0 };
  expect(resample(undefined, quiet, 1).figures).toMatchObject(zero);
  expect(resample(undefined, { ...quiet, counts: false }, 1).figures).toMatchObject(unknown);
});

test("after a clock was set back, a reading is a new sample", () => {
  const first = resample(undefined, quiet, 10_000);
  expect(resample(first, quiet, 5000).figures.sampledAtMs).toBe(5000);
});
