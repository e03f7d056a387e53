import { expect, inject, test } from "vitest";
import { runClusterChaos } from "../fault/cluster-chaos.ts";
import { enoughForEachKind } from "../fault/faults.ts";

test.skipIf(inject("ownPartsMissing") !== undefined)(
  "no acknowledged event is lost and none is counted twice while processes, broker, store and connections fail, and all come back by themselves",
  { timeout: 600_000 },
  async () => {
    const seed = Date.now() % 2 ** 32;
    const faults = enoughForEachKind;
    const report = await runClusterChaos({ seconds: 90, faults, seed, connections: 32 }, () => {});
    const told = { ...report, faults: report.faults.slice(0, 20) };
    console.info(told);
    // A process that is not ready and at work within 30 s of the last fault is among these.
    expect(told).toMatchObject({ faults: [], inflictedTotal: faults });
    expect(Object.values(report.deadLetters)).toEqual([0, 0, 0]);
    expect(report.acknowledged).toBeGreaterThan(5000);
    // The run has put the system to the test only if each of these happened.
    const { retried, refused, resent, brokenConnections } = report;
    expect(Math.min(retried, refused, resent, brokenConnections)).toBeGreaterThan(0);
    expect(Object.keys(report.inflicted).toSorted()).toEqual([
      "cut link",
      "half-close link",
      "kill member",
      "kill part",
      "stall link",
      "stop member",
      "stop part",
    ]);
  },
);
