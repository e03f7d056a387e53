import { expect, test } from "vitest";
import { movedBy, observedBy, samplesIn } from "./operator-metrics.ts";

const text = (done: number, buckets: readonly [number, number, number]) => `# HELP a_total Of something.
# TYPE a_total counter
a_total{to="x",what="a \\"b\\", c"} ${done}
a_total{to="y",what=""} 5
b 1.5e3
wait_bucket{le="0.1"} ${buckets[0]}
wait_bucket{le="1"} ${buckets[1]}
wait_bucket{le="+Inf"} ${buckets[2]}
`;
const before = samplesIn(text(10, [4, 4, 4]));
const after = samplesIn(text(13, [8, 14, 14]));

test("each sample of a text is read, with its labels", () => {
  expect(before.slice(0, 3)).toEqual([
    { name: "a_total", labels: { to: "x", what: 'a \\"b\\", c' }, value: 10 },
    { name: "a_total", labels: { to: "y", what: "" }, value: 5 },
    { name: "b", labels: {}, value: 1500 },
  ]);
});

test("a counter is told by how far it moved, and one that stood still is not", () => {
  expect(movedBy(before, after, "a_total", ({ to }) => to)).toEqual(new Map([["x", 3]]));
  expect(movedBy(before, after, "a_total", () => "all")).toEqual(new Map([["all", 3]]));
});

test("a histogram is told by what it took meanwhile, even within each bucket", () => {
  const observed = observedBy(before, after, "wait");
  expect(observed.count).toBe(10);
  expect(observed.quantile(0.2)).toBeCloseTo(0.05);
  expect(observed.quantile(0.4)).toBeCloseTo(0.1);
  expect(observed.quantile(0.7)).toBeCloseTo(0.55);
  expect(observed.most).toBe(1);
});

test("what is beyond the last bucket is said to be at least its bound", () => {
  const beyond = observedBy(before, samplesIn(text(10, [4, 4, 6])), "wait");
  expect(beyond.quantile(0.5)).toBe(1);
  expect(beyond.most).toBe(Number.POSITIVE_INFINITY);
});

test("a histogram that took nothing has quantiles of zero", () => {
  expect(observedBy(before, before, "wait")).toMatchObject({ count: 0, most: 0 });
  expect(observedBy(before, before, "wait").quantile(0.99)).toBe(0);
});
