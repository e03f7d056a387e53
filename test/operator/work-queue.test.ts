import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { createWorkQueue, type WorkQueue } from "../../operator/work-queue.ts";
import { HandClock } from "./hand-clock.ts";

let clock: HandClock;
let beganMs: number;
let queue: WorkQueue;
beforeEach(() => {
  clock = new HandClock();
  beganMs = clock.now();
  queue = createWorkQueue({ clock, workers: 2, firstRetryMs: 1000, longestRetryMs: 60_000 });
});

type Work = Parameters<WorkQueue["run"]>[0];
const never = { againInMs: undefined };

/** What was worked on, and when, in milliseconds since the beginning. */
function running(work: Work = async () => never) {
  const done: (readonly [key: string, atMs: number])[] = [];
  const stop = new AbortController();
  let ended = false;
  const run = queue
    .run((key, lateMs) => {
      done.push([key, clock.now() - beganMs]);
      return work(key, lateMs);
    }, stop.signal)
    .then(() => {
      ended = true;
    });
  return { done, run, stop: () => stop.abort(), ended: () => ended };
}

test("a key is worked on once, however often it was added", async () => {
  for (let i = 0; i < 5; i += 1) queue.add("a");
  const { done } = running();
  await clock.pass(1000);
  for (let i = 0; i < 5; i += 1) queue.add("a");
  await clock.pass(1000);
  expect(done).toEqual([
    ["a", 0],
    ["a", 1000],
  ]);
});

test("of two times the earlier wins", async () => {
  queue.add("a", 5000);
  queue.add("a", 2000);
  queue.add("a", 9000);
  const { done } = running();
  await clock.pass(20_000);
  expect(done).toEqual([["a", 2000]]);
});

test("keys come in the order that they are due, and one that is added meanwhile is not waited for", async () => {
  queue.add("late", 3000);
  queue.add("soon", 1000);
  const { done } = running();
  await clock.pass(500);
  queue.add("now");
  await clock.pass(5000);
  expect(done).toEqual([
    ["now", 500],
    ["soon", 1000],
    ["late", 3000],
  ]);
});

test("a key comes again when its work says so, and not where it does not", async () => {
  queue.add("a");
  queue.add("b");
  const { done } = running(async (key) => ({ againInMs: key === "a" ? 2000 : undefined }));
  await clock.pass(5000);
  expect(done).toEqual([
    ["a", 0],
    ["b", 0],
    ["a", 2000],
    ["a", 4000],
  ]);
});

test("a key that is added while it is worked on comes again afterwards, and not before", async () => {
  queue.add("a");
  const { done } = running(async () => {
    await clock.sleep(3000);
    return never;
  });
  await clock.pass(1000);
  queue.add("a");
  await clock.pass(1000);
  expect(done).toEqual([["a", 0]]);
  await clock.pass(10_000);
  expect(done).toEqual([
    ["a", 0],
    ["a", 3000],
  ]);
});

test("no more keys are in hand than there are workers, and what waits is told with how late it is", async () => {
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  const late: number[] = [];
  const { done } = running(async (_key, lateMs) => {
    late.push(lateMs);
    await clock.sleep(1000);
    return never;
  });
  await clock.pass(400);
  expect(done.map(([key]) => key)).toEqual(["a", "b"]);
  expect(queue.depth()).toEqual({ due: 2, lateMs: 400 });
  await clock.pass(600);
  await clock.settle();
  expect(done.map(([key]) => key)).toEqual(["a", "b", "c", "d"]);
  expect(late).toEqual([0, 0, 1000, 1000]);
  expect(queue.depth()).toEqual({ due: 0, lateMs: 0 });
});

test("a key that is removed does not come, and what its work comes to while in hand does not count", async () => {
  queue.add("waits", 1000);
  queue.add("in hand");
  const { done } = running(async () => {
    await clock.sleep(500);
    return { againInMs: 100 };
  });
  await clock.pass(100);
  queue.remove("waits");
  queue.remove("in hand");
  await clock.pass(10_000);
  expect(done).toEqual([["in hand", 0]]);
});

test("a key that is removed and added again while in hand still waits for its worker", async () => {
  queue.add("a");
  const { done } = running(async () => {
    await clock.sleep(1000);
    return never;
  });
  await clock.pass(100);
  queue.remove("a");
  queue.add("a");
  await clock.pass(5000);
  expect(done).toEqual([
    ["a", 0],
    ["a", 1000],
  ]);
});

test("run ends once what is in hand is done, takes nothing new after the stop, and keeps what waits", async () => {
  queue.add("a");
  queue.add("b", 1000);
  const first = running(async () => {
    await clock.sleep(2000);
    return never;
  });
  await clock.pass(500);
  first.stop();
  await clock.pass(1000);
  expect(first.ended()).toBe(false);
  await clock.pass(1000);
  await first.run;
  expect(first.done).toEqual([["a", 0]]);
  const second = running();
  await clock.pass(0);
  expect(second.done).toEqual([["b", 2500]]);
});

