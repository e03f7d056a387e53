import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, inject, test } from "vitest";
import { DAY_MS, dayOf, distinctName, monthOf } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent } from "../../src/domain/envelope.ts";
import { firstDayKept, firstMonthKept } from "../../src/domain/retention.ts";
import type { PeriodCount, Store } from "../../src/ports/store.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { seededRandom } from "../fault/random.ts";
import type { Told } from "./compactor.ts";

const storeAt = inject("store");

const SEED = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);
const START = Date.parse("2096-03-01T12:00:00Z");
const DAYS = 180;
const KEEP_DAYS = 30;
const KEEP_MONTHS = 3;
const MESSAGES_A_DAY = 16;
const DEDUP_WINDOW_MS = DAY_MS;
/** Some that every message has, and many that are seen now and then. */
const METRICS = [
  "reads",
  "writes",
  "scans",
  "Ω",
  "👩‍🚀",
  ...Array.from({ length: 60 }, (_, i) => `rare ${i}`),
];
const all = { from: undefined, to: undefined, page: { limit: 10_000, after: undefined } };

/** Counts by `<period> <metric>`, made from single events without the code under test. */
class Counts {
  readonly days = new Map<string, number>();
  readonly months = new Map<string, number>();

  add(events: readonly AcceptedEvent[]): void {
    for (const { atMs, metric } of events) {
      const day = new Date(atMs).toISOString().slice(0, 10);
      plusOne(this.days, `${day} ${metric}`);
      plusOne(this.months, `${day.slice(0, 7)} ${metric}`);
    }
  }
}
function plusOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
const byKey = (rows: readonly PeriodCount[]): ReadonlyMap<string, number> =>
  new Map(rows.map(({ period, metric, count }) => [`${period} ${metric}`, count]));

/** A compactor in a process of its own, killed with SIGKILL at any moment and started again, time after time. */
class DoomedCompactor implements AsyncDisposable {
  kills = 0;
  readonly failures: string[] = [];
  readonly #url: string;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;
  #nowMs: number;
  #child: ChildProcess | undefined;

  constructor(url: string, nowMs: number, random: ReturnType<typeof seededRandom>) {
    this.#url = url;
    this.#nowMs = nowMs;
    this.#random = random;
    this.#run = this.#liveAndDie();
  }

