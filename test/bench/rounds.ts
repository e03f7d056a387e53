import type { LoadOptions, LoadResult } from "./load.ts";
import { runLoad } from "./processes.ts";
import type { Base, Row } from "./table.ts";

export type Progress = (line: string) => void;

/** What a round is judged by. */
export interface Rated {
  readonly events: number;
  readonly seconds: number;
}
export interface Rounds {
  readonly rounds: number;
  readonly seconds: number;
  /** Of a round of each before those that count; 0 for none. */
  readonly warmUpSeconds: number;
}
/** Those that are compared, by name: each runs one round of so many seconds at a time. */
export type Contenders<Name extends string, R extends Rated> = Readonly<
  Record<Name, (seconds: number, round: string) => Promise<R>>
>;

/** Lets each have its turn in every round, and answers the median round of each. */
export async function interleave<Name extends string, R extends Rated>(
  contenders: Contenders<Name, R>,
  { rounds, seconds, warmUpSeconds }: Rounds,
): Promise<Readonly<Record<Name, R>>> {
  const names = Object.keys(contenders) as Name[];
  const results = new Map<Name, R[]>(names.map((name) => [name, []]));
  for (let round = warmUpSeconds > 0 ? 0 : 1; round <= rounds; round += 1) {
    for (const name of names) {
      const words = `${round === 0 ? "warm-up" : `round ${round}`}, ${name}`;
      const result = await contenders[name](round === 0 ? warmUpSeconds : seconds, words);
      if (result.events === 0) throw new Error(`${name} took nothing at all`);
      if (round > 0) results.get(name)?.push(result);
    }
  }
  const medians = names.map((name) => [name, medianRound(results.get(name) ?? [])] as const);
  return Object.fromEntries(medians) as Record<Name, R>;
}

/** One round of a load, told as a line. */
export async function measured(load: LoadOptions, round: string, progress: Progress): Promise<LoadResult> {
  const result = await runLoad(load);
  const refusals =
    Object.keys(result.refusals).length > 0 ? `, refusals ${JSON.stringify(result.refusals)}` : "";
  progress(
    `${round}: ${load.kind}${"batch" in load ? ` of ${load.batch}` : ""} ${whole(eventsPerSecond(result))} events/s, ` +
      `p99 ${result.p99Ms.toFixed(1)} ms${refusals}`,
  );
  return result;
}

export function eventsPerSecond({ events, seconds }: Rated): number {
  return events / seconds;
}

export function whole(figure: number): string {
  return Math.round(figure).toLocaleString("en-US");
}

/** Two rows: what a client waits, beside what it waits for the base. */
export function latencies(millrace: LoadResult, base: LoadResult, name: string): readonly Row[] {
  const of = (figure: number): Base => ({ name, figure });
  return [
    { name: "  p50", unit: "ms", millrace: millrace.p50Ms, base: of(base.p50Ms) },
    { name: "  p99", unit: "ms", millrace: millrace.p99Ms, base: of(base.p99Ms) },
  ];
}

function medianRound<R extends Rated>(results: readonly R[]): R {
  const sorted = results.toSorted((a, b) => eventsPerSecond(a) - eventsPerSecond(b));
  return sorted[Math.floor(sorted.length / 2)] as R;
}

/** The middle one; of an even number, the greater of the two. */
export function median<T>(items: readonly T[], figure: (item: T) => number): number {
  return quantile(items, 0.5, figure);
}

/** The one below which that share of the others is. */
export function quantile<T>(items: readonly T[], share: number, figure: (item: T) => number): number {
  return items.map(figure).toSorted((a, b) => a - b)[Math.floor(items.length * share)] ?? Number.NaN;
}
