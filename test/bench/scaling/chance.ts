/** Numbers from 0 up to 1, the same for the same seed: mulberry32. */
export type Chance = () => number;

export function chanceFrom(seed: number): Chance {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Standard normal, by Box and Muller. */
export function normal(chance: Chance): number {
  return Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
}

/** A count with this mean: Knuth's product of chances, and the normal approximation where that would take long. */
export function poisson(chance: Chance, mean: number): number {
  if (mean <= 0) return 0;
  if (mean > 60) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(chance)));
  const least = Math.exp(-mean);
  let count = -1;
  for (let product = 1; product > least; product *= chance()) count++;
  return count;
}

/** One seed of several numbers and a word: FNV-1a over the word. */
export function seedOf(word: string, seed: number, run: number): number {
  let hash = 2_166_136_261;
  for (const letter of word) hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619);
  return (hash ^ Math.imul(seed + run * 7919, 2_654_435_761)) >>> 0;
}
