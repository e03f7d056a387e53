/** The middle and the tail of what was measured, such as latencies in milliseconds; 0 where nothing was. */
export function quantilesOf(measured: readonly number[]): { readonly p50Ms: number; readonly p99Ms: number } {
  const sorted = measured.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
