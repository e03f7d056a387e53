import {
  containersOf,
  type KubernetesObject,
  type Labels,
  matches,
  ofKind,
  type Selector,
  titleOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";

/** Objects that would overwrite each other. */
export function duplicateObjects(objects: readonly KubernetesObject[]): string[] {
  return repeated(objects.map(titleOf)).map((title) => `${title} is there more than once`);
}

/** Names that a container gives twice, of which an API server keeps one or refuses both. */
export function duplicateNames(objects: readonly KubernetesObject[]): string[] {
  return workloadsOf(objects).flatMap(({ title, pod }) => [
    ...repeated(containersOf(pod).map(({ name }) => name)).map((name) => `${title}: container ${name}`),
    ...repeated((pod.volumes ?? []).map(({ name }) => name)).map((name) => `${title}: volume ${name}`),
    ...repeated(portNamesOf(pod.containers)).map((name) => `${title}: port ${name}`),
    ...containersOf(pod).flatMap((container) => [
      ...repeated((container.env ?? []).map(({ name }) => name)).map(
        (name) => `${title}: variable ${name} of ${container.name}`,
      ),
      ...repeated((container.volumeMounts ?? []).map(({ mountPath }) => mountPath)).map(
        (path) => `${title}: mount ${path} of ${container.name}`,
      ),
    ]),
  ]);
}

/** Names and labels that an API server refuses, or that something made of them would be refused for. */
export function badNames(objects: readonly KubernetesObject[]): string[] {
  return [
    ...ofRelease(objects).flatMap((object) => {
      const { name, labels, annotations } = object.metadata;
      const longest = longestName[object.kind] ?? 63;
      const selector = selectorOf(object);
      return [
        ...(label.test(name) && name.length <= longest ? [] : [`its name (${name.length} long)`]),
        ...badLabels(labels ?? {}),
        ...badKeys(annotations ?? {}),
        ...badLabels(selector?.matchLabels ?? {}),
      ].map((fault) => `${titleOf(object)}: ${fault}`);
    }),
    ...workloadsOf(objects).flatMap((workload) => faultsOfWorkload(workload)),
  ];
}

/** What is said of a workload's identity for good: a selector can never change, so nothing that changes may be in it. */
export function badSelectors(objects: readonly KubernetesObject[]): string[] {
  const workloads = workloadsOf(objects);
  return workloads.flatMap(({ title, selector, labels }) => {
    if (selector === undefined) return [];
    const selected = workloads.filter((other) => matches(selector, other.labels));
    return [
      ...(matches(selector, labels) ? [] : [`${title} does not select its own pods`]),
      ...selected
        .filter((other) => other.title !== title)
        .map((other) => `${title} selects the pods of ${other.title}`),
      ...Object.keys(selector.matchLabels ?? {})
        .filter((key) => !stableLabels.has(key))
        .map((key) => `${title} selects by ${key}, which may change`),
    ];
  });
}

/** The labels that every tool knows an object of a release by. */
export function missingLabels(objects: readonly KubernetesObject[], release: string): string[] {
  const faults = (labels: Labels, title: string): string[] => [
    ...recommendedLabels.filter((key) => !labels[key]).map((key) => `${title} has no label ${key}`),
    ...(labels["app.kubernetes.io/instance"] === release
      ? []
      : [`${title} is not labelled as of ${release}`]),
  ];
  return [
    ...ofRelease(objects).flatMap((object) => faults(object.metadata.labels ?? {}, titleOf(object))),
    ...ofRelease(objects)
      .filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/managed-by"] !== "Helm")
      .map((object) => `${titleOf(object)} is not labelled as managed by Helm`),
    ...workloadsOf(objects)
      .filter(({ object }) => object.kind !== "Pod")
      .flatMap(({ labels, title }) =>
        ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"]
          .filter((key) => !labels[key])
          .map((key) => `pods of ${title} have no label ${key}`),
      ),
  ];
}

/** All but the definition of a kind, which is the cluster's, and which Helm makes without templates. */
function ofRelease(objects: readonly KubernetesObject[]): readonly KubernetesObject[] {
  return objects.filter(({ kind }) => kind !== "CustomResourceDefinition");
}

/** Objects whose namespace is another than the release's. */
export function foreignNamespaces(objects: readonly KubernetesObject[], namespace: string): string[] {
  return objects
    .filter(({ metadata }) => ![undefined, namespace].includes(metadata.namespace))
    .map((object) => `${titleOf(object)} is in ${object.metadata.namespace}`);
}

const recommendedLabels = [
  "app.kubernetes.io/name",
  "app.kubernetes.io/instance",
  "app.kubernetes.io/version",
  "app.kubernetes.io/managed-by",
  "helm.sh/chart",
];
const stableLabels = new Set([
  "app.kubernetes.io/name",
  "app.kubernetes.io/instance",
  "app.kubernetes.io/component",
]);

/** Other than the 63 of a label: shorter where Kubernetes appends to it what must fit a label too, longer where nobody makes a label of it. */
const longestName: Readonly<Record<string, number>> = {
  StatefulSet: 52,
  CronJob: 52,
  ClusterRole: 253,
  ClusterRoleBinding: 253,
};
const label = /^[a-z]([-a-z\d]*[a-z\d])?$/;
const labelValue = /^([A-Za-z\d]([-\w.]*[A-Za-z\d])?)?$/;
const labelKey = /^([a-z\d]([-a-z\d.]{0,251}[a-z\d])?\/)?[A-Za-z\d]([-\w.]*[A-Za-z\d])?$/;
const quantity = /^\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i|[eE]\d+)?$/;

