import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { plainYaml } from "../../cdk8s/plain.ts";
import { hyperkube } from "../../kind/offline/programs.ts";
import { type ApiServerPart, startApiServer } from "../parts/api-server.ts";
import { command } from "../parts/command.ts";
import { json, managementApi, overview, queue } from "../operator/management-api.ts";
import { chartFolder, runHelm } from "./helm.ts";
import { operatorAtWork } from "./operator-at-work.ts";

const missing = inject("apiServerMissing");
const given = inject("chartTools");
const scalers = "/apis/millrace.io/v1alpha1/namespaces";
const worker = "millrace-worker-hourly-log";

describe.skipIf(missing !== undefined)(
  `in an API server${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    const tools = given as NonNullable<typeof given>;
    const helms = [
      ["Helm 4", "four", () => tools.helm4],
      ["Helm 3", "three", () => tools.helm3],
    ] as const;
    let api: ApiServerPart;
    let folder: string;
    let kubeconfig: string;

    const helm = async (program: string, ...words: readonly string[]) => runHelm(program, words, kubeconfig);
    const upgrade = async (program: string, namespace: string, ...words: readonly string[]) =>
      helm(program, "upgrade", "millrace", chartFolder, "--namespace", namespace, ...words);
    const kubectl = async (...words: readonly string[]) =>
      command(await hyperkube(), ["kubectl", "--kubeconfig", kubeconfig, ...words]);
    const deployment = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/deployments/${worker}`;
    const replicasIn = async (namespace: string) => {
      const { spec } = await api.must({ method: "GET", path: deployment(namespace) });
      return (spec as { readonly replicas: number }).replicas;
    };
    /** As the operator does it. */
    const scale = async (namespace: string, replicas: number) =>
      api.must({
        method: "PATCH",
        path: `${deployment(namespace)}/scale?fieldManager=millrace-operator`,
        contentType: "application/merge-patch+json",
        body: { spec: { replicas } },
      });
    /** Whether the account of the release's operator may, such as `patch apps deployments/scale events any`. */
    const may = async (release: string, asked: string) => {
      const [verb, group, what = "", namespace, name] = asked.split(" ");
      const [resource, subresource] = what.split("/");
      const { status } = await api.must({
        method: "POST",
        path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        body: {
          spec: {
            user: `system:serviceaccount:${release}:millrace-operator`,
            resourceAttributes: {
              verb,
              group: group === "core" ? "" : group,
              resource,
              subresource,
              namespace,
              name,
            },
          },
        },
      });
      return (status as { readonly allowed: boolean }).allowed;
    };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "millrace-chart-"));
      kubeconfig = join(folder, "kubeconfig");
      api = await startApiServer();
      await writeFile(kubeconfig, api.kubeConfig());
      for (const namespace of ["three", "four", "whole", "elsewhere"])
        await kubectl("create", "namespace", namespace);
      const install = ["install", "millrace", chartFolder, "--namespace"];
      for (const [, namespace, program] of helms) await helm(program(), ...install, namespace);
      await helm(tools.helm4, ...install, "whole", "--set", "operator.scope=Cluster");
    });
    afterAll(async () => {
      await api?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    test.for(helms)(
      "%s makes the kind before its objects, which get their defaults",
      async ([, namespace]) => {
        const { spec } = await api.must({
          method: "GET",
          path: `${scalers}/${namespace}/queuescalers/${worker}`,
        });
        expect(spec).toMatchObject({
          pollingIntervalSeconds: 2,
          behavior: { zeroAfterSeconds: 60 },
          brokerRef: { secret: { passwordKey: "rabbitmq-password", urlKey: "url" } },
        });
      },
    );

    test.for(helms)("%s leaves the number that the operator has set", async ([, namespace, program]) => {
      await scale(namespace, 4);
      await upgrade(program(), namespace, "--set", "settings.prefetch=7");
      expect(await replicasIn(namespace)).toBe(4);
    });

    test.for(helms)(
      "%s sets the number again where scaling is switched off, and gives it back",
      async (one) => {
        const [, namespace, program] = one;
        await scale(namespace, 4);
        const off = [
          "--set",
          "workers.hourlyLog.scaling.enabled=false",
          "--set",
          "workers.hourlyLog.replicas=3",
        ];
        await upgrade(program(), namespace, ...off);
        expect(await replicasIn(namespace)).toBe(3);
        await upgrade(program(), namespace, "--set", "workers.hourlyLog.scaling.enabled=true");
        // What Kubernetes itself takes where nobody says, until the operator's next decision.
        expect(await replicasIn(namespace)).toBe(1);
        await scale(namespace, 5);
        await upgrade(program(), namespace, "--set", "settings.prefetch=8");
        expect(await replicasIn(namespace)).toBe(5);
      },
    );

    test.for(helms)("%s leaves a pause that kubectl has set", async ([, namespace, program]) => {
      const scaler = ["--namespace", namespace, "queuescaler", worker];
      await kubectl("patch", ...scaler, "--type=merge", '--patch={"spec":{"paused":true,"mode":"Observe"}}');
      await upgrade(program(), namespace, "--set", "settings.prefetch=9");
      expect(await kubectl("get", ...scaler, "--output=jsonpath={.spec.paused} {.spec.mode}")).toBe(
        "true Observe",
      );
    });

    test("a fallback above the most pods is refused in words", async () => {
      const spec = "workers.hourlyLog.scaling.spec.fallback.replicas=11";
      await expect(upgrade(tools.helm4, "four", "--set", spec)).rejects.toThrow(
        "fallback.replicas must not be greater than replicas.max",
      );
    });

    test("the definition of another version is replaced by what the notes say", async () => {
      const file = join(folder, "crd.yaml");
      const now = join(chartFolder, "crds/queuescalers.yaml");
      const older = (await readFile(now, "utf8")).replaceAll("Fewest replicas", "Least replicas");
      const apply = ["apply", "--server-side", "--force-conflicts", "--filename"];
      const said = async () => kubectl("get", "crd", "queuescalers.millrace.io", "--output=yaml");
      await writeFile(file, older);
      await kubectl(...apply, file);
      expect(await said()).toContain("Least replicas");
      await kubectl(...apply, join(chartFolder, "crds"));
      expect(await said()).not.toContain("Least replicas");
    });

    test.for([
      ["four", "watch millrace.io queuescalers four", true],
      ["four", "patch millrace.io queuescalers/status four any", true],
      ["four", "patch millrace.io queuescalers four any", false],
      ["four", "patch apps deployments/scale four any", true],
      ["four", "patch apps deployments four any", false],
      ["four", "list apps replicasets four", false],
      ["four", "create events.k8s.io events four", true],
      ["four", "get core secrets four millrace-credentials", true],
      ["four", "get core secrets four other", false],
      ["four", "list core secrets four", false],
      ["four", "create coordination.k8s.io leases four", true],
      ["four", "update coordination.k8s.io leases four millrace-operator", true],
      ["four", "update coordination.k8s.io leases four other", false],
      ["four", "watch millrace.io queuescalers elsewhere", false],
      ["four", "get core secrets elsewhere millrace-credentials", false],
      ["whole", "watch millrace.io queuescalers", true],
      ["whole", "patch apps statefulsets/scale elsewhere any", true],
      ["whole", "get core secrets elsewhere any", true],
      ["whole", "list core secrets elsewhere", false],
      ["whole", "update coordination.k8s.io leases elsewhere millrace-operator", false],
      ["whole", "create core pods elsewhere", false],
    ] as const)("the operator of %s, asked for %s, may: %s", async ([release, asked, expected]) => {
      expect(await may(release, asked)).toBe(expected);
    });

    test("the operator scales with these rights, and is refused nothing", async () => {
      await using broker = await managementApi((path, response) => {
        const [resource, vhost = ""] = path.split("/");
        if (resource === "overview") return json(response, overview(1));
        const busy = queue("hourlyLog", { messages_ready: 3, consumers: 1 });
        return resource === "queues" && vhost === "" ? json(response, [busy]) : json(response, {}, 404);
      });
      const secret = { name: "millrace-credentials", passwordKey: "rabbitmq-password" };
      const scaling = {
        messagesPerReplica: 1,
        spec: { brokerRef: { url: broker.url.replace("//", "//millrace@"), secret } },
      };
      const values = `workers.hourlyLog.scaling=${JSON.stringify(scaling)}`;
      await kubectl("create", "namespace", "working");
      await helm(
        tools.helm4,
        "install",
        "millrace",
        chartFolder,
        "--namespace",
        "working",
        "--set-json",
        values,
      );
      const token = await api.token("working", "millrace-operator");
      const { scaled, refusals } = await operatorAtWork(api.kubeConfig({ token }), "working");
      expect(scaled).toMatchObject({ target: `Deployment ${worker}`, from: 1, to: 3 });
      expect(await replicasIn("working")).toBe(3);
      // There was no Lease yet, and there is no KEDA.
      expect(refusals).toEqual(["get leases 404", "list scaledobjects 404"]);
    });

    test("the plain manifests are applied once the kind is there", async () => {
      const file = join(folder, "plain.yaml");
      await writeFile(file, plainYaml({ release: "plain", values: { operator: { scope: "Cluster" } } }));
      await kubectl("create", "namespace", "plain");
      await kubectl("--namespace", "plain", "apply", "--server-side", "--filename", file);
      const scaled = await kubectl("--namespace", "plain", "get", "queuescalers", "--output=name");
      expect(scaled.trim().split("\n").length).toBe(3);
      const role = await kubectl(
        "get",
        "clusterrolebinding",
        "plain-plain-millrace-operator",
        "--output=yaml",
      );
      expect(role).toContain("namespace: plain");
    });

    test("an uninstall leaves nothing of it but the kind", async () => {
      await helm(tools.helm4, "uninstall", "millrace", "--namespace", "whole");
      const left = await kubectl("get", "clusterrole,clusterrolebinding", "--output=name");
      expect(left).not.toContain("whole-millrace");
      const kinds = "queuescaler,deployment,role,rolebinding,serviceaccount,networkpolicy";
      const names = await kubectl("--namespace", "whole", "get", kinds, "--output=name");
      expect(
        names
          .trim()
          .split("\n")
          .filter((name) => name !== "serviceaccount/default"),
      ).toEqual([""]);
      expect(await kubectl("get", "crd", "--output=name")).toContain("queuescalers.millrace.io");
    });
  },
);
