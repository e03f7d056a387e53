import { describe, expect, test } from "vitest";
import { Intake } from "../../src/adapters/rabbitmq/intake.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** An intake whose items are dealt with when the test says so. */
function held(most: number) {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const intake = new Intake<string>(most, (item) => {
    started.push(item);
    return new Promise((resolve) => ends.set(item, resolve));
  });
  return {
    intake,
    started,
    end: async (item: string): Promise<void> => {
      ends.get(item)?.();
      await Promise.resolve();
      await Promise.resolve();
    },
  };
}

describe("an intake", () => {
  test("hands on no more than so many, in their order, and the next when one is dealt with", async () => {
    const { intake, started, end } = held(2);
    for (const item of ["a", "b", "c", "d"]) intake.add(item, 1);
    expect(started).toEqual(["a", "b"]);
    await end("b");
    expect(started).toEqual(["a", "b", "c"]);
    await end("a");
    expect(started).toEqual(["a", "b", "c", "d"]);
  });

  test("hands on no more than a mebibyte, and a larger one alone", async () => {
    const { intake, started, end } = held(10);
    intake.add("a", 600 * KIB);
    intake.add("b", 400 * KIB);
    intake.add("c", 100 * KIB);
    expect(started).toEqual(["a", "b"]);
    await end("b");
    expect(started).toEqual(["a", "b", "c"]);
    intake.add("large", 5 * MIB);
    await end("a");
    expect(started).not.toContain("large");
    await end("c");
    expect(started).toContain("large");
    intake.add("after", 1);
    expect(started).not.toContain("after");
    await end("large");
    expect(started).toContain("after");
  });

  test("forgets what waits and is of no use any more", async () => {
    const { intake, started, end } = held(1);
    for (const item of ["a", "old", "b"]) intake.add(item, 1);
    intake.keep((item) => item !== "old");
    await end("a");
    expect(started).toEqual(["a", "b"]);
  });

  test.for([
    ["at first", [], 64, 4],
    ["at first, where fewer are wanted", [], 2, 2],
    ["of small ones", [100], 64, 64],
    ["of a mebibyte", [MIB], 64, 16],
    ["of ten mebibytes", [10 * MIB], 64, 1],
    ["of none with bytes", [0], 64, 64],
    ["of sizes that grow", [100, ...Array.from({ length: 30 }, () => MIB)], 64, 16],
  ] as const)("asks %s for what fits", ([, sizes, most, prefetch]) => {
    const { intake } = held(most);
    for (const [i, bytes] of sizes.entries()) intake.add(String(i), bytes);
    expect(intake.prefetch()).toBe(prefetch);
  });

  test("asks for another prefetch only where it is far off", () => {
    const { intake } = held(64);
    intake.add("a", MIB);
    expect(intake.prefetch(12)).toBe(12);
    expect(intake.prefetch(31)).toBe(31);
    expect(intake.prefetch(32)).toBe(16);
    expect(intake.prefetch(8)).toBe(16);
  });
});
