import { describe, expect, inject, test } from "vitest";
import { plainManifests } from "../../cdk8s/plain.ts";
import { checks } from "./checks.ts";
import { combinations, installOf, remembered, rendering } from "./combinations.ts";
import { explains, explanations, placeOf } from "./explained.ts";
import { documentsIn, helmLint, helmNotes, helmTemplate, helmText } from "./helm.ts";
import { type Finding, findingsOf } from "./kube-score.ts";
import { type KubernetesObject, type Labels, titleOf } from "./objects.ts";
import { KubernetesSchema, kubernetesVersions, type KubernetesVersion } from "./schemas.ts";

const missing = inject("chartToolsMissing");
const given = inject("chartTools");

describe.skipIf(missing !== undefined)(`the chart${missing === undefined ? "" : ` (${missing})`}`, () => {
  const tools = given as NonNullable<typeof given>;
  const rendered = rendering(() => tools.helm4);
  const schema = remembered((version: KubernetesVersion) => new KubernetesSchema(tools.schemas, version));
  const findings = remembered(async (combination: string) => {
    const { objects } = await rendered(combination);
    const found = await findingsOf(tools.kubeScore, objects, "1.29");
    return found.map((finding): Finding & { readonly place: string } => ({
      ...finding,
      place: placeOf(finding, objects),
    }));
  });

  describe.for(combinations)("with values/%s.yaml", (combination) => {
    test("has no fault that helm lint finds", async () => {
      for (const helm of [tools.helm4, tools.helm3]) {
        await expect(helmLint(helm, installOf(combination))).resolves.toBe(undefined);
      }
    });

    test("has no key twice in a map", async () => {
      const text = await helmText(tools.helm3, installOf(combination));
      expect(() => documentsIn(text, { uniqueKeys: true })).not.toThrow();
    });

    test("is the same by Helm 3 and 4, for the oldest Kubernetes and the newest", async () => {
      const { objects } = await rendered(combination);
      const newest = `${kubernetesVersions.at(-1)}.0`;
      for (const [helm, kubeVersion] of [
        [tools.helm3, "1.29.0"],
        [tools.helm3, newest],
        [tools.helm4, newest],
      ] as const) {
        const others = await helmTemplate(helm, { ...installOf(combination), kubeVersion });
        expect(withoutChance(others)).toEqual(withoutChance(objects));
      }
    });

    test.for(Object.entries(checks))("%s", async ([, check]) => {
      expect(check(await rendered(combination))).toEqual([]);
    });

    test.for(kubernetesVersions)("is valid for Kubernetes %s", async (version) => {
      const { objects } = await rendered(combination);
      expect(
        objects.flatMap((object) => {
          const faults = schema(version).faultsOf(object) ?? ["is of a kind that is not known"];
          return faults.map((fault) => `${titleOf(object)}: ${fault}`);
        }),
      ).toEqual([]);
    });

    test("has nothing that kube-score would rather have otherwise, unless it is explained", async () => {
      const unexplained = (await findings(combination)).filter(
        ({ id, place }) => !explanations.some((one) => explains(one, id, place, combination)),
      );
      expect(unexplained.map(({ id, place, says }) => `${id}: ${place}: ${says}`)).toEqual([]);
    });

    test("is what the plain manifests are, but for what Helm alone has", async () => {
      const { objects, release, namespace, values } = await rendered(combination);
      const plain = plainManifests({ release, namespace, values }) as readonly KubernetesObject[];
      expect(byTitle(plain)).toEqual(byTitle(withoutHelm(objects)));
    });

    test("ends with notes that name what is there", async () => {
      const { objects, namespace, release } = await rendered(combination);
      const notes = await helmNotes(tools.helm4, installOf(combination));
      expect(notes).toMatch(/curl .*\/event/);
      expect(notes).toContain(`--namespace ${namespace}`);
      expect(notes).not.toMatch(/<no value>|%!|\{\{|\n{3}/);
      const names = objects.map(({ metadata }) => metadata.name);
      for (const [, name = ""] of notes.matchAll(/\b(?:service|secret|deployment)\/([\w.-]+)/g)) {
        expect(names).toContain(name);
      }
      expect(notes).toContain(release);
    });
  });

  describe("the schemas", () => {
    const pod = "/spec/template/spec/containers/0";
    const scaler = {
      scaleTargetRef: { name: "a" },
      queue: { name: "a" },
      brokerRef: { secret: { name: "a" } },
      replicas: { max: 1 },
    };
    test.for([
      ["Deployment", { replicas: "3" }, "/spec/replicas must be integer"],
      ["Deployment", { replica: 3 }, "/spec must NOT have additional properties"],
      [
        "Deployment",
        { template: { spec: {} } },
        "/spec/template/spec must have required property 'containers'",
      ],
      [
        "Deployment",
        {
          template: {
            spec: { containers: [{ name: "a", ports: [{ containerPort: 80 }, { containerPort: 80 }] }] },
          },
        },
        `${pod}/ports names an item twice`,
      ],
      ["HTTPRoute", { rules: [{ backendRefs: [{ name: "a", port: 65_536 }] }] }, "/port must be <= 65535"],
      ["HTTPRoute", { rule: [] }, "/spec must NOT have additional properties"],
      ["QueueScaler", { ...scaler, replicas: {} }, "/spec/replicas must have required property 'max'"],
      ["QueueScaler", { ...scaler, replicas: { max: 0 } }, "/spec/replicas/max must be >= 1"],
      ["QueueScaler", { ...scaler, behaviour: {} }, "/spec must NOT have additional properties"],
      ["QueueScaler", { ...scaler, mode: "Dry" }, "/spec/mode must be equal to one of the allowed values"],
    ] as const)("find fault with a %s of %j", ([kind, spec, fault]) => {
      const apiVersion = {
        Deployment: "apps/v1",
        HTTPRoute: "gateway.networking.k8s.io/v1",
        QueueScaler: "millrace.io/v1alpha1",
      }[kind];
      const object: KubernetesObject = { apiVersion, kind, metadata: { name: "a" }, spec };
      for (const version of kubernetesVersions) {
        expect(schema(version).faultsOf(object)?.join("\n")).toContain(fault);
      }
    });

    test("tell of a kind that they do not know", () => {
      const object = { apiVersion: "example.org/v1", kind: "Deployment", metadata: { name: "a" } };
      expect(schema("1.34").faultsOf(object)).toBe(undefined);
    });
  });

  test("no explanation is left of what kube-score no longer finds", async () => {
    const found = await Promise.all(
      combinations.map(async (combination) =>
        (await findings(combination)).map(({ id, place }) => ({ id, place, combination })),
      ),
    );
    const left = explanations.flatMap((explanation) => {
      const { id, of, under = [undefined] } = explanation;
      return of.flatMap((place) =>
        under
          .filter((values) => {
            const one = { ...explanation, of: [place], ...(values === undefined ? {} : { under: [values] }) };
            return !found
              .flat()
              .some((finding) => explains(one, finding.id, finding.place, finding.combination));
          })
          .map((values) => `${id}: ${place}${values === undefined ? "" : ` under ${values}`}`),
      );
    });
    expect(left).toEqual([]);
  });
});

/** Passwords are made anew each time where there is no cluster to ask for those of before. */
function withoutChance(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return objects.map((object) => {
    if (object.kind !== "Secret") return object;
    const keys = Object.keys(object.data ?? {});
    return { ...object, data: Object.fromEntries(keys.map((key) => [key, ""])) };
  });
}

/** What kubectl alone would install: without hooks, made passwords, the definition of a kind, which is a file of its own, and Helm's own labels. */
function withoutHelm(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return objects
    .filter(({ kind }) => kind !== "Secret" && kind !== "CustomResourceDefinition")
    .filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === undefined)
    .filter(({ metadata }) => !metadata.name.endsWith("-smoke-test-out"))
    .map((object) => {
      const {
        "app.kubernetes.io/managed-by": _,
        "helm.sh/chart": __,
        ...labels
      } = object.metadata.labels ?? {};
      return withoutSmokeTest({ ...object, metadata: { ...object.metadata, labels } });
    });
}

/** Policies let in the pod of `helm test` beside the clients. */
function withoutSmokeTest<T>(tree: T): T {
  if (Array.isArray(tree)) return tree.filter((item) => !isSmokeTest(item)).map(withoutSmokeTest) as T;
  if (typeof tree !== "object" || tree === null) return tree;
  return Object.fromEntries(
    Object.entries(tree).map(([key, branch]) => [key, withoutSmokeTest(branch)]),
  ) as T;
}

function isSmokeTest(peer: { readonly podSelector?: { readonly matchLabels?: Labels } } | null): boolean {
  return peer?.podSelector?.matchLabels?.["app.kubernetes.io/component"] === "smoke-test";
}

function byTitle(objects: readonly KubernetesObject[]): Readonly<Record<string, KubernetesObject>> {
  return Object.fromEntries(objects.map((object) => [titleOf(object), object]));
}
