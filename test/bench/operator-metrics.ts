/** One sample of a Prometheus text. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All samples of a text that Prometheus could scrape; comments are left out. */
export function samplesIn(text: string): readonly MetricSample[] {
  return text.split("\n").flatMap((line) => {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (found === null) return [];
    const [, name = "", labels = "", value = ""] = found;
    const pairs = Array.from(labels.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g), ([, key = "", of = ""]) => [
      key,
      of,
    ]);
    return [
      {
        name,
        labels: Object.fromEntries(pairs),
        value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value),
      },
    ];
  });
}

/** How far a counter has moved between two texts, by what `nameOf` makes of its labels, where it has; undefined leaves a sample out. */
export function movedBy(
  before: readonly MetricSample[],
  after: readonly MetricSample[],
  counter: string,
  nameOf: (labels: MetricSample["labels"]) => string | undefined,
): ReadonlyMap<string, number> {
  return new Map(Array.from(differences(before, after, counter, nameOf)).filter(([, by]) => by !== 0));
}

function differences(
  before: readonly MetricSample[],
  after: readonly MetricSample[],
  counter: string,
  nameOf: (labels: MetricSample["labels"]) => string | undefined,
): ReadonlyMap<string, number> {
  const moved = new Map<string, number>();
  const add = (samples: readonly MetricSample[], sign: 1 | -1): void => {
    for (const { name, labels, value } of samples) {
      const key = name === counter ? nameOf(labels) : undefined;
      if (key !== undefined) moved.set(key, (moved.get(key) ?? 0) + sign * value);
    }
  };
  add(after, 1);
  add(before, -1);
  return moved;
}

/** What a histogram has taken between two texts. */
export interface Observed {
  readonly count: number;
  /** As Prometheus' histogram_quantile: even within a bucket. In the unit of the histogram; 0 where nothing was observed. */
  quantile(share: number): number;
  /** Upper bound of the highest bucket that has something in it. */
  readonly most: number;
}

/** Of the samples that have all of these labels, among others. */
export function observedBy(
  before: readonly MetricSample[],
  after: readonly MetricSample[],
  histogram: string,
  labels: MetricSample["labels"] = {},
): Observed {
  const wanted = Object.entries(labels);
  const leOf = (has: MetricSample["labels"]) =>
    wanted.every(([name, value]) => has[name] === value) ? has["le"] : undefined;
  const moved = differences(before, after, `${histogram}_bucket`, leOf);
  const buckets = Array.from(moved, ([le, count]) => ({
    le: le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le),
    count,
  })).toSorted((a, b) => a.le - b.le);
  const count = buckets.at(-1)?.count ?? 0;
  return {
    count,
    quantile(share) {
      let [from, below] = [0, 0];
      for (const { le, count: upTo } of buckets) {
        if (upTo >= share * count && upTo > below) {
          // Nothing is known of how far beyond the last bound it is.
          return le === Number.POSITIVE_INFINITY
            ? from
            : from + ((le - from) * (share * count - below)) / (upTo - below);
        }
        [from, below] = [le, upTo];
      }
      return 0;
    },
    most: (count > 0 && buckets.find((bucket) => bucket.count >= count)?.le) || 0,
  };
}
