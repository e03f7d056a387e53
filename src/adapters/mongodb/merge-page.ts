import type { PeriodCount } from "../../ports/store.ts";

export interface Key {
  readonly period: string;
  readonly metric: string;
}
/** Of the periods `from` to `to`, at most `limit` that come after `after`. */
export interface Window {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly after: Key | undefined;
  readonly limit: number;
}
/**
 * Some of the counts: the window's first ones by period, then metric. At least `limit` of them mean that there may be more;
 * fewer are all.
 */
export type Source = (window: Window) => Promise<readonly PeriodCount[]>;

/** The sums of all sources in a window, without those that come to 0. */
export async function mergePage(sources: readonly Source[], window: Window): Promise<readonly PeriodCount[]> {
  const page: PeriodCount[] = [];
  let { after } = window;
  for (;;) {
    const from = { ...window, after };
    const chunks = await Promise.all(sources.map((source) => source(from)));
    // Beyond the end of a source that has more, sums are not whole.
    const end = chunks
      .flatMap((chunk) => (chunk.length < window.limit ? [] : chunk.slice(-1)))
      .toSorted(byCodePoint)[0];
    page.push(...summed(chunks.flat(), end));
    if (end === undefined || page.length >= window.limit) return page.slice(0, window.limit);
    after = end;
  }
}

function summed(counts: readonly PeriodCount[], end: Key | undefined): readonly PeriodCount[] {
  const sums = new Map<string, PeriodCount>();
  for (const one of counts) {
    if (end !== undefined && byCodePoint(one, end) > 0) continue;
    const key = `${one.period} ${one.metric}`;
    sums.set(key, { ...one, count: one.count + (sums.get(key)?.count ?? 0) });
  }
  return Array.from(sums.values())
    .filter(({ count }) => count !== 0)
    .toSorted(byCodePoint);
}

/** By period, then metric, as databases order texts: UTF-16 units would put those above U+FFFF before some below. */
export function byCodePoint(a: Key, b: Key): number {
  if (a.period !== b.period) return a.period < b.period ? -1 : 1;
  const end = Math.min(a.metric.length, b.metric.length);
  for (let i = 0; i < end; i += 1) {
    const [x, y] = [a.metric.charCodeAt(i), b.metric.charCodeAt(i)];
    if (x !== y) return rankOf(x) - rankOf(y);
  }
  return a.metric.length - b.metric.length;
}

/** Surrogates come after all else: they stand for what lies above U+FFFF. */
const rankOf = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);
