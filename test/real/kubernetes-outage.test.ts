import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Proxy, startProxy } from "../fault/proxy.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import {
  deploymentsOf,
  makeScaler,
  makeWorkload,
  scalersOf,
  startCluster,
  until,
  type Watching,
  watching,
  missing,
} from "./kubernetes-cluster.ts";

describe.skipIf(missing !== undefined)(
  `an outage of the API server${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    const worker = { apiVersion: "apps/v1", kind: "Deployment", name: "worker" };

    let api: ApiServerPart;
    /** Between the operator and the API server; others go past it. */
    let proxy: Proxy;
    let watched: Watching;
    beforeEach(async () => {
      api = await startCluster();
      proxy = await startProxy(api.port);
      for (const name of ["stays", "goes", "returns"]) await makeScaler(api, "default", name);
      await makeWorkload(api, "default", "worker");
      watched = await watching(api, { kubeConfig: api.kubeConfig({ port: proxy.port }) });
    });
    afterEach(async () => {
      await watched[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
    });

    const names = (): readonly string[] =>
      watched.kubernetes
        .scalers()
        .map(({ metadata }) => metadata.name)
        .toSorted();
    const remove = (name: string) => api.must({ method: "DELETE", path: `${scalersOf("default")}/${name}` });

    /** What the operator does not see: one goes, one comes, one is replaced by another of its name, and the workload is scaled. */
    async function changeAll(): Promise<void> {
      await remove("goes");
      await remove("returns");
      await makeScaler(api, "default", "returns");
      await makeScaler(api, "default", "comes");
      const path = `${deploymentsOf("default")}/worker/scale`;
      const body = { spec: { replicas: 7 } };
      await api.must({ method: "PATCH", path, contentType: "application/merge-patch+json", body });
    }

    async function expectAllSeen(before: number, formerUid: string | undefined): Promise<void> {
      await until(() => names().join() === "comes,returns,stays");
      const uidOf = (name: string) => watched.kubernetes.scaler({ namespace: "default", name })?.metadata.uid;
      await until(() => uidOf("returns") !== formerUid);
      await until(async () => (await watched.kubernetes.target("default", worker)).replicas === 7);
      const told = new Set(watched.changes.slice(before));
      expect(Array.from(told).toSorted()).toEqual(
        expect.arrayContaining(["default/comes", "default/goes", "default/returns"]),
      );
    }

    const uidOfReturns = () =>
      watched.kubernetes.scaler({ namespace: "default", name: "returns" })?.metadata.uid;

    describe("while the operator cannot reach the API server", () => {
      test("what changes is seen afterwards, from where the watch ended", async () => {
        const [before, uid] = [watched.changes.length, uidOfReturns()];
        proxy.refuse();
        proxy.cut();
        await changeAll();
        proxy.flow();
        await expectAllSeen(before, uid);
        expect(watched.restarts.map(({ resource }) => resource)).toContain("queuescalers");
      });

      test("what changes is seen afterwards although the API server has forgotten it meanwhile", async () => {
        const [before, uid] = [watched.changes.length, uidOfReturns()];
        // Not one attempt fails meanwhile: after some, all would be listed anew in any case.
        proxy.stall();
        await changeAll();
        await api.compact();
        // A new one remembers nothing but what etcd does.
        await api.kill();
        await api.start();
        proxy.cut();
        proxy.flow();
        await expectAllSeen(before, uid);
        expect(watched.restarts).toContainEqual({
          resource: "deployments",
          error: expect.objectContaining({ status: 410 }),
        });
      });

      test("what was seen is seen still, and whatever is asked is refused in time with the reason", async () => {
        await api.kill();
        expect(names()).toEqual(["goes", "returns", "stays"]);
        expect(await watched.kubernetes.target("default", worker)).toMatchObject({ replicas: 1 });
        const seen = await watched.kubernetes.target("default", worker);
        const unavailable = {
          fault: "Unavailable",
          message: expect.stringMatching(/^the API server cannot be reached: /),
        };
        await expect(watched.kubernetes.scale("default", worker, seen, 2)).rejects.toMatchObject(unavailable);
        await expect(watched.kubernetes.ready()).rejects.toMatchObject(unavailable);
        await expect(watched.kubernetes.leases.read()).rejects.toMatchObject(unavailable);
        expect(watched.requests.at(-1)).toMatchObject({ resource: "leases", outcome: "none" });
        await api.start();
        await watched.kubernetes.scale("default", worker, seen, 2);
      });

      test("a request that is not answered is given up", async () => {
        proxy.stall();
        await expect(watched.kubernetes.ready()).rejects.toMatchObject({
          fault: "Unavailable",
          message: "the API server cannot be reached: it did not answer in time",
        });
        proxy.flow();
        await watched.kubernetes.ready();
      });
    });

    test("a watch outlives the API server, and one that is started again and again", async () => {
      for (const name of ["one", "two"]) {
        await api.kill();
        await api.start();
        await makeScaler(api, "default", name);
        await until(() => names().includes(name));
      }
      await remove("one");
      await until(() => !names().includes("one"));
      expect(names()).toEqual(["goes", "returns", "stays", "two"]);
    });

    test("a connection that the server closes while it is idle costs no request", async () => {
      await watched.kubernetes.ready();
      // Those of the watches are cut as well: they come back by themselves.
      for (let i = 0; i < 20; i += 1) {
        proxy.cut();
        await watched.kubernetes.ready();
      }
      const asked = watched.requests.filter(({ resource }) => resource === "version");
      expect(asked.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 21 }, () => "200"));
    });

    test("requests that follow one another share a connection", async () => {
      await watched.kubernetes.ready();
      // The proxy dials once for each connection that it is asked for.
      let dialled = 0;
      const count = () => (dialled += 1);
      subscribe("net.client.socket", count);
      for (let i = 0; i < 20; i += 1) await watched.kubernetes.ready();
      unsubscribe("net.client.socket", count);
      expect(dialled).toBe(0);
    });

    test("a kind of autoscaler that the cluster does not have is no fault", async () => {
      expect(watched.requests).toContainEqual(
        expect.objectContaining({ verb: "list", resource: "scaledobjects", outcome: "404" }),
      );
      expect(watched.restarts).toEqual([]);
      expect(watched.kubernetes.rivals("default")).toEqual([]);
      await watched.kubernetes.ready();
    });
  },
);
