import type { Day } from "./day.ts";

/** What a day costs at the least, in replica-seconds. */
export interface Least {
  readonly replicaSeconds: number;
  /** Of it the work itself. */
  readonly work: number;
  /** Whether the most replicas that may be are enough to keep the objective. */
  readonly feasible: boolean;
}

/**
 * A bound for one who knows the day in advance: all the work, each message done at the fastest moment within its objective, and
 * the start of as few replicas as keep every message within the objective. The latter is the length of a taut string between
 * what has been published and what must be done (all of it shifted by the objective). It is a fluid, so nobody reaches 1.0.
 */
export function clairvoyant({ trace, model, stepsASecond, arrivals, serviceRates }: Day): Least {
  const objective = Math.floor(model.objectiveSeconds);
  const end = trace.durationSeconds + objective;
  const upper = new Float64Array(end + 1);
  let work = 0;
  for (let second = 0; second < end; second++) {
    if (second < trace.durationSeconds) {
      let count = 0;
      for (let step = 0; step < stepsASecond; step++) count += arrivals[second * stepsASecond + step] ?? 0;
      let best = 0;
      for (let later = second; later <= second + objective; later++)
        best = Math.max(best, serviceRates[later] ?? 0);
      work += count / best;
    }
    upper[second + 1] = work;
  }
  const lower = upper.map((_, second) => (second < objective ? 0 : (upper[second - objective] ?? 0)));
  const { rise, peak } = tautString(lower, upper, trace.initialReplicas === 0 ? 0 : Number.POSITIVE_INFINITY);
  const startSeconds = (model.leastStartSeconds + model.mostStartSeconds) / 2 + model.shutdownSeconds;
  return { replicaSeconds: work + startSeconds * rise, work, feasible: peak <= model.maxReplicas };
}

/** The shortest line between two others: how much its slope rises in all, from `slope` on, and how steep it gets. */
function tautString(lower: Float64Array, upper: Float64Array, from: number): { rise: number; peak: number } {
  const end = upper.length - 1;
  let slope = from;
  let rise = 0;
  let peak = 0;
  for (let at = 0, height = 0; at < end; ) {
    const next = nextCorner(lower, upper, at, height);
    const steep = (next.height - height) / (next.at - at);
    if (steep > slope) rise += steep - slope;
    slope = steep;
    peak = Math.max(peak, steep);
    ({ at, height } = next);
  }
  return { rise, peak };
}

/** Where a straight line from here has to bend. */
function nextCorner(
  lower: Float64Array,
  upper: Float64Array,
  from: number,
  height: number,
): { at: number; height: number } {
  const end = upper.length - 1;
  let steepest = { slope: Number.POSITIVE_INFINITY, at: from };
  let flattest = { slope: Number.NEGATIVE_INFINITY, at: from };
  for (let at = from + 1; at <= end; at++) {
    const low = ((lower[at] ?? 0) - height) / (at - from);
    const high = ((upper[at] ?? 0) - height) / (at - from);
    if (low > steepest.slope) return { at: steepest.at, height: upper[steepest.at] ?? 0 };
    if (high < flattest.slope) return { at: flattest.at, height: lower[flattest.at] ?? 0 };
    if (low >= flattest.slope) flattest = { slope: low, at };
    if (high <= steepest.slope) steepest = { slope: high, at };
  }
  return { at: end, height: upper[end] ?? 0 };
}
