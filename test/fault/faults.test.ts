import { describe, expect, test } from "vitest";
import { enoughForEachKind, planFaults, type Planned } from "./faults.ts";
import { links, members } from "./members.ts";
import { seededRandom } from "./random.ts";

const kinds = [
  "kill member",
  "stop member",
  "kill part",
  "stop part",
  "cut link",
  "stall link",
  "half-close link",
] as const;
const plan = (faults: number, seconds: number, seed: number): readonly Planned[] =>
  planFaults(faults, seconds, seededRandom(seed));
const distinct = (plans: readonly Planned[], of: (planned: Planned) => string): readonly string[] =>
  Array.from(new Set(plans.map(of))).toSorted();
const seeds = Array.from({ length: 200 }, (_, seed) => seed * 7919);

describe("a plan", () => {
  test("of sixty faults has every kind, and every process, part and link as a target", () => {
    const targets = [...members.map(({ name }) => name), ...links.map(({ name }) => name), "broker", "store"];
    for (const seed of seeds) {
      const planned = plan(60, 600, seed);
      expect(planned.length).toBe(60);
      expect(distinct(planned, ({ fault }) => fault.kind)).toEqual(kinds.toSorted());
      expect(distinct(planned, ({ fault }) => fault.target)).toEqual(targets.toSorted());
    }
  });

  test("of the fewest faults that are enough has every kind, and every group as a target", () => {
    const groups = new Set([...members, ...links].map(({ group }) => group));
    expect(enoughForEachKind).toBe(15);
    for (const seed of seeds) {
      const planned = plan(enoughForEachKind, 90, seed);
      expect(distinct(planned, ({ fault }) => fault.kind)).toEqual(kinds.toSorted());
      const parts = planned.filter(({ fault }) => fault.kind.endsWith("part"));
      expect(distinct(parts, ({ fault: { kind, target } }) => `${kind} ${target}`).length).toBe(4);
      const met = new Set(planned.map(({ fault }) => fault.group));
      expect(Array.from(groups).filter((group) => !met.has(group))).toEqual([]);
    }
  });

  test("kills a worker that has deliveries in hand: just after the store has failed", () => {
    for (const seed of seeds) {
      const planned = plan(enoughForEachKind, 90, seed);
      const failing = planned.filter(({ fault }) => fault.group === "store");
      const killed = planned.filter(
        ({ fault: { kind, group } }) => kind === "kill member" && group === "worker",
      );
      const delays = failing.flatMap((store) => killed.map((worker) => worker.atMs - store.atMs));
      expect(delays.filter((ms) => ms >= 200 && ms <= 1500).length).toBeGreaterThanOrEqual(1);
    }
  });

  test("is in order and within its time, and some faults of it come at once", () => {
    let atOnce = 0;
    for (const seed of seeds) {
      const instants = plan(60, 600, seed).map(({ atMs }) => atMs);
      expect(instants).toEqual(instants.toSorted((one, other) => one - other));
      expect(instants[0]).toBeGreaterThanOrEqual(0);
      expect(instants.at(-1)).toBeLessThanOrEqual(600_000);
      atOnce += instants.length - new Set(instants).size;
    }
    expect(atOnce / seeds.length).toBeGreaterThan(3);
  });

  test("is the same for the same seed, and another for another", () => {
    expect(plan(60, 600, 7)).toEqual(plan(60, 600, 7));
    expect(plan(60, 600, 7)).not.toEqual(plan(60, 600, 8));
  });
});
