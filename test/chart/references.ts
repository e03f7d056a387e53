import {
  type Container,
  containersOf,
  type KubernetesObject,
  ofKind,
  type PodSpec,
  secretsOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";
import { servicesOf } from "./services.ts";

/** What a pod names and nobody makes: neither the chart, nor the user, whose objects the values name. */
export function danglingReferences(objects: readonly KubernetesObject[], values: unknown): string[] {
  const theirs = textsIn(values);
  const secrets = secretsOf(objects);
  const configMaps = new Map(
    ofKind(objects, "ConfigMap").map(({ metadata, data }) => [metadata.name, data ?? {}]),
  );
  const missing = (kind: "Secret" | "ConfigMap", name: string, key?: string): string[] => {
    const held = (kind === "Secret" ? secrets : configMaps).get(name);
    if (held === undefined) return theirs.has(name) ? [] : [`${kind} ${name}`];
    return key === undefined || held[key] !== undefined ? [] : [`key ${key} of ${kind} ${name}`];
  };
  return workloadsOf(objects).flatMap((workload) => {
    const { pod, title } = workload;
    const account = pod.serviceAccountName ?? "default";
    const accounts = [...ofKind(objects, "ServiceAccount").map(({ metadata }) => metadata.name), "default"];
    return [
      ...(accounts.includes(account) || theirs.has(account) ? [] : [`ServiceAccount ${account}`]),
      ...containersOf(pod).flatMap((container) => [
        ...referencesOfContainer(container).flatMap(({ kind, name, key }) => missing(kind, name, key)),
        ...(container.volumeMounts ?? [])
          .filter(({ name }) => !hasVolume(workload, name))
          .map(({ name }) => `volume ${name}`),
        ...(container.volumeMounts ?? []).flatMap(({ name, subPath }) => {
          const configMap = pod.volumes?.find((volume) => volume.name === name)?.configMap;
          return configMap === undefined || subPath === undefined
            ? []
            : missing("ConfigMap", configMap.name, subPath);
        }),
      ]),
      ...referencesOfVolumes(pod).flatMap(({ kind, name, key }) => missing(kind, name, key)),
      ...(pod.volumes ?? [])
        .filter(
          ({ name }) =>
            !containersOf(pod).some(({ volumeMounts = [] }) => volumeMounts.some((one) => one.name === name)),
        )
        .map(({ name }) => `mount of the volume ${name}`),
      ...(workload.object.kind === "StatefulSet" ? missingHeadless(workload, objects) : []),
    ].map((what) => `${title} has no ${what}`);
  });
}

interface Reference {
  readonly kind: "Secret" | "ConfigMap";
  readonly name: string;
  readonly key?: string;
}

function referencesOfContainer({ env = [], envFrom = [] }: Container): readonly Reference[] {
  return [
    ...env.flatMap(({ valueFrom }): readonly Reference[] => [
      ...required(valueFrom?.secretKeyRef).map((one): Reference => ({ ...one, kind: "Secret" })),
      ...required(valueFrom?.configMapKeyRef).map((one): Reference => ({ ...one, kind: "ConfigMap" })),
    ]),
    ...envFrom.flatMap(({ secretRef, configMapRef }): readonly Reference[] => [
      ...required(secretRef).map(({ name }): Reference => ({ kind: "Secret", name })),
      ...required(configMapRef).map(({ name }): Reference => ({ kind: "ConfigMap", name })),
    ]),
  ];
}

function referencesOfVolumes(pod: PodSpec): readonly Reference[] {
  return (pod.volumes ?? []).flatMap(({ secret, configMap, projected }) => {
    const own = {
      ...(secret && { secret: { ...secret, name: secret.secretName } }),
      ...(configMap && { configMap }),
    };
    return [own, ...(projected?.sources ?? [])].flatMap((source): readonly Reference[] => [
      ...required(source.secret).flatMap(({ name, items }) => keyed("Secret", name, items)),
      ...required(source.configMap).flatMap(({ name, items }) => keyed("ConfigMap", name, items)),
    ]);
  });
}

function keyed(
  kind: Reference["kind"],
  name: string,
  items: readonly { readonly key: string }[] | undefined,
): readonly Reference[] {
  return items === undefined ? [{ kind, name }] : items.map(({ key }) => ({ kind, name, key }));
}

function required<T extends { readonly optional?: boolean }>(reference: T | undefined): readonly T[] {
  return reference === undefined || reference.optional === true ? [] : [reference];
}

function hasVolume({ pod, claims }: Workload, name: string): boolean {
  return claims.includes(name) || (pod.volumes ?? []).some((volume) => volume.name === name);
}

/** The names of several pods are those of a headless Service; a single one is found by any. */
function missingHeadless({ object }: Workload, objects: readonly KubernetesObject[]): string[] {
  const name = String(object.spec?.["serviceName"]);
  const single = (object.spec?.["replicas"] ?? 1) === 1;
  const isThere = servicesOf(objects).some(
    (service) => service.name === name && (single || service.headless),
  );
  return isThere ? [] : [`headless Service ${name}`];
}

/** Every text in a tree of values. */
function textsIn(tree: unknown): ReadonlySet<string> {
  if (typeof tree === "string") return new Set([tree]);
  if (typeof tree !== "object" || tree === null) return new Set();
  return new Set(Object.values(tree).flatMap((branch) => [...textsIn(branch)]));
}
