import {
  type KubernetesObject,
  matches,
  ofKind,
  type Selector,
  titleOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";

/** A disruption budget that guards nothing, or so much that a node could not be drained. */
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
    const { least, most } = replicasOf(workload, objects);
    if (most < 2) return [`${title} guards the only pod of ${workload.title}`];
    if (maxUnavailable !== undefined) {
      return ["0", "0%"].includes(String(maxUnavailable)) ? [`${title} lets no pod go`] : [];
    }
    return typeof minAvailable === "number" && minAvailable < least ? [] : [`${title} may let no pod go`];
  });
  return [
    ...faults,
    ...guarded
      .filter((title, index) => guarded.indexOf(title) !== index)
      .map((title) => `${title} has more than one PodDisruptionBudget, and no pod of it can be evicted`),
  ];
}

/** What sets the number of a workload's pods: a HorizontalPodAutoscaler or a QueueScaler. */
interface Scaler {
  readonly title: string;
  readonly target: string;
  readonly min: number;
  readonly max: number;
  /** Resources that it goes by; undefined for a queue. */
  readonly measured: readonly string[] | undefined;
}

interface ScalerSpec {
  readonly scaleTargetRef: { readonly kind: string; readonly name: string };
  readonly minReplicas?: number;
  readonly maxReplicas?: number;
  readonly replicas?: { readonly min?: number; readonly max: number };
  readonly metrics?: readonly { readonly type: string; readonly resource?: { readonly name: string } }[];
}

function scalersOf(objects: readonly KubernetesObject[]): readonly Scaler[] {
  return ["HorizontalPodAutoscaler", "QueueScaler"].flatMap((kind) =>
    ofKind(objects, kind).map((object): Scaler => {
      const { scaleTargetRef, minReplicas, maxReplicas, replicas, metrics } =
        object.spec as unknown as ScalerSpec;
      return {
        title: titleOf(object),
        target: `${scaleTargetRef.kind} ${scaleTargetRef.name}`,
        min: minReplicas ?? replicas?.min ?? 1,
        max: maxReplicas ?? replicas?.max ?? 1,
        measured:
          kind === "QueueScaler"
            ? undefined
            : (metrics ?? []).flatMap(({ resource }) => (resource ? [resource.name] : [])),
      };
    }),
  );
}

function replicasOf(
  workload: Workload,
  objects: readonly KubernetesObject[],
): { readonly least: number; readonly most: number } {
  const scaler = scalersOf(objects).find(({ target }) => target === workload.title);
  const replicas = Number(workload.object.spec?.["replicas"] ?? 1);
  return { least: scaler?.min ?? replicas, most: scaler?.max ?? replicas };
}

/** Where two would own spec.replicas, every later upgrade by server-side apply fails. */
export function faultsOfScalers(objects: readonly KubernetesObject[]): string[] {
  const workloads = workloadsOf(objects);
  const scalers = scalersOf(objects);
  return scalers.flatMap(({ title, target, min, max, measured }) => {
    const workload = workloads.find((one) => one.title === target);
    if (workload === undefined) return [`${title} scales ${target}, which is not there`];
    const other = scalers.find((one) => one.target === target && one.title !== title);
    return [
      ...(other === undefined ? [] : [`${title} scales ${target}, as ${other.title} does`]),
      ...(workload.object.spec?.["replicas"] === undefined ? [] : [`${workload.title} has spec.replicas`]),
      ...(min <= max ? [] : [`${title}: the least is above the most`]),
      ...(measured?.length === 0 ? [`${title} measures nothing`] : []),
      ...workload.pod.containers.flatMap(({ name: container, resources }) =>
        (measured ?? [])
          .filter((resource) => resources?.requests?.[resource] === undefined)
          .map((resource) => `${title}: ${container} requests no ${resource} to measure against`),
      ),
    ];
  });
}
