import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { averageOf, emptySummary, merge, type Summary, summaryOf } from "../../src/domain/summary.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const MIN = Number.MIN_SAFE_INTEGER;

const extreme = fc.constantFrom(
  MAX,
  MAX - 1,
  MIN,
  MIN + 1,
  0,
  1,
  -1,
  2 ** 26,
  2 ** 26 - 1,
  -(2 ** 26),
  2 ** 52,
);
const count = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -9, max: 9 }), extreme);
const counts = fc.array(count, { maxLength: 200 });
const some = (one: fc.Arbitrary<number>) => fc.array(one, { minLength: 1, maxLength: 200 });
const few = fc.array(fc.nat(9), { minLength: 3, maxLength: 9 });
const summary = counts.map(summed);

function summed(of: readonly number[]): Summary {
  return of.map(summaryOf).reduce(merge, emptySummary);
}
function sumOf({ sumHigh, sumLow }: Summary): bigint {
  return BigInt(sumHigh) * 2n ** 26n + BigInt(sumLow);
}

describe("merge", () => {
  test("is associative", () => {
    fc.assert(
      fc.property(summary, summary, summary, (a, b, c) => {
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      }),
    );
  });

  test("is commutative", () => {
    fc.assert(
      fc.property(summary, summary, (a, b) => {
        expect(merge(a, b)).toEqual(merge(b, a));
      }),
    );
  });

  test("has the empty summary as its identity, on either side", () => {
    fc.assert(
      fc.property(summary, (a) => {
        expect(merge(a, emptySummary)).toEqual(a);
        expect(merge(emptySummary, a)).toEqual(a);
      }),
    );
  });

  test("of any parts of some counts, in any order, is the summary of the whole", () => {
    const shuffled = counts.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }), fc.nat(all.length)),
    );
    fc.assert(
      fc.property(shuffled, ([all, other, cut]) => {
        expect(merge(summed(other.slice(0, cut)), summed(other.slice(cut)))).toEqual(summed(all));
      }),
    );
  });
});

describe("a summary", () => {
  test("holds the least, the greatest, the number and the exact sum of any safe integers", () => {
    fc.assert(
      fc.property(some(count), (all) => {
        const whole = summed(all);
        expect(whole).toMatchObject({
          minimum: Math.min(...all),
          maximum: Math.max(...all),
          count: all.length,
        });
        expect(sumOf(whole)).toBe(all.reduce((sum, one) => sum + BigInt(one), 0n));
      }),
    );
  });

  test("keeps the low part of its sum within its 26 bits", () => {
    fc.assert(
      fc.property(summary, ({ sumHigh, sumLow }) => {
        expect(Number.isSafeInteger(sumHigh)).toBe(true);
        expect(sumLow).toBeGreaterThanOrEqual(0);
        expect(sumLow).toBeLessThan(2 ** 26);
      }),
    );
  });

  test.each([
    ["the greatest", MAX],
    ["the least", MIN],
    ["minus one", -1],
  ])("of 2^26 times %s count is exact", (_, one) => {
    // Doubled 26 times, as merging does it.
    let whole = summaryOf(one);
    for (let doubling = 0; doubling < 26; doubling += 1) whole = merge(whole, whole);
    expect(whole.count).toBe(2 ** 26);
    expect(sumOf(whole)).toBe(BigInt(one) * 2n ** 26n);
    expect(averageOf(whole, whole.count)).toBe(one);
  });

  test.each([
    [[MAX, MIN], 0n],
    [[MAX, 1], 2n ** 53n],
    [[MAX, MAX, MAX], 3n * (2n ** 53n - 1n)],
    [[MIN, MIN, -1], -(2n ** 54n) + 1n],
    [[MAX, 1, MIN], 1n],
    [[0.1 + 0.9, 2], 3n],
    [[], 0n],
  ])("of %j sums to %s", (all, sum) => {
    expect(sumOf(summed(all))).toBe(sum);
  });
});

