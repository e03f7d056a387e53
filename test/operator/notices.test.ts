import { expect, test } from "vitest";
import { noticesOf, scaledNotice } from "../../operator/notices.ts";
import type { Condition } from "../../operator/queue-scaler-status.ts";

const condition = (type: string, status: Condition["status"], message = "m"): Condition => ({
  type,
  status,
  reason: "R",
  message,
  lastTransitionTime: "2026-01-01T00:00:00Z",
  observedGeneration: 1,
});
const reasonsOf = (before: readonly Condition[], after: readonly Condition[]) =>
  noticesOf(before, after).map(({ type, reason }) => `${type} ${reason}`);

test.for([
  ["a broker that is lost", "BrokerReachable", "True", "False", "Warning BrokerUnreachable"],
  ["a broker that is back", "BrokerReachable", "False", "True", "Normal BrokerReachable"],
  ["a rival", "Conflict", "False", "True", "Warning Conflict"],
  ["a rival that is gone", "Conflict", "True", "False", "Normal ConflictOver"],
  ["a maximum that is reached", "Limited", "False", "True", "Warning Limited"],
] as const)("%s is an Event", ([, type, before, after, notice]) => {
  expect(reasonsOf([condition(type, before)], [condition(type, after)])).toEqual([notice]);
});

test("what stays as it is, is no Event, though its words change", () => {
  expect(reasonsOf([condition("Ready", "False", "a")], [condition("Ready", "False", "b")])).toEqual([]);
});
test("what is not known is no Event, and neither is what turns out to be well", () => {
  expect(reasonsOf([condition("Bottleneck", "False")], [condition("Bottleneck", "Unknown")])).toEqual([]);
  expect(reasonsOf([condition("DeadLetters", "Unknown")], [condition("DeadLetters", "False")])).toEqual([]);
});
test("of a first status only what is wrong is an Event", () => {
  const first = [
    condition("Ready", "False"),
    condition("Conflict", "False"),
    condition("BrokerReachable", "True"),
  ];
  expect(reasonsOf([], first)).toEqual(["Warning NotReady"]);
});
test("a condition that is of everyday business is no Event", () => {
  expect(reasonsOf([condition("Active", "False")], [condition("Active", "True")])).toEqual([]);
});
test("an Event of scaling tells from where to where and why", () => {
  expect(scaledNotice(2, 5, "because")).toMatchObject({
    reason: "ScaledUp",
    note: "from 2 to 5 replicas: because",
  });
  expect(scaledNotice(5, 2, "because").reason).toBe("ScaledDown");
});