describe("a key that fails", () => {
  /** The delays between the tries of a key that fails so many times in a row, then succeeds. */
  async function delays(failures: number): Promise<readonly number[]> {
    let left = failures;
    queue.add("a");
    const { done, stop, run } = running(async () => {
      left -= 1;
      if (left >= 0) throw new Error("it fails");
      return never;
    });
    await clock.pass(1_000_000);
    stop();
    await run;
    return done.slice(1).map(([, atMs], at) => atMs - (done[at]?.[1] ?? 0));
  }

  test("comes again after a delay that doubles up to a bound, with jitter that takes at most half of it", async () => {
    const bounds = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000];
    const seen = await delays(bounds.length);
    expect(seen).toHaveLength(bounds.length);
    for (const [at, most] of bounds.entries()) {
      expect(seen[at]).toBeGreaterThanOrEqual(most / 2);
      expect(seen[at]).toBeLessThanOrEqual(most);
    }
  });

  test("waits for different times on different occasions", async () => {
    const seen = new Set<number>();
    for (let i = 0; i < 10; i += 1) for (const ms of await delays(1)) seen.add(ms);
    expect(seen.size).toBeGreaterThan(1);
  });

  test("begins with the shortest delay again after it succeeded, or was removed", async () => {
    await delays(6);
    expect((await delays(1))[0]).toBeLessThanOrEqual(1000);
    queue.add("a");
    const { done } = running(async () => Promise.reject(new Error("it fails")));
    await clock.pass(100_000);
    queue.remove("a");
    queue.add("a");
    const before = done.length;
    await clock.pass(1000);
    expect(done.length - before).toBeGreaterThanOrEqual(2);
  });

  test("does not hold up the others", async () => {
    queue.add("bad");
    queue.add("good");
    const { done } = running(async (key) => {
      if (key === "bad") throw new Error("it fails");
      return { againInMs: 1000 };
    });
    await clock.pass(10_000);
    expect(done.filter(([key]) => key === "good")).toHaveLength(11);
  });

  test("comes at once where it is added", async () => {
    queue.add("a");
    const { done } = running(async () => Promise.reject(new Error("it fails")));
    await clock.pass(300_000);
    queue.add("a");
    await clock.pass(0);
    expect(done.at(-1)).toEqual(["a", 300_000]);
  });
});

describe("whatever is added, removed and done", () => {
  const keys = fc.constantFrom("a", "b", "c");
  const action = fc.oneof(
    fc.record({ do: fc.constant("add" as const), key: keys, delayMs: fc.nat(3000), passMs: fc.nat(1500) }),
    fc.record({
      do: fc.constant("remove" as const),
      key: keys,
      delayMs: fc.constant(0),
      passMs: fc.nat(1500),
    }),
  );
  const result = fc.record({
    takesMs: fc.nat(2000),
    outcome: fc.oneof(fc.constant("never" as const), fc.constant("fails" as const), fc.nat(2000)),
  });

  test("no key is in two hands, none that was added is lost, and in the end none is left", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { maxLength: 30 }),
        fc.array(result, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3 }),
        async (actions, results, workers) => {
          clock = new HandClock();
          queue = createWorkQueue({ clock, workers });
          const inHand = new Set<string>();
          const faults: string[] = [];
          /** Keys, each with the time until which somebody must have begun to work on it if all hands were free. */
          const owed = new Set<string>();
          const left = [...results];
          const stop = new AbortController();
          const run = queue.run(async (key) => {
            if (inHand.has(key)) faults.push(`${key} is in two hands`);
            if (inHand.size >= workers) faults.push("there are more in hand than workers");
            inHand.add(key);
            owed.delete(key);
            const { takesMs, outcome } = left.shift() ?? { takesMs: 0, outcome: "never" };
            await clock.sleep(takesMs);
            inHand.delete(key);
            if (outcome === "fails") throw new Error("it fails");
            return { againInMs: outcome === "never" ? undefined : outcome };
          }, stop.signal);
          for (const { do: what, key, delayMs, passMs } of actions) {
            if (what === "add") {
              queue.add(key, delayMs);
              owed.add(key);
            } else {
              queue.remove(key);
              owed.delete(key);
            }
            await clock.pass(passMs);
          }
          // All that was added, and all that the results ask for: at most 40 of them, one after the other, each after a back-off.
          await clock.pass(40 * 62_000);
          expect({ faults, owed: [...owed], depth: queue.depth(), inHand: [...inHand] }).toEqual({
            faults: [],
            owed: [],
            depth: { due: 0, lateMs: 0 },
            inHand: [],
          });
          stop.abort();
          await run;
        },
      ),
      { numRuns: 300 },
    );
  });

  test("thousands of keys come each in their time", async () => {
    queue = createWorkQueue({ clock, workers: 16 });
    const times = new Map(Array.from({ length: 3000 }, (_, i) => [`k${i}`, (i * 7919) % 3001] as const));
    for (const [key, delayMs] of times) queue.add(key, delayMs);
    const { done } = running();
    await clock.pass(3001);
    await clock.settle();
    expect(new Map(done)).toEqual(times);
  });
});
