import { expect, test } from "vitest";
import { runStandaloneChaos } from "./standalone-chaos.ts";

test("no acknowledged event is lost and none is counted twice through twenty-four kills", async () => {
  const seed = Date.now() % 2 ** 32;
  const report = await runStandaloneChaos({ seconds: 45, kills: 24, seed, connections: 32 }, () => {});
  const told = { ...report, faults: report.faults.slice(0, 20) };
  console.info(told);
  expect(told).toMatchObject({ faults: [] });
  expect(report.kills).toBeGreaterThanOrEqual(20);
  expect(report.acknowledged).toBeGreaterThan(5000);
  // The run has put the system to the test only if each of these happened.
  const { retried, refused, unknown, resent, early } = report;
  expect(Math.min(retried, refused, unknown, resent, early)).toBeGreaterThan(0);
}, 240_000);
