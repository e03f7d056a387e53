import { clairvoyant } from "./clairvoyant.ts";
import { chanceFor, type Day } from "./day.ts";
import { Fifo } from "./fifo.ts";
import type { PolicyFactory, PolicyObservation } from "./policy.ts";
import { Workers } from "./workers.ts";

export interface Run {
  readonly trace: string;
  readonly policy: string;
  readonly run: number;
  readonly messages: number;
  /** From publishing until the acknowledgement, in seconds. */
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  /** Messages that waited longer than the objective, or were not done at the end. */
  readonly missed: number;
  readonly undone: number;
  readonly replicaSeconds: number;
  /** What a clairvoyant would have needed. */
  readonly leastReplicaSeconds: number;
  readonly feasible: boolean;
  readonly directionChanges: number;
  readonly starts: number;
  readonly redelivered: number;
  readonly largestBacklog: number;
  readonly timeline: readonly Moment[];
}

export interface Moment {
  readonly second: number;
  readonly perSecond: number;
  readonly backlog: number;
  readonly current: number;
  readonly ready: number;
  /** The longest that a message done since the last moment has waited, in seconds. */
  readonly waited: number;
}

/** Seconds between two moments of a timeline. */
const MOMENT_SECONDS = 5;

/** A policy meets a day. Throws where a message is lost or made up, at any second. */
export function simulate(day: Day, factory: PolicyFactory): Run {
  const { trace, model, stepsASecond, arrivals } = day;
  const starts = chanceFor("start", trace, day.run);
  const phase = Math.floor(starts() * model.statisticsSeconds * 10) / 10;
  const policy = factory({
    sloSeconds: model.objectiveSeconds,
    minReplicas: model.minReplicas,
    maxReplicas: model.maxReplicas,
    prefetch: model.prefetch,
    hintServiceRate: model.hintedServiceRate,
  });
  const queue = new Fifo(day.messages);
  const waits = new Float32Array(day.messages);
  let done = 0;
  let missed = 0;
  let waited = 0;
  const workers = new Workers({
    model,
    queue,
    starts,
    work: chanceFor("work", trace, day.run),
    acknowledged: (publishedAt, now) => {
      const wait = now - publishedAt;
      waits[done++] = wait;
      if (wait > model.objectiveSeconds) missed++;
      waited = Math.max(waited, wait);
    },
  });
  const { totals } = workers;
  const needed = Math.ceil((trace.perSecond[0] ?? 0) / model.serviceRate / 0.85);
  workers.startAtOnce(Math.min(model.maxReplicas, trace.initialReplicas ?? Math.max(1, needed)));

  const isDark = (now: number) => trace.outages?.some(([from, until]) => now >= from && now < until) === true;
  const read = () => ({
    ready: queue.size,
    unacked: totals.unacknowledged,
    arrivalTotal: arrived,
    deliveredTotal: totals.delivered,
    ackedTotal: totals.acknowledged,
    redeliveredTotal: totals.redelivered,
  });
  let arrived = 0;
  let seen = { sampleTime: 0, ...read() };
  const unread: (typeof seen)[] = [];
  const timeline: Moment[] = [];
  let replicaSeconds = 0;
  let largestBacklog = 0;
  let directionChanges = 0;
  let lastDirection = 0;

  const decideAt = (now: number) => {
    const observation: PolicyObservation = {
      ...seen,
      time: now,
      available: !isDark(now),
      replicasCurrent: workers.current,
      replicasReady: workers.ready,
    };
    const answer = policy.decide(observation);
    if (now % MOMENT_SECONDS === 0) {
      const { replicasCurrent: current, replicasReady: ready } = observation;
      const backlog = queue.size + totals.unacknowledged;
      timeline.push({ second: now, perSecond: trace.perSecond[now] ?? 0, backlog, current, ready, waited });
      waited = 0;
    }
    if (answer === null || !Number.isFinite(answer)) return;
    const wanted = Math.min(model.maxReplicas, Math.max(model.minReplicas, Math.ceil(answer)));
    const direction = Math.sign(wanted - workers.current);
    if (direction === 0) return;
    if (lastDirection !== 0 && direction !== lastDirection) directionChanges++;
    lastDirection = direction;
    workers.scaleTo(wanted, now);
  };
  const assertConserved = (now: number) => {
    const there = done + queue.size + totals.unacknowledged;
    if (arrived !== there)
      throw new Error(`${trace.name}: of ${arrived} messages ${there} are there at ${now} s`);
  };

  const steps = (trace.durationSeconds + model.tailSeconds) * stepsASecond;
  let step = 0;
  for (; step < steps; step++) {
    const now = step * model.stepSeconds;
    const second = Math.floor(step / stepsASecond);
    if (step >= arrivals.length && queue.size + totals.unacknowledged === 0) break;
    if (step % stepsASecond === 0) {
      assertConserved(second);
      while (unread[0] !== undefined && unread[0].sampleTime + model.statisticsDelaySeconds <= now + 1e-9) {
        seen = unread.shift() ?? seen;
      }
      decideAt(second);
    }
    for (let count = arrivals[step] ?? 0; count > 0; count--) {
      queue.push(now);
      arrived++;
    }
    replicaSeconds += workers.pods * model.stepSeconds;
    workers.step(now, (day.serviceRates[second] ?? 0) * model.stepSeconds);
    largestBacklog = Math.max(largestBacklog, queue.size + totals.unacknowledged);
    const samples = (now - phase) / model.statisticsSeconds;
    if (Math.abs(samples - Math.round(samples)) < 1e-6 && !isDark(now)) {
      unread.push({ sampleTime: now, ...read() });
    }
  }
  assertConserved(step);
  waits.fill(step * model.stepSeconds, done);
  const sorted = waits.toSorted();
  const quantile = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  const least = clairvoyant(day);
  return {
    trace: trace.name,
    policy: policy.name,
    run: day.run,
    messages: day.messages,
    p50: quantile(0.5),
    p99: quantile(0.99),
    longest: sorted.at(-1) ?? 0,
    missed: missed + arrived - done,
    undone: arrived - done,
    replicaSeconds,
    leastReplicaSeconds: least.replicaSeconds,
    feasible: least.feasible,
    directionChanges,
    starts: workers.started,
    redelivered: totals.redelivered,
    largestBacklog,
    timeline,
  };
}
