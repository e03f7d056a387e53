/** Counts over the time in which they were counted, both fading; the rate is their quotient. */
export interface Rate {
  readonly count: number;
  readonly seconds: number;
  /** Variance of a count over its mean: 1 for a Poisson stream, more where messages come or go in batches. */
  readonly dispersion: number;
}

/** How long what was counted stays in mind. */
export interface Fading {
  /** It fades to 37 % within so many seconds, */
  readonly seconds: number;
  /** or, at a low rate, within the time that so many counts take; at most in `LONGEST_FADING` times those seconds. */
  readonly counts: number;
}

export interface Counted {
  readonly count: number;
  /** That of one server, where several count: of 3 replicas within 2 seconds, 6. */
  readonly seconds: number;
  readonly elapsedSeconds: number;
}

/** Tuned on the benchmark: standard deviations beyond which a count belongs to another rate and is no chance. */
export const rateTuning = { jump: 4 } as const;
const LONGEST_FADING = 30;
/** Share of a new count in the dispersion, and the most that one count may say of it, so that a jump does not hide the next. */
const DISPERSION_GAIN = 0.1;
const DISPERSION_MOST = 64;

export const noRate: Rate = { count: 0, seconds: 0, dispersion: 1 };

/** Counts in a second; undefined where nothing has been observed. */
export function perSecond({ count, seconds }: Rate): number | undefined {
  return seconds > 0 ? count / seconds : undefined;
}

/** As if `perSecond` had been observed for so many seconds, or for so many counts if those take longer. */
export function rateOf(value: number, atLeast: Fading): Rate {
  const seconds = value > 0 ? Math.max(atLeast.seconds, atLeast.counts / value) : atLeast.seconds;
  return { count: value * seconds, seconds, dispersion: 1 };
}

/**
 * The rate after more was counted: an exponentially weighted quotient of sums, so that the rhythm of observations does not
 * matter. Where the new count cannot be chance (Shewhart's test, on an overdispersed Poisson count) what was known is forgotten.
 */
export function observed(rate: Rate, { count, seconds, elapsedSeconds }: Counted, fading: Fading): Rate {
  if (seconds <= 0 || elapsedSeconds <= 0) return rate;
  const known = perSecond(rate);
  if (known === undefined) return { count, seconds, dispersion: rate.dispersion };
  const expected = known * seconds;
  const strange = Math.min(DISPERSION_MOST, (count - expected) ** 2 / (expected + 1));
  const dispersion = Math.max(1, rate.dispersion + DISPERSION_GAIN * (strange - rate.dispersion));
  const chance = Math.sqrt(rate.dispersion * (Math.min(expected, count) + 1));
  if (Math.abs(count - expected) > rateTuning.jump * chance) return { count, seconds, dispersion };
  return faded({ ...rate, dispersion }, { count, seconds, elapsedSeconds }, fading);
}

/** The same without that test: what is new is always mixed into what was known. */
export function faded(rate: Rate, { count, seconds, elapsedSeconds }: Counted, fading: Fading): Rate {
  const expected = (perSecond(rate) ?? 0) * seconds;
  const longest = fading.seconds * LONGEST_FADING;
  const countsTake = expected > 0 ? (fading.counts * elapsedSeconds) / expected : longest;
  const kept = Math.exp(-elapsedSeconds / Math.min(longest, Math.max(fading.seconds, countsTake)));
  return { ...rate, count: rate.count * kept + count, seconds: rate.seconds * kept + seconds };
}
