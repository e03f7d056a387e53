import { expect, test } from "vitest";
import { conflictOf } from "../../operator/conflict.ts";
import { scalerOf } from "./scalers.ts";

const worker = { apiVersion: "apps/v1", kind: "Deployment", name: "worker" };
const mine = scalerOf("mine");
const hpa = { what: "HorizontalPodAutoscaler worker", namespace: "shop", target: worker };

test("a scaler that is alone has no conflict, not even with itself", () => {
  expect(conflictOf(mine, [mine], [])).toBeUndefined();
});

test.for([
  [
    "another autoscaler of the same workload",
    hpa,
    /^HorizontalPodAutoscaler worker scales Deployment worker as well: delete it/,
  ],
  [
    "one that names another version of the group",
    { ...hpa, target: { ...worker, apiVersion: "apps/v1beta2" } },
    /scales/,
  ],
] as const)("a conflict is %s", ([, rival, sentence]) => {
  expect(conflictOf(mine, [mine], [rival])).toMatch(sentence);
});

test.for([
  ["of another namespace", { ...hpa, namespace: "other" }],
  ["of another kind", { ...hpa, target: { ...worker, kind: "StatefulSet" } }],
  ["of another group", { ...hpa, target: { ...worker, apiVersion: "example.org/v1" } }],
  ["of another workload", { ...hpa, target: { ...worker, name: "collector" } }],
] as const)("no conflict is an autoscaler %s", ([, rival]) => {
  expect(conflictOf(mine, [mine], [rival])).toBeUndefined();
});

const older = { creationTimestamp: "2025-12-31T23:59:59Z" };
test("of two scalers the older one works, and the other names it", () => {
  const other = scalerOf("other", {}, older);
  expect(conflictOf(mine, [mine, other], [])).toMatch(/^QueueScaler other is older/);
  expect(conflictOf(other, [mine, other], [])).toBeUndefined();
});
test("of two that are equally old the first by name works", () => {
  const other = scalerOf("another");
  expect(conflictOf(mine, [mine, other], [])).toMatch(/another/);
  expect(conflictOf(other, [mine, other], [])).toBeUndefined();
});
test.for([
  ["only observes", scalerOf("other", { mode: "Observe" }, older)],
  ["is of another namespace", scalerOf("other", {}, { ...older, namespace: "elsewhere" })],
  ["has another workload", scalerOf("other", { scaleTargetRef: { ...worker, name: "x" } }, older)],
] as const)("a scaler that %s is no conflict", ([, other]) => {
  expect(conflictOf(mine, [mine, other], [])).toBeUndefined();
});
