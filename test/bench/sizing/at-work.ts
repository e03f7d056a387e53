import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds } from "../cpu.ts";
import { batchesOf, type Posts, singles, WARM_UP_SECONDS } from "../posts.ts";
import { runLoad, startBare } from "../processes.ts";
import { sharedOutBytes } from "../resident.ts";
import { type Progress, whole } from "../rounds.ts";
import { type Batch, BATCHES, type Figure, middle } from "./figure.ts";

/** What is measured while it works: a Millrace with all that belongs to it. */
export interface Subject {
  readonly collectorUrl: string;
  /** The processes of each component, as they are now. */
  pids(): Readonly<Record<string, readonly number[]>>;
  /** Resolves once the views have all that was accepted. */
  settled(): Promise<void>;
}
export interface RoundOptions {
  readonly rounds: number;
  /** Of a round's load; what it leaves to do is waited for. */
  readonly seconds: number;
  /** How long it is watched at rest. */
  readonly restSeconds: number;
}

type Components = Readonly<Record<string, number>>;

const posts: Readonly<Record<Batch, Posts>> = { 1: singles, 100: batchesOf(100), 1000: batchesOf(1000) };
const MEMORY_EVERY_MS = 500;
const BARE = "bare node:http";

/** Time on a core and memory, at rest and for so many events, of each component and of a bare server beside it. */
export async function atWork(
  subject: Subject,
  options: RoundOptions,
  progress: Progress,
): Promise<readonly Figure[]> {
  const { rounds, seconds } = options;
  using bare = await startBare("bare-http.ts");
  const components = Object.keys(subject.pids());
  for (const batch of BATCHES) {
    await bareCost(bare, posts[batch], WARM_UP_SECONDS);
    await round(subject, posts[batch], WARM_UP_SECONDS);
  }
  const rest = await atRest(subject, options.restSeconds);
  progress(`at rest: ${told(rest.cores, 4)} cores`);

  const costs = new Map<Batch, Components[]>(BATCHES.map((batch) => [batch, []]));
  const bareCosts = new Map<Batch, number[]>(BATCHES.map((batch) => [batch, []]));
  const peaks: Record<string, number> = {};
  for (let number = 1; number <= rounds; number += 1) {
    for (const batch of BATCHES) {
      bareCosts.get(batch)?.push(await bareCost(bare, posts[batch], seconds));
      const { events, tookSeconds, spent, peak } = await round(subject, posts[batch], seconds);
      // What each does whether or not there are events is told by itself.
      const cost = mapOf(components, (name) =>
        perMillion((spent[name] ?? 0) - (rest.cores[name] ?? 0) * tookSeconds, events),
      );
      costs.get(batch)?.push(cost);
      for (const [name, bytes] of Object.entries(peak)) peaks[name] = Math.max(peaks[name] ?? 0, bytes);
      progress(
        `round ${number}, batches of ${batch}: ${whole(events)} events in ${tookSeconds.toFixed(1)} s; ${told(cost, 1)}`,
      );
    }
  }

  const byBatch = (figure: (batch: Batch) => number) => ({
    1: figure(1),
    100: figure(100),
    1000: figure(1000),
  });
  const base = byBatch((batch) => middle(bareCosts.get(batch) ?? []));
  const cpu =
    "Seconds on a core for a million events, without what is spent at rest; ratios to the bare server";
  const mib = (bytes: number | undefined) => (bytes ?? 0) / 1024 ** 2;
  const memory = "Memory in RAM";
  return [
    { section: cpu, name: BARE, unit: "s", value: base, base },
    ...components.map((name) => ({
      section: cpu,
      name,
      unit: "s",
      value: byBatch((batch) => middle((costs.get(batch) ?? []).map((cost) => cost[name] ?? 0))),
      base,
    })),
    ...components.map((name) => ({
      section: "At rest, in thousandths of a core",
      name,
      unit: "m",
      value: (rest.cores[name] ?? 0) * 1000,
    })),
    ...components.flatMap((name) => [
      { section: memory, name: `${name}, at rest`, unit: "MiB", value: mib(rest.bytes[name]) },
      { section: memory, name: `${name}, most under load`, unit: "MiB", value: mib(peaks[name]) },
    ]),
  ];
}

const perMillion = (seconds: number, events: number): number => Math.max(0, (seconds / events) * 1e6);

async function bareCost(
  bare: { readonly url: string; readonly pid: number },
  { loadOf }: Posts,
  seconds: number,
): Promise<number> {
  const before = cpuSeconds([bare.pid]);
  const { events } = await runLoad(loadOf(bare.url, seconds));
  if (events === 0) throw new Error("the bare server took nothing at all");
  return perMillion(cpuSeconds([bare.pid]) - before, events);
}

/** One load, until all of it is in the views. */
async function round(subject: Subject, { loadOf }: Posts, seconds: number) {
  const before = spentBy(subject);
  const begunMs = performance.now();
  const peak: Record<string, number> = {};
  const done = new AbortController();
  const watching = watchMemory(subject, peak, done.signal);
  const { events, refusals } = await runLoad(loadOf(subject.collectorUrl, seconds));
  await subject.settled();
  const tookSeconds = (performance.now() - begunMs) / 1000;
  const after = spentBy(subject);
  done.abort();
  await watching;
  if (events === 0) throw new Error(`nothing was accepted: ${JSON.stringify(refusals)}`);
  const spent = mapOf(Object.keys(after), (name) => (after[name] ?? 0) - (before[name] ?? 0));
  return { events, tookSeconds, spent, peak };
}

async function atRest(subject: Subject, seconds: number) {
  const before = spentBy(subject);
  const begunMs = performance.now();
  await sleep(seconds * 1000);
  const took = (performance.now() - begunMs) / 1000;
  const after = spentBy(subject);
  return {
    cores: mapOf(Object.keys(after), (name) => ((after[name] ?? 0) - (before[name] ?? 0)) / took),
    bytes: await memoryOf(subject),
  };
}

async function watchMemory(subject: Subject, peak: Record<string, number>, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    const now = await memoryOf(subject);
    for (const [name, bytes] of Object.entries(now)) peak[name] = Math.max(peak[name] ?? 0, bytes);
    await sleep(MEMORY_EVERY_MS, undefined, { signal: done }).catch(() => {});
  }
}

function spentBy(subject: Subject): Components {
  return Object.fromEntries(Object.entries(subject.pids()).map(([name, pids]) => [name, cpuSeconds(pids)]));
}

async function memoryOf(subject: Subject): Promise<Components> {
  const sizes = Object.entries(subject.pids()).map(
    async ([name, pids]) => [name, await sharedOutBytes(pids)] as const,
  );
  return Object.fromEntries(await Promise.all(sizes));
}

function mapOf(names: readonly string[], figure: (name: string) => number): Components {
  return Object.fromEntries(names.map((name) => [name, figure(name)]));
}

function told(figures: Components, digits: number): string {
  return Object.entries(figures)
    .map(([name, figure]) => `${name} ${figure.toFixed(digits)}`)
    .join(", ");
}
