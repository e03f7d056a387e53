import { expect, test } from "vitest";
import { runOverload } from "../bench/overload.ts";

test("overload is answered with 503 and Retry-After, in bounded memory, and nothing accepted is lost", async () => {
  const report = await runOverload({ seconds: 20, connections: 256, budgetBytes: undefined }, () => {});
  console.info(report);
  expect(report).toMatchObject({ faults: [] });
  expect(report.refused).toBeGreaterThan(0);
  expect(report.acceptedEvents).toBeGreaterThan(0);
  expect(report.countedEvents).toBeGreaterThanOrEqual(report.acceptedEvents);
}, 600_000);
