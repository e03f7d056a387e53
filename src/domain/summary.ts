/**
 * What many counts come to. Summaries form a commutative monoid under `merge`: any order and any grouping of the
 * same counts gives the same summary, which is what lets workers fold in parallel and compactors fold again.
 *
 * The sum is kept as `sumHigh * 2^26 + sumLow` with `0 <= sumLow < 2^26`: counts reach 2^53, so one double would
 * round. It is exact for up to 2^26 events of the greatest count, and for any number of small ones.
 */
export interface Summary {
  readonly minimum: number;
  readonly maximum: number;
  readonly sumHigh: number;
  readonly sumLow: number;
  readonly count: number;
}

const LOW = 2 ** 26;

export const emptySummary: Summary = {
  minimum: Number.POSITIVE_INFINITY,
  maximum: Number.NEGATIVE_INFINITY,
  sumHigh: 0,
  sumLow: 0,
  count: 0,
};

export function summaryOf(count: number): Summary {
  const sumHigh = Math.floor(count / LOW);
  return { minimum: count, maximum: count, sumHigh, sumLow: count - sumHigh * LOW, count: 1 };
}

export function merge(a: Summary, b: Summary): Summary {
  const low = a.sumLow + b.sumLow;
  const carry = Math.floor(low / LOW);
  return {
    minimum: Math.min(a.minimum, b.minimum),
    maximum: Math.max(a.maximum, b.maximum),
    sumHigh: a.sumHigh + b.sumHigh + carry,
    sumLow: low - carry * LOW,
    count: a.count + b.count,
  };
}

/** The mean as the nearest double. The halves need not be normal: a database may have added them up. */
export function averageOf(sum: { sumHigh: number | bigint; sumLow: number | bigint }, count: number): number {
  const total = BigInt(sum.sumHigh) * BigInt(LOW) + BigInt(sum.sumLow);
  // Both operands are exact, so the division rounds once.
  if (Number.isSafeInteger(Number(total))) return Number(total) / count;
  // More bits than a double has, and the last one set where more follow: Number rounds once, the power of two is exact.
  const shifted = (total < 0n ? -total : total) << 64n;
  const quotient = (shifted / BigInt(count)) | (shifted % BigInt(count) === 0n ? 0n : 1n);
  return (total < 0n ? -1 : 1) * (Number(quotient) / 2 ** 64);
}
