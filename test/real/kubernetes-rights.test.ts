import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { podAccess } from "../../operator/kubernetes/access.ts";
import { openRequests } from "../../operator/kubernetes/requests.ts";
import { openKubernetes } from "../../operator/kubernetes.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import {
  makeNamespace,
  makeScaler,
  makeWorkload,
  startCluster,
  until,
  watching,
  missing,
} from "./kubernetes-cluster.ts";

describe.skipIf(missing !== undefined)(
  `the rights of an operator${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    const worker = { apiVersion: "apps/v1", kind: "Deployment", name: "worker" };
    const RBAC = "/apis/rbac.authorization.k8s.io/v1";
    const see = ["get", "list", "watch"];

    let api: ApiServerPart;
    beforeAll(async () => {
      api = await startCluster();
      for (const name of ["east", "west", "north"]) {
        await makeNamespace(api, name);
        await makeScaler(api, name, "orders");
        await makeWorkload(api, name, "worker");
      }
    });
    afterAll(async () => {
      await api[Symbol.asyncDispose]();
    });

    interface Rule {
      readonly apiGroups: readonly string[];
      readonly resources: readonly string[];
      readonly verbs: readonly string[];
    }

    /** What an operator needs to see. */
    const sight: readonly Rule[] = [
      { apiGroups: ["millrace.io"], resources: ["queuescalers"], verbs: see },
      { apiGroups: ["apps"], resources: ["deployments", "statefulsets"], verbs: see },
    ];

    /** A kubeconfig of a service account that has the rights in the namespaces, and no others. */
    async function limited(
      name: string,
      namespaces: readonly string[],
      rules: readonly Rule[],
    ): Promise<string> {
      const token = await api.token("default", name);
      for (const namespace of namespaces) {
        await api.must({
          method: "POST",
          path: `${RBAC}/namespaces/${namespace}/roles`,
          body: { metadata: { name }, rules },
        });
        await api.must({
          method: "POST",
          path: `${RBAC}/namespaces/${namespace}/rolebindings`,
          body: {
            metadata: { name },
            roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
            subjects: [{ kind: "ServiceAccount", name, namespace: "default" }],
          },
        });
      }
      return api.kubeConfig({ token });
    }

    describe("an operator of some namespaces", () => {
      test("sees those, needs no right in others, and is told nothing of them", async () => {
        const kubeConfig = await limited("of-two", ["east", "west"], sight);
        await using watched = await watching(api, { namespaces: ["east", "west", "east"], kubeConfig });
        const { kubernetes } = watched;
        expect(
          kubernetes
            .scalers()
            .map(({ metadata }) => metadata.namespace)
            .toSorted(),
        ).toEqual(["east", "west"]);
        expect(await kubernetes.target("west", worker)).toMatchObject({ replicas: 1 });
        await kubernetes.ready();
        await makeScaler(api, "north", "more");
        await makeScaler(api, "west", "more");
        await until(() => kubernetes.scaler({ namespace: "west", name: "more" }));
        expect(watched.changes.filter((change) => change.startsWith("north/"))).toEqual([]);
        expect(kubernetes.scaler({ namespace: "north", name: "more" })).toBeUndefined();
      });

      test("that may not see other autoscalers works without, and says what it lacks", async () => {
        const kubeConfig = await limited("of-one", ["east"], sight);
        await using watched = await watching(api, { namespaces: ["east"], kubeConfig });
        expect(watched.kubernetes.rivals("east")).toEqual([]);
        expect(watched.restarts.map(({ resource }) => resource).toSorted()).toEqual([
          "horizontalpodautoscalers",
          "scaledobjects",
        ]);
        await watched.kubernetes.ready();
      });

      test("that may see only one of them works on that one, and says what it lacks in the other", async () => {
        const kubeConfig = await limited("of-half", ["east"], sight);
        await using watched = await watching(api, { namespaces: ["east", "west"], kubeConfig });
        const { kubernetes } = watched;
        expect(kubernetes.scalers().map(({ metadata }) => metadata.namespace)).toEqual(
          expect.not.arrayContaining(["west"]),
        );
        expect(kubernetes.scaler({ namespace: "east", name: "orders" })).toBeDefined();
        await expect(kubernetes.ready()).rejects.toMatchObject({
          fault: "Forbidden",
          message:
            "this operator may not list queuescalers (API group millrace.io) in namespace west: a Role or ClusterRole that is bound to its service account must allow it",
        });
      });

      test("sees what it was denied at first once it has the right", async () => {
        const kubeConfig = await limited("later", ["east"], sight);
        await using watched = await watching(api, { namespaces: ["west"], kubeConfig });
        expect(watched.kubernetes.scalers()).toEqual([]);
        await limited("later", ["west"], sight);
        await until(() => watched.kubernetes.scaler({ namespace: "west", name: "orders" }));
      });
    });

    describe("what the operator may not do is refused with a sentence that says what to mend", () => {
      test("of every method, without the token", async () => {
        const kubeConfig = await limited("blind", ["east"], sight);
        await using watched = await watching(api, {
          namespaces: ["east"],
          kubeConfig,
          lease: { namespace: "east", name: "operator" },
        });
        const { kubernetes } = watched;
        const orders = kubernetes.scaler({ namespace: "east", name: "orders" });
        if (orders === undefined) throw new Error("orders is not seen");
        const target = await kubernetes.target("east", worker);
        const mend = "a Role or ClusterRole that is bound to its service account must allow it";
        const notice = { type: "Normal", reason: "ScaledUp", action: "Scale", note: "" } as const;
        const attempts: readonly (readonly [what: string, () => Promise<unknown>])[] = [
          ["patch deployments/scale (API group apps)", () => kubernetes.scale("east", worker, target, 2)],
          [
            "patch queuescalers/status (API group millrace.io)",
            () => kubernetes.report(orders, { backlog: 1 }),
          ],
          ["create events (API group events.k8s.io)", () => kubernetes.announce(orders, notice)],
          ["get secrets", () => kubernetes.secret({ namespace: "east", name: "broker" }, 0)],
          ["get leases (API group coordination.k8s.io)", () => kubernetes.leases.read()],
          [
            "get replicasets/scale (API group apps)",
            () => kubernetes.target("east", { ...worker, kind: "ReplicaSet" }),
          ],
        ];
        for (const [what, attempt] of attempts) {
          await expect(attempt()).rejects.toMatchObject({
            fault: "Forbidden",
            message: `this operator may not ${what} in namespace east: ${mend}`,
          });
        }
      });

      test("in all namespaces a ClusterRole is named", async () => {
        const kubeConfig = await limited("everywhere", [], sight);
        await using watched = await watching(api, { kubeConfig });
        await expect(watched.kubernetes.ready()).rejects.toMatchObject({
          message: expect.stringMatching(
            /^this operator may not list .* in all namespaces: a ClusterRole that is/,
          ),
        });
      });

      test("a token that is not known is told, and not shown", async () => {
        const token = "eyJhbGciOiJub25lIn0.e30.c2VjcmV0";
        await using watched = await watching(api, { kubeConfig: api.kubeConfig({ token }) });
        const refused: Error = await watched.kubernetes.ready().then(
          () => new Error("it is ready"),
          (error: Error) => error,
        );
        expect(refused.message).toBe("the API server does not accept this operator's credentials");
        expect(JSON.stringify(watched.restarts.map(({ error }) => String(error)))).not.toContain("secret");
      });

      test("a namespace that is being deleted takes no Event, and the API server's reason is passed on", async () => {
        await makeNamespace(api, "closing");
        await makeScaler(api, "closing", "orders");
        await using watched = await watching(api, { namespaces: ["closing"] });
        const orders = watched.kubernetes.scaler({ namespace: "closing", name: "orders" });
        if (orders === undefined) throw new Error("orders is not seen");
        await api.must({ method: "DELETE", path: "/api/v1/namespaces/closing" });
        const notice = { type: "Normal", reason: "ScaledUp", action: "Scale", note: "" } as const;
        await expect(watched.kubernetes.announce(orders, notice)).rejects.toMatchObject({
          fault: "Forbidden",
          message: expect.stringContaining("is being terminated"),
        });
      });
    });

    describe("in a pod", () => {
      test("the token is read again once it is refused, as one that was replaced is", async () => {
        const folder = await mkdtemp(join(tmpdir(), "millrace-account-"));
        try {
          const kubeConfig = JSON.parse(api.kubeConfig());
          const ca = kubeConfig.clusters[0].cluster["certificate-authority-data"];
          await writeFile(join(folder, "ca.crt"), Buffer.from(ca, "base64"));
          await writeFile(join(folder, "token"), "one that has expired\n");
          using requests = openRequests(podAccess(api.url, folder), () => {});
          const version = {
            verb: "get",
            group: "",
            resource: "namespaces",
            path: "/api/v1/namespaces/east",
          } as const;
          await expect(requests.ask(version)).rejects.toMatchObject({
            message: "the API server does not accept this operator's credentials",
          });
          await writeFile(join(folder, "token"), `${kubeConfig.users[0].user.token}\n`);
          expect(await requests.ask(version)).toMatchObject({ metadata: { name: "east" } });
          await rm(join(folder, "token"));
          await requests.ask(version);
          expect(await readFile(join(folder, "ca.crt"), "utf8")).toContain("BEGIN CERTIFICATE");
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      });
    });

    test("a kubeconfig without a context is refused at once", async () => {
      const settings = {
        namespaces: [],
        identity: "a",
        lease: { namespace: "default", name: "operator" },
        emit: () => {},
        kubeConfig: JSON.stringify({
          apiVersion: "v1",
          kind: "Config",
          clusters: [],
          users: [],
          contexts: [],
        }),
      };
      await expect(openKubernetes(settings)).rejects.toThrow("the kubeconfig has no current context");
    });
  },
);
