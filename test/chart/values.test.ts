import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { plainManifests } from "../../cdk8s/plain.ts";
import { readConfig } from "../../src/config.ts";
import { type Config, type SettingName } from "../../src/settings.ts";
import { installOf, rendering } from "./combinations.ts";
import { chartFolder, helmTemplate } from "./helm.ts";
import { containersOf, type KubernetesObject, type Labels, ofKind, titleOf, workloadsOf } from "./objects.ts";
import { servicesOf } from "./services.ts";
import { rolesOf } from "./settings.ts";
import { wrongValues } from "./wrong-values.ts";

const missing = inject("chartToolsMissing");
const given = inject("chartTools");

describe.skipIf(missing !== undefined)(
  `values of the chart${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    const tools = given as NonNullable<typeof given>;
    const rendered = rendering(() => tools.helm4);

    describe("arrive:", () => {
      test("no bundled server is there where another is used", async () => {
        const { objects } = await rendered("external");
        expect(ofKind(objects, "StatefulSet")).toEqual([]);
        expect(ofKind(objects, "Secret")).toEqual([]);
        const served = new Set(servicesOf(objects).flatMap(({ ports }) => ports.map(({ name }) => name)));
        expect(served).toEqual(new Set(["admin", "http"]));
      });

      test("the nodes of the broker are as many as asked for, each with a volume", async () => {
        const { objects } = await rendered("three-brokers");
        const [broker] = ofKind(objects, "StatefulSet").filter(({ metadata }) =>
          metadata.name.endsWith("rabbitmq"),
        );
        expect(broker?.spec).toMatchObject({
          replicas: 3,
          volumeClaimTemplates: [
            { spec: { storageClassName: "fast", resources: { requests: { storage: "20Gi" } } } },
          ],
        });
        expect(ofKind(objects, "PodDisruptionBudget").length).toBe(8);
      });

      test("without persistence, there is no claim", async () => {
        for (const { claims } of workloadsOf((await rendered("no-persistence")).objects))
          expect(claims).toEqual([]);
      });

      test("common labels and annotations are on every object, and its own go before them", async () => {
        const { objects } = await rendered("labels");
        for (const object of withoutDefinition(objects)) {
          const { labels, annotations } = object.metadata;
          expect
            .soft(labels, titleOf(object))
            .toMatchObject({ team: "events", "example.org/tier": "ingest" });
          expect
            .soft(annotations, titleOf(object))
            .toMatchObject({ "example.org/owner": "The events team, <events@example.org>" });
        }
        const noteOf = (kind: string) =>
          ofKind(objects, kind).map(({ metadata }) => metadata.annotations?.["note"] ?? "");
        expect(noteOf("Ingress")).toEqual(["ingress"]);
        expect(noteOf("ServiceAccount").toSorted()).toEqual(["account", "operator"]);
        expect(noteOf("HTTPRoute")).toEqual(["route"]);
        const pods = workloadsOf(objects).map(({ title, labels }) => [
          title,
          labels["team"],
          labels["colour"],
        ]);
        expect(pods).toContainEqual(["Deployment events-millrace-collector", "collectors", "blue"]);
        expect(pods).toContainEqual(["StatefulSet events-millrace-mongodb", "events", "leaf"]);
        expect(pods).toContainEqual(["Deployment events-millrace-grafana", "events", "pink"]);
      });

      test("every pod runs where it is told to", async () => {
        const { objects } = await rendered("placement");
        for (const { title, pod } of workloadsOf(objects)) {
          expect.soft(pod, title).toMatchObject({
            nodeSelector: { "kubernetes.io/arch": "amd64", "example.org/pool": "7" },
            tolerations: [{ key: "dedicated", operator: "Equal", value: "events", effect: "NoSchedule" }],
            priorityClassName: "events",
          });
          expect.soft(pod.affinity, title).toBeDefined();
        }
        for (const { workload } of rolesOf(objects)) {
          expect.soft(workload.pod.topologySpreadConstraints, workload.title).toMatchObject([{ maxSkew: 2 }]);
        }
      });

      test("further variables and volumes are in every role, beside ours", async () => {
        for (const { workload, container } of rolesOf((await rendered("extra")).objects)) {
          const names = (container.env ?? []).map(({ name }) => name);
          expect
            .soft(names, workload.title)
            .toEqual(expect.arrayContaining(["TZ", "NODE_NAME", "THEIR_TOKEN", "NODE_OPTIONS"]));
          expect.soft(container.volumeMounts, workload.title).toContainEqual({
            name: "certificates",
            mountPath: "/certificates",
            readOnly: true,
          });
        }
      });

      test("keys are a file of collector and query API, and of nobody else", async () => {
        const { objects } = await rendered("keys");
        const holders = rolesOf(objects).filter(({ container }) =>
          container.volumeMounts?.some(({ name }) => name === "keys"),
        );
        expect(holders.map(({ role }) => role).toSorted()).toEqual(["collector", "query"]);
        for (const { container, workload } of holders) {
          expect(container.volumeMounts).toContainEqual({
            name: "keys",
            mountPath: "/etc/millrace/keys",
            readOnly: true,
          });
          expect(container.env).toContainEqual({
            name: "MILLRACE_KEYS_FILE",
            value: "/etc/millrace/keys/keys.json",
          });
          const volume = workload.pod.volumes?.find(({ name }) => name === "keys");
          expect(volume).toMatchObject({
            secret: { secretName: "our-keys", items: [{ key: "keys.json", path: "keys.json" }] },
          });
        }
      });

      test("texts come out as they went in", async () => {
        const { objects, values } = await rendered("odd-texts");
        const { commonLabels, commonAnnotations, collector, rabbitmq } = values as {
          readonly commonLabels: Labels;
          readonly commonAnnotations: Labels;
          readonly collector: { readonly extraEnv: readonly object[]; readonly podAnnotations: Labels };
          readonly rabbitmq: { readonly existingSecret: string };
        };
        for (const { metadata } of withoutDefinition(objects)) {
          expect(metadata.labels).toMatchObject(commonLabels);
          expect(metadata.annotations).toMatchObject(commonAnnotations);
        }
        const [role] = rolesOf(objects).filter(({ role: name }) => name === "collector");
        expect(role?.container.env).toEqual(expect.arrayContaining([...collector.extraEnv]));
        expect(role?.workload.annotations).toMatchObject(collector.podAnnotations);
        expect(JSON.stringify(role?.container.env)).toContain(`"name":"${rabbitmq.existingSecret}"`);
      });

      test("every image comes from the mirror, by its digest where it has one", async () => {
        const { objects } = await rendered("registry");
        const images = new Set(
          workloadsOf(objects).flatMap(({ pod }) => containersOf(pod).map(({ image }) => image)),
        );
        expect(Array.from(images, (image) => image.replace(/[\da-f]{64}$/, "…")).toSorted()).toEqual([
          "mirror.example.org/hub/grafana/grafana@sha256:…",
          "mirror.example.org/hub/library/mongo@sha256:…",
          "mirror.example.org/hub/library/rabbitmq:4.3.1-management",
          "mirror.example.org/hub/millrace/millrace@sha256:…",
          "mirror.example.org/hub/prometheus:v3.16.1",
        ]);
        for (const { pod } of workloadsOf(objects))
          expect(pod.imagePullSecrets).toEqual([{ name: "mirror" }]);
      });

      test("every setting is what Millrace reads", async () => {
        const { objects, values } = await rendered("settings");
        const [map] = ofKind(objects, "ConfigMap").filter(({ metadata }) =>
          metadata.name.endsWith("-settings"),
        );
        const config: Config = readConfig(map?.data ?? {}, {});
        const { settings } = values as { readonly settings: Readonly<Partial<Record<SettingName, unknown>>> };
        const defaults: Config = readConfig({}, {});
        for (const [name, value] of Object.entries(settings) as [SettingName, unknown][]) {
          expect.soft(config[name], name).toEqual(value);
          expect.soft(defaults[name], `${name} is not at its default`).not.toEqual(value);
        }
        const { settings: all } = parse(readFileSync(join(chartFolder, "values.yaml"), "utf8"));
        expect(Object.keys(settings).toSorted()).toEqual(Object.keys(all as object).toSorted());
      });

      test("new settings make new pods, and new numbers of them do not", async () => {
        const checksums = async (values: object) => {
          const install = { ...installOf("default"), values };
          const roles = rolesOf(await helmTemplate(tools.helm4, install));
          return roles.map(({ workload }) => workload.annotations["checksum/settings"]);
        };
        const before = await checksums({});
        const after = await checksums({ settings: { prefetch: 7 } });
        expect(before.length).toBe(7);
        for (const [index, sum] of before.entries()) expect(after[index]).not.toBe(sum);
        expect(await checksums({ query: { replicas: 5 } })).toEqual(before);
      });
    });

    describe("are refused in words that name them:", () => {
      test.for(wrongValues)("%j", async ([values, place, matter]) => {
        for (const helm of [tools.helm4, tools.helm3]) {
          const refusal = helmTemplate(helm, { ...installOf("default"), values });
          await expect(refusal).rejects.toThrow(`at '${place}`);
          await expect(refusal).rejects.toThrow(matter);
        }
      });

      test("fewest pods above most, which no schema can tell", async () => {
        const values = { collector: { autoscaling: { minReplicas: 11 } } };
        for (const helm of [tools.helm4, tools.helm3]) {
          const refusal = helmTemplate(helm, { ...installOf("default"), values });
          await expect(refusal).rejects.toThrow("collector.autoscaling.minReplicas is 11");
        }
        const scaling = { workers: { distinctName: { scaling: { minReplicas: 7, maxReplicas: 6 } } } };
        const words =
          "workers.distinctName.scaling.minReplicas is 7; it must not be above maxReplicas, which is 6";
        for (const helm of [tools.helm4, tools.helm3]) {
          const refusal = helmTemplate(helm, { ...installOf("default"), values: scaling });
          await expect(refusal).rejects.toThrow(words);
        }
        expect(() => plainManifests({ release: "a", values: scaling })).toThrow(words);
      });

      test("a Kubernetes that is too old", async () => {
        for (const helm of [tools.helm4, tools.helm3]) {
          const refusal = helmTemplate(helm, { ...installOf("default"), kubeVersion: "1.28.15" });
          await expect(refusal).rejects.toThrow(">=1.29.0-0");
          await helmTemplate(helm, { ...installOf("default"), kubeVersion: "1.29.1-gke.1589017" });
        }
      });
    });
  },
);

/** The definition of a kind is no template. */
function withoutDefinition(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return objects.filter(({ kind }) => kind !== "CustomResourceDefinition");
}
