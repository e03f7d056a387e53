import { expect, test } from "vitest";
import { Shelf } from "../../../operator/kubernetes/shelf.ts";

const at = (resourceVersion: string) => ({ resourceVersion });

test.for([
  ["9", "10", true],
  ["10", "9", false],
  ["10", "10", false],
  ["18446744073709551614", "18446744073709551615", true],
] as const)("of versions %s and %s, the later replaces the earlier: %j", ([held, next, replaces]) => {
  const shelf = new Shelf<{ readonly resourceVersion: string }>();
  shelf.put("shop", "worker", at(held));
  expect(shelf.put("shop", "worker", at(next))).toBe(replaces);
  expect(shelf.get("shop", "worker")).toEqual(at(replaces ? next : held));
});

test("what was gone at a version does not take away what is newer", () => {
  const shelf = new Shelf<{ readonly resourceVersion: string }>();
  shelf.put("shop", "worker", at("12"));
  expect(shelf.remove("shop", "worker", "9")).toBeUndefined();
  expect(shelf.get("shop", "worker")).toEqual(at("12"));
  expect(shelf.remove("shop", "worker", "12")).toEqual(at("12"));
  expect(shelf.get("shop", "worker")).toBeUndefined();
});

test("objects are found by their namespace, and their names may be walked while they are removed", () => {
  const shelf = new Shelf<{ readonly resourceVersion: string }>();
  for (const name of ["a", "b"]) for (const place of ["east", "west"]) shelf.put(place, name, at("1"));
  expect(Array.from(shelf.in("east"))).toHaveLength(2);
  expect(Array.from(shelf.in("north"))).toEqual([]);
  for (const [place, name] of shelf.names("east")) shelf.remove(place, name, "1");
  expect(Array.from(shelf.names(undefined))).toEqual([
    ["west", "a"],
    ["west", "b"],
  ]);
  for (const [place, name] of shelf.names(undefined)) shelf.remove(place, name, "1");
  expect(Array.from(shelf.all())).toEqual([]);
});
