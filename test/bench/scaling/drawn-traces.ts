import { type Chance, chanceFrom } from "./chance.ts";
import { between, type Trace, traceOf } from "./trace.ts";

const DURATION_SECONDS = 1800;
/** Messages a second that the most replicas could do with ease. */
const MOST_PER_SECOND = 240;

/** Something that happens to a load: messages a second more (or fewer) at a second. */
type Happening = (second: number) => number;

/** Days that nobody has seen, and so nothing was tuned to: mixtures of what the known ones consist of. */
export function drawnTraces(seed: number, count: number): readonly Trace[] {
  return Array.from({ length: count }, (_, index) => drawnTrace(seed, index + 1));
}

function drawnTrace(seed: number, number: number): Trace {
  const chance = chanceFrom(seed * 31 + number * 7919);
  const least = drawn(chance, 5, 100);
  const happenings: Happening[] = [waves(chance, least * 0.8)];
  for (let more = whole(chance, 2, 5); more > 0; more--)
    happenings.push(oneOf(chance, [step, ramp, bursts])(chance));
  const outages = chance() < 0.5 ? [outage(chance)] : [];
  const slow = chance() < 0.5 ? slowStore(chance) : undefined;
  const perSecondAt = (second: number) =>
    Math.min(MOST_PER_SECOND, least + happenings.reduce((sum, happening) => sum + happening(second), 0));
  return traceOf(
    { name: `drawn ${number}`, seed: seed + number, durationSeconds: DURATION_SECONDS },
    perSecondAt,
    {
      outages,
      ...(slow === undefined ? {} : { serviceFactor: slow }),
    },
  );
}

function waves(chance: Chance, most: number): Happening {
  const height = drawn(chance, 0, most);
  const period = drawn(chance, 300, 1800);
  return (second) => height * Math.sin((2 * Math.PI * second) / period);
}

function step(chance: Chance): Happening {
  const from = drawn(chance, 100, 1500);
  const until = from + drawn(chance, 100, 900);
  const height = drawn(chance, 10, 150);
  return (second) => (second >= from && second < until ? height : 0);
}

function ramp(chance: Chance): Happening {
  const from = drawn(chance, 0, 1200);
  const lasts = drawn(chance, 60, 600);
  const height = drawn(chance, 10, 150);
  const until = from + lasts + drawn(chance, 0, 600);
  return (second) => (second >= until ? 0 : between(0, height, (second - from) / lasts));
}

/** At intervals by chance, as a Poisson stream's. */
function bursts(chance: Chance): Happening {
  const extra = new Float64Array(DURATION_SECONDS);
  const mean = drawn(chance, 100, 400);
  for (let at = 60; at < DURATION_SECONDS - 120; at += 20 - Math.log(1 - chance()) * mean) {
    const lasts = whole(chance, 5, 30);
    const height = drawn(chance, 20, 150);
    for (let second = Math.floor(at); second < at + lasts; second++)
      extra[second] = (extra[second] ?? 0) + height;
  }
  return (second) => extra[second] ?? 0;
}

function outage(chance: Chance): readonly [from: number, until: number] {
  const from = drawn(chance, 100, 1600);
  return [from, from + drawn(chance, 5, 20)];
}

function slowStore(chance: Chance): (second: number) => number {
  const from = drawn(chance, 200, 1200);
  const until = from + drawn(chance, 60, 500);
  const factor = drawn(chance, 0.5, 0.9);
  return (second) => (second >= from && second < until ? factor : 1);
}

const drawn = (chance: Chance, least: number, most: number): number => least + (most - least) * chance();
const whole = (chance: Chance, least: number, most: number): number =>
  Math.floor(drawn(chance, least, most + 1));
function oneOf<T>(chance: Chance, some: readonly [T, ...T[]]): T {
  return some[Math.floor(chance() * some.length)] ?? some[0];
}
