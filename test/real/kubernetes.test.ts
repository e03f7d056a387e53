import { describe, expect, test } from "vitest";
import type { QueueScaler } from "../../operator/queue-scaler.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import {
  define,
  deploymentsOf,
  makeScaler,
  makeWorkload,
  scalersOf,
  eachInANamespace,
  merge,
  goodScaler,
  scalerSeen,
  until,
  type Watching,
  watching,
  missing,
} from "./kubernetes-cluster.ts";

describe.skipIf(missing !== undefined)(`Kubernetes${missing === undefined ? "" : ` (${missing})`}`, () => {
  const deployment = (name: string) => ({ apiVersion: "apps/v1", kind: "Deployment", name });

  let api: ApiServerPart;
  let watched: Watching;
  /** A namespace of each test's own. */
  let shop: string;
  eachInANamespace(
    (at, namespace) => {
      api = at;
      shop = namespace;
    },
    () => watched,
  );

  const seen = (name: string): QueueScaler | undefined => goodScaler(watched, shop, name);
  const scaler = (name: string): QueueScaler => scalerSeen(watched, shop, name);
  const patch = (path: string, body: object) => merge(api, path, body);
  const changesOf = (name: string): number =>
    watched.changes.filter((change) => change === `${shop}/${name}`).length;

  describe("what is watched", () => {
    test("is all there once watch resolves: scalers with their defaults, workloads, other autoscalers", async () => {
      await makeScaler(api, shop, "orders");
      await makeWorkload(api, shop, "worker");
      await makeWorkload(api, shop, "keeper", "statefulsets");
      await makeAutoscaler("worker");
      watched = await watching(api);
      expect(scaler("orders").spec).toMatchObject({ pollingIntervalSeconds: 2, queue: { vhost: "/" } });
      expect(scaler("orders").metadata).toEqual({
        name: "orders",
        namespace: shop,
        uid: expect.any(String),
        generation: 1,
        creationTimestamp: expect.any(String),
      });
      expect(watched.kubernetes.scalers()).toContain(scaler("orders"));
      const before = watched.requests.length;
      expect(await watched.kubernetes.target(shop, deployment("worker"))).toEqual({
        replicas: 1,
        readyReplicas: 0,
        selector: "app=worker",
        resourceVersion: expect.any(String),
      });
      await watched.kubernetes.target(shop, { ...deployment("keeper"), kind: "StatefulSet" });
      expect(watched.kubernetes.rivals(shop)).toEqual([
        { what: "HorizontalPodAutoscaler worker", namespace: shop, target: deployment("worker") },
      ]);
      expect(watched.kubernetes.rivals("default")).toEqual([]);
      // The last of the watches may begin just now.
      const asked = watched.requests.slice(before).filter(({ verb }) => verb !== "watch");
      expect(asked).toEqual([]);
      expect(watched.changes).toContain(`${shop}/orders`);
    });

    test("tells a scaler that is created, changed and deleted", async () => {
      watched = await watching(api);
      await makeScaler(api, shop, "orders");
      await until(() => seen("orders"));
      expect(changesOf("orders")).toBe(1);
      await patch(`${scalersOf(shop)}/orders`, { spec: { paused: true } });
      await until(() => scaler("orders").spec.paused);
      expect(changesOf("orders")).toBe(2);
      await api.must({ method: "DELETE", path: `${scalersOf(shop)}/orders` });
      await until(() => seen("orders") === undefined);
      expect(changesOf("orders")).toBe(3);
    });

    test("does not tell a scaler whose status alone has changed, but shows it", async () => {
      await makeScaler(api, shop, "orders");
      watched = await watching(api);
      const before = changesOf("orders");
      await patch(`${scalersOf(shop)}/orders/status`, { status: { backlog: 7 } });
      await until(() => scaler("orders").status?.backlog === 7);
      expect(changesOf("orders")).toBe(before);
    });

    test("tells a scaler when its workload comes, gets ready, is scaled and goes, and no other", async () => {
      await makeScaler(api, shop, "orders");
      await makeScaler(api, shop, "others", { scaleTargetRef: { name: "other" } });
      watched = await watching(api);
      const target = () => watched.kubernetes.target(shop, deployment("worker"));
      const [orders, others] = [changesOf("orders"), changesOf("others")];
      await makeWorkload(api, shop, "worker");
      await until(() => target().catch(() => undefined));
      expect(changesOf("orders")).toBe(orders + 1);
      const status = { replicas: 1, readyReplicas: 1, observedGeneration: 1 };
      await patch(`${deploymentsOf(shop)}/worker/status`, { status });
      await until(async () => (await target()).readyReplicas === 1);
      expect(changesOf("orders")).toBe(orders + 2);
      await patch(`${deploymentsOf(shop)}/worker/scale`, { spec: { replicas: 4 } });
      await until(async () => (await target()).replicas === 4);
      expect(changesOf("orders")).toBe(orders + 3);
      await api.must({ method: "DELETE", path: `${deploymentsOf(shop)}/worker` });
      await until(() =>
        target().then(
          () => false,
          (error: Error) => error.message === `there is no Deployment worker in namespace ${shop}`,
        ),
      );
      expect([changesOf("orders"), changesOf("others")]).toEqual([orders + 4, others]);
    });

    test("tells a scaler when another autoscaler takes its workload, and lets go of it", async () => {
      await makeScaler(api, shop, "orders");
      watched = await watching(api);
      const before = changesOf("orders");
      await makeAutoscaler("worker");
      await until(() => watched.kubernetes.rivals(shop).length === 1);
      expect(changesOf("orders")).toBe(before + 1);
      await patch(`/apis/autoscaling/v2/namespaces/${shop}/horizontalpodautoscalers/worker`, {
        spec: { scaleTargetRef: { name: "other" } },
      });
      await until(() => watched.kubernetes.rivals(shop)[0]?.target.name === "other");
      expect(changesOf("orders")).toBe(before + 2);
    });

    test("is as much as there is, also over several pages", async () => {
      await Promise.all(
        Array.from({ length: 600 }, (_, i) =>
          makeScaler(api, shop, `q${i}`, { scaleTargetRef: { name: `w${i}` } }),
        ),
      );
      watched = await watching(api);
      const here = watched.kubernetes.scalers().filter(({ metadata }) => metadata.namespace === shop);
      expect(new Set(here.map(({ metadata }) => metadata.name)).size).toBe(600);
      const lists = watched.requests.filter(
        ({ verb, resource }) => verb === "list" && resource === "queuescalers",
      );
      expect(lists.length).toBeGreaterThanOrEqual(2);
      await api.must({ method: "DELETE", path: scalersOf(shop) });
    });
  });

  async function makeAutoscaler(of: string): Promise<void> {
    const spec = { maxReplicas: 3, scaleTargetRef: deployment(of) };
    const path = `/apis/autoscaling/v2/namespaces/${shop}/horizontalpodautoscalers`;
    await api.must({ method: "POST", path, body: { metadata: { name: of }, spec } });
  }

  describe("a workload", () => {
    test("is scaled by its scale subresource, and what was written is what is seen from then on", async () => {
      await makeWorkload(api, shop, "worker");
      watched = await watching(api);
      const { kubernetes } = watched;
      const before = await kubernetes.target(shop, deployment("worker"));
      const after = await kubernetes.scale(shop, deployment("worker"), before, 3);
      expect(await kubernetes.target(shop, deployment("worker"))).toEqual(after);
      expect(after).toEqual({
        ...before,
        replicas: 3,
        resourceVersion: after.resourceVersion,
      });
      const { spec, metadata } = await api.must({ method: "GET", path: `${deploymentsOf(shop)}/worker` });
      expect(spec).toMatchObject({ replicas: 3 });
      expect(metadata).toMatchObject({ resourceVersion: after.resourceVersion });
    });

    test("is never seen as it was before a write, however often it is scaled", async () => {
      await makeWorkload(api, shop, "worker");
      watched = await watching(api);
      const { kubernetes } = watched;
      for (let replicas = 2; replicas < 60; replicas += 1) {
        const now = await kubernetes.target(shop, deployment("worker"));
        expect(now.replicas).toBe(replicas - 1);
        await kubernetes.scale(shop, deployment("worker"), now, replicas);
      }
    });

    test("that somebody else has changed meanwhile is not scaled", async () => {
      await makeWorkload(api, shop, "worker");
      watched = await watching(api);
      const { kubernetes } = watched;
      const before = await kubernetes.target(shop, deployment("worker"));
      await patch(`${deploymentsOf(shop)}/worker/scale`, { spec: { replicas: 5 } });
      await expect(kubernetes.scale(shop, deployment("worker"), before, 3)).rejects.toMatchObject({
        fault: "Conflict",
        message: `somebody else has changed Deployment worker in namespace ${shop} meanwhile`,
      });
      await until(async () => (await kubernetes.target(shop, deployment("worker"))).replicas === 5);
    });

    test("of another kind that has a scale subresource is read and scaled by it", async () => {
      await makeWorkload(api, shop, "worker", "replicasets");
      watched = await watching(api);
      const { kubernetes } = watched;
      const ref = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "worker" };
      const before = await kubernetes.target(shop, ref);
      expect(before).toMatchObject({ replicas: 1, readyReplicas: undefined, selector: "app=worker" });
      const after = await kubernetes.scale(shop, ref, before, 0);
      expect(after.replicas).toBe(0);
      expect(await kubernetes.target(shop, ref)).toEqual(after);
      await expect(kubernetes.scale(shop, ref, before, 2)).rejects.toMatchObject({ fault: "Conflict" });
    });

    test("of a custom kind is scaled wherever that keeps its replicas", async () => {
      watched = await watching(api);
      const { kubernetes } = watched;
      const ref = { apiVersion: "mill.example/v1", kind: "Wheel", name: "big" };
      await expect(kubernetes.target(shop, { ...ref, apiVersion: "mill.example/v2" })).rejects.toMatchObject({
        fault: "NoSuchKind",
        message: "the cluster knows no kind Wheel in mill.example/v2, of a namespace",
      });
      await define(api, wheels);
      const wheel = { apiVersion: ref.apiVersion, kind: ref.kind, metadata: { name: "big" } };
      const path = `/apis/mill.example/v1/namespaces/${shop}/wheels`;
      await api.must({ method: "POST", path, body: { ...wheel, spec: { turning: { buckets: 4 } } } });
      await patch(`${path}/big/status`, { status: { turning: 2, labels: "wheel=big" } });
      const before = await kubernetes.target(shop, ref);
      expect(before).toMatchObject({ replicas: 4, readyReplicas: undefined, selector: "wheel=big" });
      await kubernetes.scale(shop, ref, before, 6);
      const { spec } = await api.must({ method: "GET", path: `${path}/big` });
      expect(spec).toEqual({ turning: { buckets: 6 } });
      await expect(kubernetes.scale(shop, ref, before, 8)).rejects.toMatchObject({ fault: "Conflict" });
    });

    test("that is not there, or whose kind cannot be scaled, is told in a sentence", async () => {
      watched = await watching(api);
      const { kubernetes } = watched;
      await expect(kubernetes.target(shop, deployment("gone"))).rejects.toMatchObject({
        fault: "NotFound",
        message: `there is no Deployment gone in namespace ${shop}`,
      });
      const replicaSet = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "gone" };
      await expect(kubernetes.target(shop, replicaSet)).rejects.toMatchObject({
        fault: "NotFound",
        message: `there is no ReplicaSet gone in namespace ${shop}`,
      });
      await expect(
        kubernetes.target(shop, { apiVersion: "v1", kind: "ConfigMap", name: "any" }),
      ).rejects.toMatchObject({
        fault: "NoSuchKind",
        message: "the kind ConfigMap in v1 has no scale subresource, so its replicas cannot be set",
      });
      await expect(
        kubernetes.target(shop, { apiVersion: "v1", kind: "Namespace", name: shop }),
      ).rejects.toMatchObject({ fault: "NoSuchKind" });
    });
  });

  /** Its replicas are where no other kind has them. */
  const wheels = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "wheels.mill.example" },
    spec: {
      group: "mill.example",
      scope: "Namespaced",
      names: { kind: "Wheel", plural: "wheels", singular: "wheel", listKind: "WheelList" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: ".spec.turning.buckets",
              statusReplicasPath: ".status.turning",
              labelSelectorPath: ".status.labels",
            },
          },
        },
      ],
    },
  };
});
