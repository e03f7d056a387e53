import { beforeEach, expect, test } from "vitest";
import { createDecisions } from "../../operator/decisions.ts";
import type { Signals } from "../../src/signals.ts";
import { decidedOf } from "./decided.ts";

let nowMs: number;
let decisions: ReturnType<typeof createDecisions>;
beforeEach(() => {
  nowMs = 1000;
  decisions = createDecisions({ now: () => nowMs, sleep: async () => {} });
});

const named = { namespace: "shop", scaler: "mailer" };
const change = (to: number): Signals["replicas.changed"] => ({
  ...named,
  target: "Deployment mailer",
  from: to - 1,
  to,
  reason: "Arrivals",
  message: `to ${to}`,
});

test("before it leads, an operator has decided nothing", () => {
  expect(decisions.now()).toEqual({ leading: false, scalers: [], changes: [] });
});

test("the last decision for each scaler is kept, with its time, until the scaler is gone", () => {
  decisions.emit("leader.changed", { leading: true, identity: "a" });
  decisions.emit("scaler.decided", decidedOf());
  nowMs = 2000;
  decisions.emit("scaler.decided", decidedOf({ reason: "Steady", message: "all is well" }));
  decisions.emit("scaler.decided", decidedOf({ namespace: "other" }));
  const last = { ...named, atMs: 2000, reason: "Steady", message: "all is well", desired: 3, current: 2 };
  const other = { ...last, namespace: "other", reason: "Arrivals", message: "40 messages wait" };
  expect(decisions.now()).toEqual({ leading: true, scalers: [last, other], changes: [] });
  decisions.emit("scaler.forgotten", named);
  expect(decisions.now().scalers).toEqual([other]);
});

test("what is not known of a decision is null", () => {
  const replicas = { desired: undefined, current: undefined, ready: undefined };
  decisions.emit("scaler.decided", decidedOf({ reason: undefined, message: undefined, replicas }));
  expect(decisions.now().scalers).toEqual([
    { ...named, atMs: 1000, reason: "Undecided", message: "", desired: null, current: null },
  ]);
});

test("the last fifty changes are kept, newest first", () => {
  for (let to = 1; to <= 60; to += 1) {
    nowMs = to;
    decisions.emit("replicas.changed", change(to));
  }
  const { changes } = decisions.now();
  expect(changes).toHaveLength(50);
  expect(changes[0]).toEqual({
    ...named,
    atMs: 60,
    from: 59,
    to: 60,
    reason: "Arrivals",
    message: "to 60",
  });
  expect(changes.at(-1)?.to).toBe(11);
});

test("an operator that leads no more decides nothing any more", () => {
  decisions.emit("leader.changed", { leading: true, identity: "a" });
  decisions.emit("scaler.decided", decidedOf());
  decisions.emit("leader.changed", { leading: false, identity: "a" });
  expect(decisions.now()).toEqual({ leading: false, scalers: [], changes: [] });
});
