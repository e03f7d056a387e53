import { expect, test } from "vitest";
import { meets, type Row, tableOf, type Target } from "./table.ts";

const row = (millrace: number, base: number | undefined, target: Target | undefined): Row => ({
  name: "events",
  unit: "events/s",
  millrace,
  ...(base === undefined ? {} : { base: { name: "raw", figure: base } }),
  ...(target === undefined ? {} : { target }),
});

test.for([
  [row(1, undefined, undefined), true, "there is none"],
  [row(100, undefined, { figure: 100 }), true, "the figure reaches it"],
  [row(99, undefined, { figure: 100 }), false, "the figure does not reach it"],
  [row(50, 100, { ratio: 0.5 }), true, "the ratio reaches it"],
  [row(49, 100, { ratio: 0.5 }), false, "the ratio does not reach it"],
  [row(50, undefined, { ratio: 0.5 }), false, "there is nothing to compare with"],
  [row(100, 1000, { figure: 100, ratio: 0.7 }), true, "of two, the figure reaches its own"],
  [row(70, 100, { figure: 100, ratio: 0.7 }), true, "of two, the ratio reaches its own"],
  [row(69, 100, { figure: 100, ratio: 0.7 }), false, "of two, none is reached"],
] as const)("a target: %j is met: %j, as %s", ([one, met]) => {
  expect(meets(one)).toBe(met);
});

test("a row shows its figure, what it is compared with, the ratio, the target and whether it is met", () => {
  const [, line] = tableOf([row(17_500, 25_000, { figure: 20_000, ratio: 0.7 })]).split("\n");
  expect(line?.split(/ {2,}/)).toEqual([
    "events",
    "events/s",
    "17,500",
    "25,000",
    "raw",
    "0.70",
    ">= 20,000 or 0.7 of base",
    "pass",
  ]);
});
