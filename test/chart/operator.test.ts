import { describe, expect, inject, test } from "vitest";
import { rendering } from "./combinations.ts";
import { type KubernetesObject, ofKind, workloadsOf } from "./objects.ts";
import { mayReach } from "./policies.ts";
import { operatorOf, type Right, rightsOf } from "./rights.ts";

const missing = inject("chartToolsMissing");
const given = inject("chartTools");

const line = ({ scope, group, resource, names, verbs }: Right): string =>
  `${scope} ${group}/${resource}${names === undefined ? "" : `[${names.join()}]`}: ${verbs.join(" ")}`;
const everywhere = (lines: readonly string[]) => lines.map((one) => one.replace(/^namespace/, "cluster"));

/** All that is asked for a QueueScaler of a Deployment or StatefulSet, but its Secret. */
const rights = [
  "namespace apps/deployments/scale: get patch",
  "namespace apps/deployments: get list watch",
  "namespace apps/statefulsets/scale: get patch",
  "namespace apps/statefulsets: get list watch",
  "namespace autoscaling/horizontalpodautoscalers: get list watch",
  "namespace events.k8s.io/events: create patch",
  "namespace keda.sh/scaledobjects: get list watch",
  "namespace millrace.io/queuescalers/status: patch",
  "namespace millrace.io/queuescalers: get list watch",
];
const lease = [
  "namespace coordination.k8s.io/leases: create",
  "namespace coordination.k8s.io/leases[millrace-operator]: get update",
];
const rollouts = "namespace argoproj.io/rollouts/scale: get patch";

describe.skipIf(missing !== undefined)(`the operator${missing === undefined ? "" : ` (${missing})`}`, () => {
  const tools = given as NonNullable<typeof given>;
  const rendered = rendering(() => tools.helm4);
  const specsOf = (objects: readonly KubernetesObject[]) =>
    Object.fromEntries(
      ofKind(objects, "QueueScaler").map(({ metadata, spec }) => [
        metadata.labels?.["app.kubernetes.io/component"] ?? "",
        spec ?? {},
      ]),
    );

  describe("may do this and no more:", () => {
    test.for([
      [
        "default",
        "millrace-operator",
        [...rights, "namespace /secrets[millrace-credentials]: get", ...lease],
      ],
      [
        "external-broker",
        "millrace-operator",
        [...rights, "namespace /secrets[rabbit-default-user]: get", ...lease],
      ],
      [
        "scaling",
        "millrace-operator",
        [...rights, rollouts, "namespace /secrets[millrace-credentials,monitor]: get", ...lease],
      ],
      [
        "scope-cluster",
        "millrace-operator",
        [...everywhere([...rights, "namespace /secrets: get"]), ...lease],
      ],
      [
        "scope-cluster-named",
        "our-operator",
        [
          ...everywhere([
            ...rights,
            rollouts,
            "namespace /replicationcontrollers/scale: get patch",
            "namespace /secrets[millrace-credentials,rabbit-default-user,123]: get",
          ]),
          ...lease,
        ],
      ],
      ["own-rights", "our-operator", []],
    ] as const)("with values/%s.yaml", async ([combination, account, expected]) => {
      const { objects } = await rendered(combination);
      expect(operatorOf(objects)?.pod.serviceAccountName).toBe(account);
      expect(rightsOf(objects, account).map(line).toSorted()).toEqual([...expected].toSorted());
    });

    test("in no role of the cluster unless that is its scope", async () => {
      const { objects } = await rendered("default");
      expect(objects.filter(({ kind }) => kind.startsWith("ClusterRole"))).toEqual([]);
    });

    test("by a role whose name tells two namespaces apart", async () => {
      const { objects } = await rendered("scope-cluster");
      const names = objects
        .filter(({ kind }) => kind.startsWith("ClusterRole"))
        .map(({ metadata }) => metadata.name);
      expect(names).toEqual(["events-millrace-operator", "events-millrace-operator"]);
    });
  });

  test("has no credentials of the broker or the store", async () => {
    const { objects } = await rendered("default");
    const [container] = operatorOf(objects)?.pod.containers ?? [];
    const fieldRef = { fieldPath: "metadata.namespace" };
    expect(container?.env).toEqual([
      { name: "NODE_OPTIONS", value: expect.any(String) },
      { name: "MILLRACE_OPERATOR_NAMESPACES", valueFrom: { fieldRef } },
      { name: "MILLRACE_OPERATOR_LEASE_NAMESPACE", valueFrom: { fieldRef } },
      { name: "MILLRACE_OPERATOR_LEASE_NAME", value: "millrace-operator" },
    ]);
  });

  test("works on all namespaces with the scope Cluster", async () => {
    const { objects } = await rendered("scope-cluster");
    const names = operatorOf(objects)?.pod.containers.flatMap(({ env = [] }) => env.map(({ name }) => name));
    expect(names).toContain("MILLRACE_OPERATOR_LEASE_NAMESPACE");
    expect(names).not.toContain("MILLRACE_OPERATOR_NAMESPACES");
  });

  test("reaches the broker's management, and neither its messages nor the store", async () => {
    const { objects } = await rendered("default");
    const from = operatorOf(objects);
    const reached = workloadsOf(objects).flatMap((to) =>
      to.pod.containers
        .flatMap(({ ports = [] }) => ports)
        .filter(
          ({ containerPort }) => from !== undefined && mayReach(objects, { from, to, port: containerPort }),
        )
        .map(({ name }) => `${to.title} ${name}`),
    );
    expect(reached).toEqual(["StatefulSet millrace-rabbitmq management"]);
  });

  test("is not there where it is switched off, and the workers' QueueScalers are", async () => {
    const { objects } = await rendered("other-operator");
    expect(operatorOf(objects)).toBe(undefined);
    expect(objects.filter(({ kind }) => /Role|Binding/.test(kind))).toEqual([]);
    expect(specsOf(objects)["worker-hourly-log"]).toMatchObject({
      brokerRef: { url: "http://millrace@millrace-rabbitmq.events:15672" },
    });
  });
});

