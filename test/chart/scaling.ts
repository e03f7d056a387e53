import {
  type KubernetesObject,
  matches,
  ofKind,
  type Selector,
  titleOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";

/** A disruption budget that guards nothing, or so much that no node could ever be drained. */
export function faultsOfBudgets(objects: readonly KubernetesObject[]): string[] {
  const guarded: string[] = [];
  const faults = ofKind(objects, "PodDisruptionBudget").flatMap((object) => {
    const title = titleOf(object);
    const { selector, minAvailable, maxUnavailable } = object.spec as {
      readonly selector?: Selector;
      readonly minAvailable?: number | string;
      readonly maxUnavailable?: number | string;
    };
    const workloads = workloadsOf(objects).filter(({ labels }) => selector && matches(selector, labels));
    const [workload] = workloads;
    if (workload === undefined || workloads.length > 1)
      return [`${title} selects ${workloads.length} workloads`];
    guarded.push(workload.title);
    const replicas = leastReplicas(workload, objects);
    if (replicas < 2) return [`${title} would hold up the drain of the only pod of ${workload.title}`];
    if (maxUnavailable !== undefined) {
      return ["0", "0%"].includes(String(maxUnavailable)) ? [`${title} lets no pod go`] : [];
    }
    return typeof minAvailable === "number" && minAvailable < replicas ? [] : [`${title} may let no pod go`];
  });
  return [
    ...faults,
    ...guarded
      .filter((title, index) => guarded.indexOf(title) !== index)
      .map((title) => `${title} has more than one PodDisruptionBudget, and no pod of it can be evicted`),
  ];
}

interface Scaler {
  readonly scaleTargetRef: { readonly kind: string; readonly name: string };
  readonly minReplicas?: number;
  readonly maxReplicas: number;
  readonly metrics?: readonly { readonly type: string; readonly resource?: { readonly name: string } }[];
}

function scalerOf(workload: Workload, objects: readonly KubernetesObject[]): Scaler | undefined {
  return ofKind(objects, "HorizontalPodAutoscaler")
    .map(({ spec }) => spec as unknown as Scaler)
    .find(({ scaleTargetRef: { kind, name } }) => `${kind} ${name}` === workload.title);
}

function leastReplicas(workload: Workload, objects: readonly KubernetesObject[]): number {
  const scaler = scalerOf(workload, objects);
  if (scaler !== undefined) return scaler.minReplicas ?? 1;
  return Number(workload.object.spec?.["replicas"] ?? 1);
}

/** Where two would own spec.replicas, every later upgrade by server-side apply fails. */
export function faultsOfScalers(objects: readonly KubernetesObject[]): string[] {
  const workloads = workloadsOf(objects);
  return ofKind(objects, "HorizontalPodAutoscaler").flatMap((object) => {
    const title = titleOf(object);
    const scaler = object.spec as unknown as Scaler;
    const { kind, name } = scaler.scaleTargetRef;
    const workload = workloads.find((one) => one.title === `${kind} ${name}`);
    if (workload === undefined) return [`${title} scales ${kind} ${name}, which is not there`];
    const measured = (scaler.metrics ?? []).flatMap(({ resource }) => (resource ? [resource.name] : []));
    return [
      ...(workload.object.spec?.["replicas"] === undefined ? [] : [`${workload.title} has spec.replicas`]),
      ...((scaler.minReplicas ?? 1) <= scaler.maxReplicas ? [] : [`${title}: the least is above the most`]),
      ...(measured.length > 0 ? [] : [`${title} measures nothing`]),
      ...workload.pod.containers.flatMap(({ name: container, resources }) =>
        measured
          .filter((resource) => resources?.requests?.[resource] === undefined)
          .map((resource) => `${title}: ${container} requests no ${resource} to measure against`),
      ),
    ];
  });
}