/** A finite double as an exact fraction. */
function exact(value: number): { over: bigint; under: bigint } {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const exponent = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & (2n ** 52n - 1n);
  const mantissa = (exponent === 0 ? fraction : fraction + 2n ** 52n) * (value < 0 ? -1n : 1n);
  const power = Math.max(exponent, 1) - 1075;
  return power >= 0
    ? { over: mantissa * 2n ** BigInt(power), under: 1n }
    : { over: mantissa, under: 2n ** BigInt(-power) };
}
/** How far a double is from `total / n`, as a numerator over the double's denominator times n. */
function distance(value: number, total: bigint, n: bigint): { over: bigint; under: bigint } {
  const { over, under } = exact(value);
  const difference = over * n - total * under;
  return { over: difference < 0n ? -difference : difference, under: under * n };
}
/** The doubles just below and just above. */
function neighbours(value: number): readonly number[] {
  if (value === 0) return [-Number.MIN_VALUE, Number.MIN_VALUE];
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  return [raw - 1n, raw + 1n].map((next) => {
    bits.setBigUint64(0, next);
    return bits.getFloat64(0);
  });
}

describe("an average", () => {
  test("is the double nearest to the exact mean", () => {
    fc.assert(
      fc.property(fc.oneof(some(count), few), (all) => {
        const whole = summed(all);
        const average = averageOf(whole, whole.count);
        const total = sumOf(whole);
        const n = BigInt(whole.count);
        const own = distance(average, total, n);
        for (const neighbour of neighbours(average)) {
          const other = distance(neighbour, total, n);
          expect(own.over * other.under <= other.over * own.under, `${total} / ${n} is not ${average}`).toBe(
            true,
          );
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("is no more than one rounding away from the exact mean", () => {
    fc.assert(
      fc.property(some(count), (all) => {
        const whole = summed(all);
        const average = averageOf(whole, whole.count);
        const { over, under } = distance(average, sumOf(whole), BigInt(whole.count));
        // 2^-52 of the average, as a fraction.
        const size = exact(Math.abs(average));
        expect(over * size.under * 2n ** 52n <= size.over * under).toBe(true);
      }),
    );
  });

  test("lies between the least and the greatest count", () => {
    fc.assert(
      fc.property(some(count), (all) => {
        const whole = summed(all);
        const average = averageOf(whole, whole.count);
        expect(average).toBeGreaterThanOrEqual(whole.minimum);
        expect(average).toBeLessThanOrEqual(whole.maximum);
      }),
    );
  });

  test("is the same when a database has added up the halves without carrying", () => {
    fc.assert(
      fc.property(fc.array(summary, { minLength: 1, maxLength: 10 }), (parts) => {
        const whole = parts.reduce(merge, emptySummary);
        fc.pre(whole.count > 0);
        const added = {
          sumHigh: parts.reduce((sum, part) => sum + part.sumHigh, 0),
          sumLow: parts.reduce((sum, part) => sum + part.sumLow, 0),
        };
        const big = { sumHigh: BigInt(added.sumHigh), sumLow: BigInt(added.sumLow) };
        expect(averageOf(added, whole.count)).toBe(averageOf(whole, whole.count));
        expect(averageOf(big, whole.count)).toBe(averageOf(whole, whole.count));
      }),
    );
  });

  test.each([
    [[1, 2], 1.5],
    [[-1, -2], -1.5],
    [[1, 2, 2], 5 / 3],
    [[-1, 0, 0], -1 / 3],
    [[MAX, MAX], MAX],
    [[MIN, MIN], MIN],
    [[MAX, MIN], 0],
    [[MAX, MAX - 2], MAX - 1],
    [[7], 7],
    [[0, 0], 0],
  ])("of %j is %d", (all, average) => {
    expect(averageOf(summed(all), all.length)).toBe(average);
  });
});
