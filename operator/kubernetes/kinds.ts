import type { Rival, Target, TargetRef } from "../cluster.ts";
import type { BrokenScaler, QueueScaler } from "../queue-scaler.ts";
import { readScaler } from "../read-scaler.ts";
import type { Held } from "./shelf.ts";
import type { ApiObject } from "./watch.ts";

/** Who writes in this operator's name: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
export const FIELD_MANAGER = "millrace-operator";

/** What is kept of each object that is watched. A large one, of which little is kept, is thus soon forgotten. */
export interface HeldScaler extends Held {
  readonly scaler: QueueScaler | BrokenScaler;
}
export interface HeldTarget extends Held {
  readonly target: Target;
}
export interface HeldRival extends Held {
  readonly rival: Rival;
}

export function keepScaler(object: ApiObject): HeldScaler {
  const { metadata, spec, status } = object as unknown as {
    readonly metadata: QueueScaler["metadata"];
    readonly spec?: unknown;
    readonly status?: unknown;
  };
  const { name, namespace, uid, generation, creationTimestamp } = metadata;
  return {
    resourceVersion: object.metadata.resourceVersion,
    scaler: readScaler({ metadata: { name, namespace, uid, generation, creationTimestamp }, spec, status }),
  };
}

/** Whether it is another wish, and not merely another status. */
export function isAnotherWish(one: HeldScaler, other: HeldScaler): boolean {
  const [before, after] = [one.scaler.metadata, other.scaler.metadata];
  return before.uid !== after.uid || before.generation !== after.generation;
}

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}
interface Workload extends ApiObject {
  readonly metadata: ApiObject["metadata"];
  readonly spec: {
    readonly replicas?: number;
    readonly selector?: {
      readonly matchLabels?: Readonly<Record<string, string>>;
      readonly matchExpressions?: readonly Requirement[];
    };
  };
  readonly status?: { readonly readyReplicas?: number };
}
/** A Deployment or StatefulSet. */
export function keepWorkload(object: ApiObject): HeldTarget {
  const { metadata, spec, status } = object as Workload;
  const { resourceVersion } = metadata;
  return {
    resourceVersion,
    target: {
      replicas: spec.replicas ?? 1,
      readyReplicas: status?.readyReplicas ?? 0,
      selector: selectorText(spec.selector),
      resourceVersion,
    },
  };
}

export function isAnotherState(one: HeldTarget, other: HeldTarget): boolean {
  const [before, after] = [one.target, other.target];
  return (
    before.replicas !== after.replicas ||
    before.readyReplicas !== after.readyReplicas ||
    before.selector !== after.selector
  );
}

/** A HorizontalPodAutoscaler, or a ScaledObject of KEDA, whose reference may leave out what a Deployment has. */
export function keepRival(kind: string): (object: ApiObject) => HeldRival {
  return (object) => {
    const { metadata, spec } = object as ApiObject & {
      readonly spec: { readonly scaleTargetRef?: Partial<TargetRef> };
    };
    const { apiVersion = "apps/v1", kind: of = "Deployment", name = "" } = spec.scaleTargetRef ?? {};
    return {
      resourceVersion: metadata.resourceVersion,
      rival: {
        what: `${kind} ${metadata.name}`,
        namespace: metadata.namespace ?? "",
        target: { apiVersion, kind: of, name },
      },
    };
  };
}

/** As `kubectl` writes it: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors */
function selectorText(selector: Workload["spec"]["selector"]): string | undefined {
  if (selector === undefined) return undefined;
  const labels = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const others = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values.toSorted().join(",")})`;
  });
  return [...labels, ...others].toSorted().join(",");
}
