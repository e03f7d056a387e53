/** Seeded random numbers (mulberry32): the same seed gives the same run, as far as the clock lets it. */
export interface Random {
  /** At least 0 and less than 1. */
  unit(): number;
  /** From `minimum` to `maximum`, both included. */
  integer(minimum: number, maximum: number): number;
  /** Like `integer`, but each doubling of size is equally likely. */
  skewed(minimum: number, maximum: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (minimum: number, maximum: number): number =>
    minimum + Math.floor(unit() * (maximum - minimum + 1));
  return {
    unit,
    integer,
    skewed: (minimum, maximum) => Math.floor(minimum * ((maximum + 1) / minimum) ** unit()),
    chance: (probability) => unit() < probability,
    pick: (choices) => choices[integer(0, choices.length - 1)] ?? choices[0],
  };
}