function faultsOfWorkload({ object, title, labels, annotations, pod, selector }: Workload): string[] {
  const faults = [
    ...badLabels(labels),
    ...badKeys(annotations),
    ...badLabels(selector?.matchLabels ?? {}),
    ...badLabels(pod.nodeSelector ?? {}),
    ...[...containersOf(pod), ...(pod.volumes ?? [])]
      .map(({ name }) => name)
      .filter((name) => !/^[a-z\d]([-a-z\d]*[a-z\d])?$/.test(name) || name.length > 63)
      .map((name) => `the name ${name}`),
    ...portNamesOf(pod.containers)
      .filter((name) => !/^(?=.*[a-z])[a-z\d]+(-[a-z\d]+)*$/.test(name) || name.length > 15)
      .map((name) => `the port name ${name}`),
    ...containersOf(pod).flatMap(({ env = [], resources = {} }) => [
      ...env
        .filter(({ name }) => !/^[-._A-Za-z][-._\w]*$/.test(name))
        .map(({ name }) => `the variable ${name}`),
      ...[resources.requests, resources.limits].flatMap((amounts) =>
        Object.entries(amounts ?? {})
          .filter(([, amount]) => !quantity.test(amount))
          .map(([name, amount]) => `${amount} of ${name}`),
      ),
    ]),
  ];
  return faults.map((fault) => `pods of ${title}: ${fault} (${object.kind})`);
}

function portNamesOf(containers: Workload["pod"]["containers"]): string[] {
  return containers.flatMap(({ ports = [] }) =>
    ports.flatMap(({ name }) => (name === undefined ? [] : [name])),
  );
}

function badLabels(labels: Labels): string[] {
  return [
    ...badKeys(labels),
    ...Object.entries(labels)
      .filter(([, value]) => !labelValue.test(value) || value.length > 63)
      .map(([key, value]) => `the label ${key}=${value} (${value.length} long)`),
  ];
}

function badKeys(labels: Labels): string[] {
  return Object.keys(labels)
    .filter((key) => !labelKey.test(key) || (key.split("/").at(-1) ?? "").length > 63)
    .map((key) => `the key ${key}`);
}

function selectorOf(object: KubernetesObject): Selector | undefined {
  const { spec = {} } = object;
  if (object.kind === "Service") return { matchLabels: (spec["selector"] ?? {}) as Labels };
  return (spec["selector"] ?? spec["podSelector"]) as Selector | undefined;
}

function repeated(names: readonly string[]): string[] {
  return Array.from(new Set(names.filter((name, index) => names.indexOf(name) !== index)));
}

/** Claims of volumes whose labels would change with the chart: a StatefulSet could never be upgraded. */
export function changingClaims(objects: readonly KubernetesObject[]): string[] {
  return ofKind(objects, "StatefulSet").flatMap((object) => {
    const claims = (object.spec?.["volumeClaimTemplates"] ?? []) as readonly KubernetesObject[];
    return claims.flatMap(({ metadata }) =>
      Object.keys(metadata.labels ?? {})
        .filter((key) => key === "helm.sh/chart" || key === "app.kubernetes.io/version")
        .map((key) => `${titleOf(object)}: claim ${metadata.name} has the label ${key}`),
    );
  });
}
