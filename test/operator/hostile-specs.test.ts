import { Ajv } from "ajv";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BrokerFigures } from "../../operator/broker-figures.ts";
import { customResourceDefinition, structural } from "../../operator/custom-resource.ts";
import { keepScaler } from "../../operator/kubernetes/kinds.ts";
import type { QueueScaler } from "../../operator/queue-scaler.ts";
import { queueScalerSpec } from "../../operator/queue-scaler.ts";
import { conditionTypes, queueScalerStatus } from "../../operator/queue-scaler-status.ts";
import { readScaler } from "../../operator/read-scaler.ts";
import { createReconcile } from "../../operator/reconcile.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { MemoryCluster } from "./memory-cluster.ts";
import { figuresOf, scalerOf, targetOf } from "./scalers.ts";
import { anySpec, goodSpec } from "./spec-arbitrary.ts";

const { metadata, spec: usual } = scalerOf("mine");
const read = (spec: unknown, status?: unknown) => readScaler({ metadata, spec, status });
/** As deep as no stack is. */
const deep: unknown = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`);
/** A validator that is not ours, of the schema that the API server has. */
const ajv = new Ajv({ strict: false, useDefaults: true, formats: { int64: true, "date-time": true } });
const specOf = ajv.compile(structural(queueScalerSpec));
const statusOf = ajv.compile(structural(queueScalerStatus));

/** The API server takes null for missing. */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutNulls(field)]));
};
/** The rules across fields, which ajv does not know. */
const agrees = ({ replicas: { min, max }, fallback }: QueueScaler["spec"]): boolean =>
  min <= max && (fallback?.replicas ?? 0) <= max;

describe("a spec", () => {
  test("is followed where the schema allows it, and only there", () => {
    fc.assert(
      fc.property(anySpec, (given) => {
        const filled = withoutNulls(structuredClone(given)) as QueueScaler["spec"];
        const isAllowed = specOf(filled) && agrees(filled);
        expect("spec" in read(given)).toBe(isAllowed);
      }),
      { numRuns: 1000 },
    );
  });
  test("has the same defaults as from the API server", () => {
    fc.assert(
      fc.property(goodSpec, (given) => {
        const filled = structuredClone(given) as unknown as QueueScaler["spec"];
        specOf(filled);
        fc.pre(agrees(filled));
        expect(read(given)).toMatchObject({ spec: filled });
      }),
      { numRuns: 300 },
    );
  });
  test("is not what a field that nobody knows, or a prototype, says", () => {
    const given = JSON.parse(JSON.stringify({ ...usual, replica: 7 })) as Record<string, unknown>;
    Object.defineProperty(given, "__proto__", { value: { paused: true }, enumerable: true });
    expect(read(given)).toEqual({ metadata, spec: usual });
  });

  test.for([
    [undefined, "spec is missing and must be an object"],
    [[], "spec is a list and must be an object"],
    [
      { ...usual, replicas: { min: 1 } },
      "spec.replicas.max is missing and must be an integer from 1 to 10000",
    ],
    [
      { ...usual, replicas: { min: 5, max: 3 } },
      "spec.replicas.min is 5 and must not be greater than spec.replicas.max, 3",
    ],
    [
      { ...usual, fallback: { replicas: 11 } },
      "spec.fallback.replicas is 11 and must not be greater than spec.replicas.max, 10",
    ],
    [{ ...usual, queue: deep }, "spec.queue is a list and must be an object"],
    [{ ...usual, mode: "act" }, "spec.mode is \"act\" and must be 'Act' or 'Observe'"],
    [{ ...usual, paused: "no" }, 'spec.paused is "no" and must be true or false'],
    [
      { ...usual, hints: { startupSeconds: {} } },
      "spec.hints.startupSeconds is an object and must be an integer from 0 to 3600",
    ],
    [
      { ...usual, pollingIntervalSeconds: 0, queue: { name: "" } },
      'spec.queue.name is "" and must be a text of 1 to 255 characters; spec.pollingIntervalSeconds is 0 and must be an integer from 1 to 300',
    ],
  ] as const)("a fault of it is told: %1$s", ([given, fault]) => {
    expect(read(given)).toEqual({ metadata, fault });
  });
  test.for(["..", "../version", "apps/..", "apps/v1/..", ".", "v1.0", "Apps/v1", "apps/%2e%2e"])(
    "names no kind of the version %j, which would lead elsewhere",
    (apiVersion) => {
      const given = { ...usual, scaleTargetRef: { ...usual.scaleTargetRef, apiVersion } };
      expect(read(given)).toMatchObject({
        fault: expect.stringContaining("spec.scaleTargetRef.apiVersion is "),
      });
    },
  );
  test.for(["v1", "apps/v1", "argoproj.io/v1alpha1", "millrace.io/v1alpha1", "x/v2beta3"])(
    "may name a kind of the version %j",
    (apiVersion) => {
      const given = { ...usual, scaleTargetRef: { ...usual.scaleTargetRef, apiVersion } };
      expect(read(given)).toEqual({ metadata, spec: given });
    },
  );
});

describe("the operator", () => {
  test("passes whatever spec and status there are, and says of each that it is followed or why not", async () => {
    const status = fc.option(
      fc.oneof(
        fc.record({ conditions: fc.jsonValue(), estimates: fc.jsonValue(), setReplicas: fc.jsonValue() }),
        fc.jsonValue(),
      ),
      { nil: undefined },
    );
    await fc.assert(
      fc.asyncProperty(anySpec, status, fc.boolean(), async (spec, given, seen) => {
        let nowMs = Date.parse("2026-11-30T12:00:00Z");
        const clock: Clock = { now: () => nowMs, sleep: async () => {} };
        const figures: BrokerFigures = {
          read: async (_broker, _queue, maxAgeMs) => {
            expect(maxAgeMs).toBeGreaterThan(0);
            const at = nowMs;
            if (seen) return { ok: true, at, figures: figuresOf(at, { ready: 50, published: 50 }) };
            return { ok: false, at, fault: "Unreachable", message: "no answer" };
          },
        };
        const cluster = new MemoryCluster();
        // One that works must not be hindered by one that does not.
        cluster.put(scalerOf("other", {}, { creationTimestamp: "2025-01-01T00:00:00Z" }));
        const object = { metadata: { ...metadata, resourceVersion: "1" }, spec, status: given };
        const { scaler } = keepScaler(object);
        cluster.put(scaler);
        const target = "spec" in scaler ? scaler.spec.scaleTargetRef.name : "worker";
        cluster.targets.set(`shop/${target}`, targetOf(3));
        const secret = "spec" in scaler ? scaler.spec.brokerRef.secret.name : "broker";
        cluster.secrets.set(`shop/${secret}`, { url: "amqp://u:p@rabbitmq.shop" });
        const reconcile = createReconcile({ cluster, figures, clock, emit: () => {} });
        for (let pass = 0; pass < 4; pass += 1) {
          const { againInMs = 0 } = await reconcile({ namespace: "shop", name: "mine" });
          expect(againInMs).toBeGreaterThanOrEqual(200);
          expect(againInMs).toBeLessThanOrEqual(330_000);
          nowMs += againInMs;
        }
        const reported = cluster.scaler({ namespace: "shop", name: "mine" })?.status;
        void statusOf(structuredClone(reported));
        expect(statusOf.errors ?? []).toEqual([]);
        expect(reported?.conditions?.map(({ type }) => type).toSorted()).toEqual(
          [...conditionTypes].toSorted(),
        );
        if ("spec" in scaler) return;
        expect(cluster.targets.get("shop/worker")).toEqual(targetOf(3));
        expect(reported?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
          status: "False",
          reason: "SpecInvalid",
          message: expect.stringMatching(/^spec[.\w]* is .* must /s),
        });
      }),
      { numRuns: 400 },
    );
  });

  test("goes on with what it had learned once the spec is mended, and leaves the workload alone until then", async () => {
    let nowMs = Date.parse("2026-11-30T12:00:00Z");
    const clock: Clock = { now: () => nowMs, sleep: async () => {} };
    const figures: BrokerFigures = {
      read: async () => ({
        ok: true,
        at: nowMs,
        figures: figuresOf(nowMs, { ready: 45, published: 45 }),
      }),
    };
    const cluster = new MemoryCluster();
    cluster.targets.set("shop/worker", targetOf(1));
    cluster.secrets.set("shop/broker", { username: "u", password: "p" });
    const reconcile = createReconcile({ cluster, figures, clock, emit: () => {} });
    const name = { namespace: "shop", name: "mine" };
    const pass = async (messagesPerReplica: unknown, generation: number) => {
      const { status } = cluster.scaler(name) ?? {};
      const at = { ...metadata, generation };
      cluster.put(readScaler({ metadata: at, spec: { ...usual, messagesPerReplica }, status }));
      await reconcile(name);
      nowMs += 2000;
      return cluster.scaler(name)?.status;
    };
    for (let time = 0; time < 5; time += 1) await pass(10, 1);
    expect(cluster.targets.get("shop/worker")?.replicas).toBe(5);
    expect(await pass(0, 2)).toMatchObject({ reason: "SpecInvalid", setReplicas: 5, observedGeneration: 2 });
    expect(cluster.targets.get("shop/worker")?.replicas).toBe(5);
    for (let time = 0; time < 5; time += 1) await pass(5, 3);
    expect(cluster.targets.get("shop/worker")?.replicas).toBe(9);
    expect(cluster.notices.map(({ reason }) => reason)).toContain("NotReady");
  });
});

test("the definition and the operator have one schema", () => {
  const [version] = customResourceDefinition.spec.versions;
  expect(version?.schema.openAPIV3Schema.properties.spec).toEqual(structural(queueScalerSpec));
});