describe.skipIf(missing !== undefined)(`QueueScalers${missing === undefined ? "" : ` (${missing})`}`, () => {
  const tools = given as NonNullable<typeof given>;
  const rendered = rendering(() => tools.helm4);
  const specOf = async (combination: string, component: string) => {
    const { objects } = await rendered(combination);
    return ofKind(objects, "QueueScaler").find(
      ({ metadata }) => metadata.labels?.["app.kubernetes.io/component"] === component,
    )?.spec;
  };

  test("scale each worker by the queue of its projection", async () => {
    const { objects } = await rendered("default");
    const specs = ofKind(objects, "QueueScaler").map(({ spec }) => spec);
    expect(specs.map((spec) => [spec?.["scaleTargetRef"], spec?.["queue"]])).toEqual(
      [
        ["account-name", "accountName"],
        ["distinct-name", "distinctName"],
        ["hourly-log", "hourlyLog"],
      ].map(([component, name]) => [
        { apiVersion: "apps/v1", kind: "Deployment", name: `millrace-worker-${component}` },
        { name, vhost: "/" },
      ]),
    );
  });

  test("say what comes with the chart", async () => {
    expect(await specOf("default", "worker-hourly-log")).toMatchObject({
      brokerRef: {
        url: "http://millrace@millrace-rabbitmq:15672",
        secret: { name: "millrace-credentials", passwordKey: "rabbitmq-password" },
      },
      replicas: { min: 1, max: 10 },
      objective: { maxWaitSeconds: 30 },
      manualScale: { policy: "Override" },
    });
    for (const field of ["messagesPerReplica", "mode", "paused"]) {
      expect(await specOf("default", "worker-hourly-log")).not.toHaveProperty(field);
    }
  });

  test("find a broker of the user's by its Secret", async () => {
    expect(await specOf("external", "worker-hourly-log")).toMatchObject({
      brokerRef: {
        secret: { name: "our-broker", urlKey: "connection_string", managementUrlKey: "management" },
      },
      queue: { vhost: "events" },
    });
    const { brokerRef } = (await specOf("external-broker", "worker-hourly-log")) ?? {};
    expect(brokerRef).toEqual({ secret: { name: "rabbit-default-user", urlKey: "connection_string" } });
  });

  test("hold all that the values say", async () => {
    expect(await specOf("scaling", "worker-account-name")).toMatchObject({
      replicas: { min: 0, max: 10_000 },
      objective: { maxWaitSeconds: 86_400 },
      messagesPerReplica: 10_000_000,
      mode: "Observe",
      paused: true,
      manualScale: { policy: "Respect" },
      behavior: { zeroAfterSeconds: 300 },
      fallback: { replicas: 3 },
      hints: { messagesPerSecond: 250, startupSeconds: 20 },
      pollingIntervalSeconds: 5,
    });
    expect(await specOf("scaling", "worker-distinct-name")).toMatchObject({
      manualScale: { policy: "Respect", forSeconds: 3600 },
      brokerRef: { url: "http://millrace-rabbitmq:15672", secret: { name: "monitor", usernameKey: "user" } },
    });
  });

  test("are not there where scaling is off, and replicas are", async () => {
    const { objects } = await rendered("scaling");
    expect(await specOf("scaling", "worker-hourly-log")).toBe(undefined);
    const replicas = ofKind(objects, "Deployment").map(({ metadata, spec }) => [
      metadata.name,
      spec?.["replicas"],
    ]);
    expect(replicas).toEqual(
      expect.arrayContaining([
        ["millrace-worker-account-name", undefined],
        ["millrace-worker-distinct-name", undefined],
        ["millrace-worker-hourly-log", 3],
      ]),
    );
  });
});
