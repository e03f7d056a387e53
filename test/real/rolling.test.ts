import { expect, inject, test } from "vitest";
import { checkOut, headName, previousRevision, sameCheckout } from "../fault/revision.ts";
import { runRollingUpdate, thereAndBack } from "../fault/rolling-update.ts";
import { members } from "../fault/members.ts";

/**
 * Where the history of the repository is not there to update from, each process is replaced by one of the same code: that nothing is lost
 * when processes come and go is tested all the same, and test/adapters/version-1.test.ts compares versions.
 */
test.skipIf(inject("ownPartsMissing") !== undefined)(
  "a rolling update from the previous version and back, under load, loses nothing and counts nothing twice",
  { timeout: 600_000 },
  async () => {
    const old = previousRevision();
    await using checkout = old.commit === undefined ? sameCheckout : await checkOut(old);
    const from = old.commit === undefined ? "the same code, as there is no history" : old.name;
    console.info(`rolling: from ${from} (${old.why}) to ${headName()}`);
    const seed = Date.now() % 2 ** 32;
    const report = await runRollingUpdate(
      { old: checkout, passes: thereAndBack, lookAfter: "pass", eventsPerSecond: 100, connections: 16, seed },
      () => {},
    );
    const told = { ...report, faults: report.faults.slice(0, 20) };
    console.info(told);
    expect(told.faults).toEqual([]);
    expect(Object.values(report.deadLetters)).toEqual([0, 0, 0]);
    // Twice each, and the query process once more, so that both versions read what both have written.
    expect(report.replaced).toBe(2 * members.length + 2);
    expect(report.acknowledged).toBeGreaterThan(1000);
    expect(report.counted.new).toEqual(report.counted.old);
  },
);
