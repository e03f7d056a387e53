import { describe, expect, test } from "vitest";
import type { QueueScaler } from "../../operator/queue-scaler.ts";
import type { QueueScalerStatus } from "../../operator/queue-scaler-status.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import {
  leastSpec,
  makeScaler,
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

describe.skipIf(missing !== undefined)(
  `what is written to Kubernetes${missing === undefined ? "" : ` (${missing})`}`,
  () => {
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
    describe("a status", () => {
      const condition = (type: string) => ({
        type,
        status: "True",
        reason: "Some",
        message: "Some reason.",
        lastTransitionTime: "2026-11-24T12:00:00Z",
        observedGeneration: 1,
      });
      const statusOf = async (): Promise<QueueScalerStatus> => {
        const { status } = await api.must({ method: "GET", path: `${scalersOf(shop)}/orders` });
        return status as QueueScalerStatus;
      };

      test("is applied as a whole: what is left out the next time is gone, and the spec is left alone", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        const first = {
          backlog: 5,
          desiredReplicas: 2,
          conditions: [condition("Ready"), condition("Active")],
        };
        await watched.kubernetes.report(scaler("orders"), first as QueueScalerStatus);
        expect(await statusOf()).toEqual(first);
        const second = { backlog: 6, conditions: [condition("Ready")] };
        await watched.kubernetes.report(scaler("orders"), second as QueueScalerStatus);
        expect(await statusOf()).toEqual(second);
        expect(scaler("orders")).toMatchObject({ metadata: { generation: 1 }, spec: leastSpec });
      });

      test("keeps what others have written into it", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        await api.must({
          method: "PATCH",
          path: `${scalersOf(shop)}/orders/status?fieldManager=another`,
          contentType: "application/apply-patch+yaml",
          body: {
            apiVersion: "millrace.io/v1alpha1",
            kind: "QueueScaler",
            metadata: { name: "orders" },
            status: { conditions: [condition("Audited")], backlog: 1 },
          },
        });
        const own = { backlog: 5, conditions: [condition("Ready")] };
        await watched.kubernetes.report(scaler("orders"), own as QueueScalerStatus);
        const { backlog, conditions = [] } = await statusOf();
        expect([backlog, conditions.map(({ type }) => type).toSorted()]).toEqual([5, ["Audited", "Ready"]]);
      });

      test("of a scaler that is gone, or is another by now, is not written", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        const gone = scaler("orders");
        await api.must({ method: "DELETE", path: `${scalersOf(shop)}/orders` });
        await until(() => seen("orders") === undefined);
        await expect(watched.kubernetes.report(gone, { backlog: 1 })).rejects.toMatchObject({
          fault: "NotFound",
          message: `there is no QueueScaler orders in namespace ${shop}`,
        });
        await makeScaler(api, shop, "orders");
        await until(() => seen("orders"));
        await expect(watched.kubernetes.report(gone, { backlog: 1 })).rejects.toMatchObject({
          fault: "NotFound",
        });
        expect(await statusOf()).toBeUndefined();
      });

      test("that the schema does not allow is refused with the reason", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        await expect(watched.kubernetes.report(scaler("orders"), { backlog: -1 })).rejects.toMatchObject({
          fault: "Invalid",
          message: expect.stringContaining("status.backlog"),
        });
      });
    });

    describe("an Event", () => {
      interface Event {
        readonly reason: string;
        readonly series?: { readonly count: number };
      }
      const events = async (): Promise<readonly Event[]> => {
        const { items } = await api.must({
          method: "GET",
          path: `/apis/events.k8s.io/v1/namespaces/${shop}/events`,
        });
        return items as readonly Event[];
      };
      const notice = (note: string, reason = "ScaledUp") =>
        ({ type: "Normal", reason, action: "Scale", note }) as const;

      test("is about its scaler, and tells who reports it", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        await watched.kubernetes.announce(scaler("orders"), notice("from 1 to 3"));
        const { uid } = scaler("orders").metadata;
        expect(await events()).toEqual([
          expect.objectContaining({
            type: "Normal",
            reason: "ScaledUp",
            action: "Scale",
            note: "from 1 to 3",
            reportingController: "millrace.io/operator",
            reportingInstance: "operator-1",
            regarding: expect.objectContaining({ kind: "QueueScaler", namespace: shop, name: "orders", uid }),
          }),
        ]);
      });

      test("that comes again becomes a series, also where all come at once; another is one of its own", async () => {
        await makeScaler(api, shop, "orders");
        await makeScaler(api, shop, "others");
        watched = await watching(api);
        const { kubernetes } = watched;
        await Promise.all([1, 2, 3].map(() => kubernetes.announce(scaler("orders"), notice("again"))));
        await kubernetes.announce(scaler("orders"), notice("again"));
        await kubernetes.announce(scaler("orders"), notice("once"));
        await kubernetes.announce(scaler("others"), notice("again"));
        const counts = (await events()).map(({ series }) => series?.count);
        expect(counts.filter((count) => count === undefined)).toHaveLength(2);
        expect(counts.filter((count) => count !== undefined)).toEqual([
          expect.toSatisfy((n: number) => n >= 2 && n <= 4),
        ]);
      });

      test("is written anew where Kubernetes has forgotten the series", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        const { kubernetes } = watched;
        await kubernetes.announce(scaler("orders"), notice("again"));
        await api.must({ method: "DELETE", path: `/apis/events.k8s.io/v1/namespaces/${shop}/events` });
        await kubernetes.announce(scaler("orders"), notice("again"));
        expect(await events()).toHaveLength(1);
      });

      test("whose note is longer than Kubernetes takes is cut between two characters", async () => {
        await makeScaler(api, shop, "orders");
        watched = await watching(api);
        await watched.kubernetes.announce(scaler("orders"), notice("ä€𝄞".repeat(400)));
        const [event] = await events();
        expect((event as unknown as { readonly note: string }).note).toMatch(/^(ä€𝄞)+(ä€?)?…$/);
      });
    });

    describe("a Secret", () => {
      const secrets = () => `/api/v1/namespaces/${shop}/secrets`;
      const stringData = { url: "amqp://ann:päss@rabbitmq" };

      test("is decoded, and remembered no longer than is wished", async () => {
        await api.must({
          method: "POST",
          path: secrets(),
          body: { metadata: { name: "broker" }, stringData },
        });
        watched = await watching(api);
        const name = { namespace: shop, name: "broker" };
        const read = (maxAgeMs: number) => watched.kubernetes.secret(name, maxAgeMs);
        expect(await read(600_000)).toEqual(stringData);
        await patch(`${secrets()}/broker`, { stringData: { url: "amqp://bob@rabbitmq" } });
        expect(await read(600_000)).toEqual(stringData);
        expect(await read(0)).toEqual({ url: "amqp://bob@rabbitmq" });
      });

      test("that many ask for at once is asked for once, and one that was missing is asked for again", async () => {
        watched = await watching(api);
        const name = { namespace: shop, name: "broker" };
        const read = () => watched.kubernetes.secret(name, 600_000);
        const asked = () => watched.requests.filter(({ resource }) => resource === "secrets").length;
        await expect(read()).rejects.toMatchObject({
          fault: "NotFound",
          message: `there is no Secret broker in namespace ${shop}`,
        });
        await api.must({
          method: "POST",
          path: secrets(),
          body: { metadata: { name: "broker" }, stringData },
        });
        const before = asked();
        expect(await Promise.all([read(), read(), read()])).toEqual([stringData, stringData, stringData]);
        expect(asked() - before).toBe(1);
      });
    });

    describe("a lease", () => {
      test("is created, renewed, given up, and not taken by who has an older version of it", async () => {
        watched = await watching(api, { lease: { namespace: shop, name: "operator" } });
        const { leases } = watched.kubernetes;
        expect(await leases.read()).toBeUndefined();
        const lease = { holder: "a", durationMs: 15_000, renewedAtMs: 1_795_521_600_123, transitions: 0 };
        const first = await leases.write(lease);
        expect(await leases.read()).toEqual(first);
        expect(first).toEqual({ ...lease, resourceVersion: first.resourceVersion });
        await expect(leases.write(lease)).rejects.toMatchObject({ fault: "Conflict" });
        const second = await leases.write({ ...first, renewedAtMs: lease.renewedAtMs + 2000 });
        await expect(leases.write({ ...first, holder: "b" })).rejects.toMatchObject({ fault: "Conflict" });
        const given = await leases.write({ ...second, holder: "", durationMs: 1000 });
        expect(await leases.read()).toMatchObject({
          holder: "",
          durationMs: 1000,
          resourceVersion: given.resourceVersion,
        });
      });

      test("keeps the labels that others have put on it, and tells since when its holder has it", async () => {
        watched = await watching(api, { lease: { namespace: shop, name: "operator" } });
        const { leases } = watched.kubernetes;
        const path = `/apis/coordination.k8s.io/v1/namespaces/${shop}/leases/operator`;
        const lease = { holder: "a", durationMs: 15_000, renewedAtMs: 1_795_521_600_123, transitions: 0 };
        await leases.write(lease);
        await patch(path, { metadata: { labels: { mine: "yes" } } });
        const labelled = await leases.read();
        await leases.write({
          ...lease,
          renewedAtMs: lease.renewedAtMs + 2000,
          resourceVersion: labelled?.resourceVersion ?? "",
        });
        const { metadata, spec } = await api.must({ method: "GET", path });
        expect(metadata).toMatchObject({ labels: { mine: "yes" } });
        expect(spec).toMatchObject({
          acquireTime: "2026-11-24T12:00:00.123000Z",
          renewTime: "2026-11-24T12:00:02.123000Z",
          leaseDurationSeconds: 15,
        });
      });
    });

    test("every request is told once, with what it asked and the answer's status", async () => {
      watched = await watching(api);
      const before = watched.requests.length;
      await watched.kubernetes.ready();
      await watched.kubernetes.secret({ namespace: shop, name: "gone" }, 0).catch(() => {});
      const told = watched.requests.slice(before).filter(({ verb }) => verb === "get");
      expect(told).toEqual([
        { to: "kubernetes", verb: "get", resource: "version", outcome: "200", seconds: expect.any(Number) },
        { to: "kubernetes", verb: "get", resource: "secrets", outcome: "404", seconds: expect.any(Number) },
      ]);
    });
  },
);
