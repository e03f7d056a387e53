import { expect, test } from "vitest";
import { middle, sizingTable } from "./figure.ts";

test("a table has a column for each batch, the ratios where there is a base, and a section for each kind", () => {
  const base = { 1: 50, 100: 2, 1000: 0 };
  const table = sizingTable([
    { section: "Time", name: "bare", unit: "s", value: base, base },
    { section: "Time", name: "collector", unit: "s", value: { 1: 125, 100: 5.04, 1000: 1234.5 }, base },
    { section: "Bytes", name: "a username", unit: "bytes", value: 45.25 },
  ]);
  const [time = "", bytes = ""] = table.split("\n\n");
  expect(time.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["Time"],
    ["unit", "of 1", "of 100", "of 1000", "ratio", "ratio", "ratio"],
    ["bare", "s", "50.0", "2.00", "0.00", "1.00", "1.00"],
    ["collector", "s", "125", "5.04", "1,235", "2.50", "2.52"],
  ]);
  expect(bytes.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["Bytes"],
    ["unit", "of 1", "of 100", "of 1000", "ratio", "ratio", "ratio"],
    ["a username", "bytes", "45.3"],
  ]);
});

test.each([
  [[3], 3],
  [[9, 1, 5], 5],
  [[4, 1, 3, 2], 3],
  [[100, 20, 3], 20],
])("the middle of %j is %d", (values, expected) => {
  expect(middle(values)).toBe(expected);
});