  set nowMs(nowMs: number) {
    this.#nowMs = nowMs;
    if (this.#child?.connected === true) this.#child.send(nowMs, () => {});
  }

  async #liveAndDie(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const words = [this.#url, String(this.#nowMs), String(DEDUP_WINDOW_MS)];
      const child = fork(resolve(import.meta.dirname, "compactor.ts"), words, { execArgv: [] });
      const exit = once(child, "exit");
      this.#child = child;
      const works = new Promise<void>((done) => {
        child.on("message", (told: Told) => {
          if (told.kind === "works") done();
          else this.failures.push(told.reason);
        });
      });
      await Promise.race([works, exit]);
      if (child.exitCode !== null) this.failures.push(`it ended with ${child.exitCode}`);
      // Any moment of its first passes, or of a later one.
      await sleep(this.#random.skewed(1, 800));
      child.kill("SIGKILL");
      await exit;
      this.kills += 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }
}

test.skipIf(storeAt === undefined)(
  "six months of history go through days and months with two compactors racing and killed, to the last event",
  async () => {
    const random = seededRandom(SEED);
    console.log(`seed ${SEED}: MILLRACE_TEST_SEED sets it`);
    await using world = await mongodbStore(storeAt?.url ?? "")();
    await using store = await world.open();
    await store.ready();
    await using parts = new AsyncDisposableStack();
    const compactors = [1, 2].map((i) =>
      parts.use(new DoomedCompactor(world.url, START, seededRandom(SEED + i))),
    );

    // A read must hold what was acknowledged when it began, and no more than was asked for when it ended.
    const asked = new Counts();
    const acknowledged = new Counts();
    let reads = 0;
    let nowMs = START;
    const stop = new AbortController();
    const reading = Promise.all([
      (async () => {
        while (!stop.signal.aborted) {
          const least = new Map(acknowledged.months);
          const rows = byKey(await store.distinctNames({ granularity: "month", ...all }));
          expectWithin(rows, since(least, firstMonthOf(nowMs)), asked.months);
          reads += 1;
        }
      })(),
      (async () => {
        while (!stop.signal.aborted) {
          const least = new Map(acknowledged.days);
          const rows = byKey(await store.distinctNames({ granularity: "day", ...all }));
          // Those that nobody moves before the next day has come.
          const from = dayOf(nowMs - (KEEP_DAYS - 1) * DAY_MS);
          expectWithin(since(rows, from), since(least, from), asked.days);
          reads += 1;
        }
      })(),
    ]);
    reading.catch(() => stop.abort());

    const expectMonths = async () => {
      const rows = byKey(await store.distinctNames({ granularity: "month", ...all }));
      const first = firstMonthOf(nowMs);
      expect(since(rows, first)).toEqual(since(asked.months, first));
      // Of the older ones there is what has come late, until it is discarded, too.
      expectWithin(rows, new Map(), asked.months);
    };
    let events = 0;
    let delivered: { readonly id: string; readonly events: readonly AcceptedEvent[] }[] = [];
    for (let day = 0; day < DAYS && !stop.signal.aborted; day += 1) {
      nowMs = START + day * DAY_MS;
      for (const compactor of compactors) compactor.nowMs = nowMs;
      const today = Array.from({ length: MESSAGES_A_DAY }, (_, i) => ({
        id: `day ${day} message ${i}`,
        events: eventsOf(random, nowMs),
      }));
      // Delivered again: some of today's at the same time, and some of yesterday's.
      const again = [...today, ...delivered].filter(() => random.chance(0.2));
      await Promise.all([
        ...today.map(async (message) => {
          asked.add(message.events);
          events += message.events.length;
          await store.apply(distinctName.fold(message), nowMs);
          acknowledged.add(message.events);
        }),
        ...again.map(async (message) => {
          await sleep(random.integer(0, 50));
          await store.apply(distinctName.fold(message), nowMs);
        }),
      ]);
      delivered = today;
      // All is acknowledged, and the compactors race on.
      if (day % 10 === 9) await expectMonths();
      await sleep(100);
    }
    stop.abort();
    await reading;
    await parts.disposeAsync();

    await expectMonths();
    await mergeAll(store, nowMs);
    await expectMonths();
    await discardAll(store, nowMs);
    const months = byKey(await store.distinctNames({ granularity: "month", ...all }));
    expect(months).toEqual(since(asked.months, firstMonthOf(nowMs)));
    expect(months.size).toBeLessThan(asked.months.size);
    const kept = firstDayKept(nowMs, KEEP_DAYS);
    const days = await store.distinctNames({ granularity: "day", ...all });
    expect(byKey(days)).toEqual(since(asked.days, kept));
    expect(new Set(days.map(({ period }) => monthOf(period))).size).toBeLessThanOrEqual(2);

    const kills = compactors.map((compactor) => compactor.kills);
    console.log(`${events} events, compactors killed ${kills.join(" and ")} times, ${reads} reads`);
    expect(compactors.flatMap(({ failures }) => failures)).toEqual([]);
    expect(Math.min(...kills)).toBeGreaterThan(9);
    expect(reads).toBeGreaterThan(DAYS);
  },
  600_000,
);

/** Most of them of the last day, some of any day since the start, which may be in its month long since. */
function eventsOf(random: ReturnType<typeof seededRandom>, nowMs: number): readonly AcceptedEvent[] {
  return Array.from({ length: random.skewed(1, 60) }, () => ({
    username: "ann",
    metric: METRICS[random.skewed(1, METRICS.length) - 1] ?? "reads",
    count: 1,
    atMs: random.chance(0.8) ? nowMs - random.integer(0, DAY_MS) : random.integer(START - 2 * DAY_MS, nowMs),
    id: undefined,
  }));
}

function since(counts: ReadonlyMap<string, number>, day: string): ReadonlyMap<string, number> {
  return new Map(Array.from(counts).filter(([key]) => key >= day));
}

function expectWithin(
  counts: ReadonlyMap<string, number>,
  least: ReadonlyMap<string, number>,
  most: ReadonlyMap<string, number>,
): void {
  const lost = Array.from(least).filter(([key, count]) => (counts.get(key) ?? 0) < count);
  const added = Array.from(counts).filter(([key, count]) => count > (most.get(key) ?? 0));
  expect({ lost, added }).toEqual({ lost: [], added: [] });
}

async function mergeAll(store: Store, nowMs: number): Promise<void> {
  while ((await store.mergeMonths(firstDayKept(nowMs, KEEP_DAYS), nowMs)) > 0);
}

async function discardAll(store: Store, nowMs: number): Promise<void> {
  for (let left = true; left; ) {
    left = false;
    await store.discardMonths(firstMonthOf(nowMs), nowMs, () => {
      left = true;
    });
  }
}

function firstMonthOf(nowMs: number): string {
  return firstMonthKept(nowMs, { keepMonths: KEEP_MONTHS, keepDays: KEEP_DAYS }) ?? "";
}
