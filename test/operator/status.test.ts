import { describe, expect, test } from "vitest";
import type { Decision } from "../../operator/decide.ts";
import type { ConditionType, QueueScalerStatus } from "../../operator/queue-scaler-status.ts";
import { estimatesIn, type Findings, isWorthWriting, STANDING_MS, statusOf } from "../../operator/status.ts";
import { figuresOf, scalerOf, targetOf } from "./scalers.ts";

const nowMs = Date.parse("2026-05-01T12:00:00.400Z");
const decision: Decision = {
  desiredReplicas: 4,
  reason: "Arrivals",
  message: "so it is",
  limited: undefined,
  bottleneck: false,
  active: true,
  estimates: {
    arrivalsPerSecond: 12.3456,
    messagesPerSecondPerReplica: 0.000_123_456,
    startupSeconds: 7,
    waitSeconds: 1234.5,
  },
  memory: {},
};
const figures = figuresOf(nowMs - 3000, { ready: 40, unacknowledged: 2, consumers: 3, deadLetters: 0 });
const well: Findings = {
  nowMs,
  target: targetOf(4, { readyReplicas: 3 }),
  reading: { ok: true, at: nowMs, figures },
  decision,
  conflict: undefined,
  obstacle: undefined,
  hand: { setReplicas: 4, triedReplicas: undefined, respectedUntilMs: undefined },
  respected: false,
  scaledAtMs: undefined,
};
const lost = { ok: false, at: nowMs, fault: "Unreachable", message: "it does not answer" } as const;
const conditionOf = (
  type: ConditionType,
  found: Partial<Findings>,
  spec = {},
  before: QueueScalerStatus = {},
) =>
  statusOf(scalerOf("s", spec), before, { ...well, ...found }).conditions?.find((one) => one.type === type);

test("a status tells the observation, the estimates with three digits that count, and the replicas", () => {
  expect(statusOf(scalerOf("s", {}, { generation: 5 }), {}, well)).toMatchObject({
    observedGeneration: 5,
    observation: { time: "2026-05-01T11:59:57Z", ready: 40, unacknowledged: 2, consumers: 3, deadLetters: 0 },
    estimates: {
      arrivalsPerSecond: "12.3",
      messagesPerSecondPerReplica: "0.000123",
      startupSeconds: "7.00",
      waitSeconds: "1235",
    },
    backlog: 42,
    desiredReplicas: 4,
    currentReplicas: 4,
    readyReplicas: 3,
    setReplicas: 4,
    reason: "Arrivals",
    message: "so it is",
  });
});
test("what was estimated is found again in a status", () => {
  expect(estimatesIn(statusOf(scalerOf("s"), {}, well))).toEqual({
    arrivalsPerSecond: 12.3,
    messagesPerSecondPerReplica: 0.000_123,
    startupSeconds: 7,
  });
});
test("an observation stays while RabbitMQ does not answer", () => {
  const before = statusOf(scalerOf("s"), {}, well);
  const after = statusOf(scalerOf("s"), before, { ...well, reading: lost });
  expect(after.observation).toEqual(before.observation);
  expect(after.backlog).toBe(42);
});

