import { chanceFrom, normal } from "./chance.ts";
import { between, type Trace, traceOf } from "./trace.ts";

const steady = traceOf({ name: "steady", seed: 11, durationSeconds: 1800 }, () => 80);

const stepUp10 = traceOf({ name: "stepUp10", seed: 12, durationSeconds: 2100 }, (second) =>
  second < 600 || second >= 1500 ? 20 : 200,
);

const spikeTrain = traceOf(
  { name: "spikeTrain", seed: 13, durationSeconds: 2160 },
  (second) => 30 + (second >= 120 && (second - 120) % 180 < 20 ? 220 : 0),
);

const diurnal = traceOf(
  { name: "diurnal", seed: 14, durationSeconds: 3600 },
  (second) => 120 - 100 * Math.cos((2 * Math.PI * second) / 1800),
);

const sawtooth = traceOf(
  { name: "sawtooth", seed: 15, durationSeconds: 2400 },
  (second) => 20 + 180 * ((second % 300) / 300),
);

/** From nothing to something and back, slowly and at once. */
const rampZero = traceOf(
  { name: "rampZero", seed: 16, durationSeconds: 3600 },
  (second) => {
    if (second < 300) return 0;
    if (second < 600) return between(0, 150, (second - 300) / 300);
    if (second < 900) return 150;
    if (second < 1200) return between(150, 0, (second - 900) / 300);
    if (second < 2100) return 0;
    if (second < 2400) return 60;
    return second >= 3000 && second < 3060 ? 120 : 0;
  },
  { initialReplicas: 0 },
);

/** Bursts whose sizes follow Pareto's law. */
function heavyTail(): Trace {
  const durationSeconds = 2700;
  const chance = chanceFrom(4242);
  const bursts = new Float64Array(durationSeconds);
  for (let at = 60; at < durationSeconds - 120; ) {
    const size = Math.min(5000, 400 * (1 - chance()) ** (-1 / 1.2));
    const lasts = 5 + Math.floor(15 * chance());
    for (let second = at; second < Math.min(durationSeconds, at + lasts); second++) {
      bursts[second] = (bursts[second] ?? 0) + size / lasts;
    }
    at += Math.ceil(-Math.log(1 - chance()) * 150) + 5;
  }
  return traceOf({ name: "heavyTail", seed: 17, durationSeconds }, (second) => 40 + (bursts[second] ?? 0));
}

/** A store that gets slow, recovers, and stalls. */
const slowDatabase = traceOf({ name: "slowDatabase", seed: 18, durationSeconds: 2400 }, () => 100, {
  serviceFactor: (second) => {
    if (second < 600) return 1;
    if (second < 1200) return 0.4;
    if (second < 1500) return between(0.4, 1, (second - 1200) / 300);
    return second >= 1800 && second < 1860 ? 0.25 : 1;
  },
});

/** Noise on three time scales, as in recorded traffic, and a job that fires every five minutes. */
function noisyRecorded(): Trace {
  const durationSeconds = 3600;
  const chance = chanceFrom(90210);
  const noises = [
    { lastsSeconds: 15, sigma: 0.18, value: 0 },
    { lastsSeconds: 90, sigma: 0.28, value: 0 },
    { lastsSeconds: 700, sigma: 0.35, value: 0 },
  ];
  return traceOf({ name: "noisyRecorded", seed: 19, durationSeconds }, (second) => {
    for (const noise of noises) {
      noise.value +=
        -noise.value / noise.lastsSeconds + noise.sigma * Math.sqrt(2 / noise.lastsSeconds) * normal(chance);
    }
    const sum = noises.reduce((all, { value }) => all + value, 0);
    const job = second % 300 < 12 ? 140 : 0;
    return Math.min(420, 75 * Math.exp(sum - 0.11) + job);
  });
}

/** The broker cannot be asked while the load changes. */
const blindRamp = traceOf(
  { name: "blindRamp", seed: 20, durationSeconds: 1800 },
  (second) => {
    if (second < 400) return 60;
    if (second < 700) return between(60, 160, (second - 400) / 300);
    return second < 1200 ? 160 : 30;
  },
  {
    outages: [
      [300, 420],
      [900, 960],
      [1260, 1500],
    ],
  },
);

/** The days that everybody knows, and may have been tuned to. */
export const knownTraces: readonly Trace[] = [
  steady,
  stepUp10,
  spikeTrain,
  diurnal,
  sawtooth,
  rampZero,
  heavyTail(),
  slowDatabase,
  noisyRecorded(),
  blindRamp,
];
