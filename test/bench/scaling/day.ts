import { type Chance, chanceFrom, normal, poisson, seedOf } from "./chance.ts";
import { type Model, usualModel } from "./model.ts";
import type { Trace } from "./trace.ts";

/** What chance makes of a trace: the same for every policy. */
export interface Day {
  readonly trace: Trace;
  readonly run: number;
  readonly model: Model;
  readonly stepsASecond: number;
  /** Messages published in each step, and in all. */
  readonly arrivals: Uint32Array;
  readonly messages: number;
  /** Messages a second of a mean worker, for each second. */
  readonly serviceRates: Float64Array;
}

/** The `run`th day of a trace; a trace overrides the usual model, and `changes` override both. */
export function dayOf(trace: Trace, run: number, changes: Partial<Model> = {}): Day {
  const model = { ...usualModel, ...trace.model, ...changes };
  const stepsASecond = Math.round(1 / model.stepSeconds);
  const chance = chanceFor("arrivals", trace, run);
  const arrivals = new Uint32Array(trace.durationSeconds * stepsASecond);
  let messages = 0;
  for (let step = 0; step < arrivals.length; step++) {
    const mean = trace.perSecond[Math.floor(step / stepsASecond)] ?? 0;
    const count = poisson(chance, mean * model.stepSeconds);
    arrivals[step] = count;
    messages += count;
  }
  return {
    trace,
    run,
    model,
    stepsASecond,
    arrivals,
    messages,
    serviceRates: serviceRatesOf(trace, run, model),
  };
}

/** Each part of a day has chances of its own, so that a policy changes nothing but what it decides. */
export function chanceFor(
  part: "arrivals" | "drift" | "start" | "work",
  { name, seed }: Trace,
  run: number,
): Chance {
  return chanceFrom(seedOf(`${name}|${part}`, seed, run));
}

/** What the store makes of it, and an Ornstein-Uhlenbeck drift. */
function serviceRatesOf(trace: Trace, run: number, model: Model): Float64Array {
  const chance = chanceFor("drift", trace, run);
  const { driftSigma, driftSeconds, serviceRate, tailSeconds } = model;
  let drift = 0;
  return Float64Array.from({ length: trace.durationSeconds + tailSeconds }, (_, second) => {
    drift += -drift / driftSeconds + driftSigma * Math.sqrt(2 / driftSeconds) * normal(chance);
    const factor = trace.serviceFactor?.(Math.min(second, trace.durationSeconds - 1)) ?? 1;
    return serviceRate * Math.exp(drift) * factor;
  });
}