describe("the condition", () => {
  test.for<[ConditionType, Partial<Findings>, object, string, string]>([
    ["Ready", {}, {}, "True", "Scaling"],
    ["Ready", { obstacle: { reason: "SecretNotFound", message: "make it" } }, {}, "False", "SecretNotFound"],
    ["Active", {}, {}, "True", "Messages"],
    ["Active", { decision: { ...decision, active: false } }, {}, "False", "Idle"],
    ["Active", { reading: lost }, {}, "Unknown", "FiguresUnknown"],
    ["Limited", {}, {}, "False", "None"],
    ["Limited", { decision: { ...decision, limited: "Maximum" } }, {}, "True", "Maximum"],
    ["BrokerReachable", {}, {}, "True", "Answering"],
    ["BrokerReachable", { reading: lost }, {}, "False", "Unreachable"],
    ["BrokerReachable", { reading: { ...lost, fault: "Unauthorized" } }, {}, "False", "Unauthorized"],
    ["BrokerReachable", { reading: { ...lost, fault: "QueueNotFound" } }, {}, "True", "Answering"],
    ["BrokerReachable", { reading: undefined }, {}, "Unknown", "FiguresUnknown"],
    ["Conflict", { conflict: "another one" }, {}, "True", "OtherAutoscaler"],
    ["Conflict", {}, {}, "False", "None"],
    ["Bottleneck", { decision: { ...decision, bottleneck: true } }, {}, "True", "StoreBound"],
    ["Bottleneck", {}, {}, "False", "None"],
    ["DeadLetters", {}, {}, "False", "None"],
    [
      "DeadLetters",
      { reading: { ok: true, at: nowMs, figures: { ...figures, deadLetters: 3 } } },
      {},
      "True",
      "Waiting",
    ],
    [
      "DeadLetters",
      { reading: { ok: true, at: nowMs, figures: { ...figures, deadLetters: undefined } } },
      {},
      "False",
      "NoQueue",
    ],
    ["DeadLetters", { reading: lost }, {}, "Unknown", "FiguresUnknown"],
    ["Paused", {}, {}, "False", "Acting"],
    ["Paused", {}, { paused: true }, "True", "Paused"],
    ["Paused", {}, { mode: "Observe" }, "True", "Observing"],
    [
      "Paused",
      { respected: true, hand: { setReplicas: 4, triedReplicas: undefined, respectedUntilMs: nowMs } },
      {},
      "True",
      "ManualScale",
    ],
  ])("%s, with %j and %j, is %s for %s", ([type, found, spec, status, reason]) => {
    expect(conditionOf(type, found, spec)).toMatchObject({ status, reason });
  });

  test("changes its time with its status alone", () => {
    const before = statusOf(scalerOf("s"), {}, well);
    const laterMs = nowMs + 60_000;
    const stays = conditionOf("Limited", { nowMs: laterMs }, {}, before);
    expect(stays?.lastTransitionTime).toBe("2026-05-01T12:00:00Z");
    const limited = { ...decision, limited: "Maximum" } as const;
    const turns = conditionOf("Limited", { nowMs: laterMs, decision: limited }, {}, before);
    expect(turns?.lastTransitionTime).toBe("2026-05-01T12:01:00Z");
  });
  test("names the generation that it is about", () => {
    const status = statusOf(scalerOf("s", {}, { generation: 7 }), {}, well);
    expect(new Set(status.conditions?.map((one) => one.observedGeneration))).toEqual(new Set([7]));
  });
});

describe("a status is written", () => {
  const written = statusOf(scalerOf("s"), {}, well);
  const next = (found: Partial<Findings>) => statusOf(scalerOf("s"), written, { ...well, ...found });
  const moved = { reading: { ok: true, at: nowMs, figures: { ...figures, ready: 41 } } } as const;

  test.for<[string, Partial<Findings>]>([
    ["another number is wanted", { decision: { ...decision, desiredReplicas: 5 } }],
    ["a replica has become ready", { target: targetOf(4) }],
    ["a condition changes", { reading: lost }],
    ["a condition has another reason", { decision: { ...decision, limited: "Maximum" } }],
  ])("at once when %s", ([, found]) => {
    expect(isWorthWriting(written, next(found), 1, STANDING_MS)).toBe(true);
  });
  test("after 10 seconds when only the figures move", () => {
    expect(isWorthWriting(written, next(moved), 9999, STANDING_MS)).toBe(false);
    expect(isWorthWriting(written, next(moved), 10_000, STANDING_MS)).toBe(true);
  });
  test("after a minute when nothing moves", () => {
    const later = next({ reading: { ok: true, at: nowMs, figures: { ...figures, sampledAtMs: nowMs } } });
    expect(isWorthWriting(written, later, 59_999, STANDING_MS)).toBe(false);
    expect(isWorthWriting(written, later, 60_000, STANDING_MS)).toBe(true);
  });
});
