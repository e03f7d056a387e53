import type { ObjectName, Rival, Target, TargetRef } from "../cluster.ts";
import { type BrokenScaler, GROUP, PLURAL, type QueueScaler, VERSION } from "../queue-scaler.ts";
import type { Emit } from "../../src/signals.ts";
import {
  type HeldRival,
  type HeldScaler,
  type HeldTarget,
  isAnotherState,
  isAnotherWish,
  keepRival,
  keepScaler,
  keepWorkload,
} from "./kinds.ts";
import type { Requests } from "./requests.ts";
import { type Held, Shelf } from "./shelf.ts";
import { keepWatching, type Watch, type Watched } from "./watch.ts";

/** The workloads that are watched, by their kind. */
const workloads = { Deployment: "deployments", StatefulSet: "statefulsets" } as const;
export type WorkloadKind = keyof typeof workloads;

export interface ViewSettings {
  readonly requests: Requests;
  /** Empty for all of them. */
  readonly namespaces: readonly string[];
  readonly emit: Emit;
}

/** All that is watched, as it was last seen. */
export class View {
  readonly scalers = new Shelf<HeldScaler>();
  readonly #targets = { Deployment: new Shelf<HeldTarget>(), StatefulSet: new Shelf<HeldTarget>() };
  readonly #autoscalers = new Shelf<HeldRival>();
  readonly #scaledObjects = new Shelf<HeldRival>();
  readonly #settings: ViewSettings;
  readonly #watches: Watch[] = [];
  /** Those of workloads, by kind and namespace. */
  readonly #workloads = new Map<string, Watch>();

  constructor(settings: ViewSettings) {
    this.#settings = settings;
  }

  /** Resolves once each kind has been listed, or refused. A scaler is told when its wish, its workload or a rival changes. */
  async watch(changed: (scaler: ObjectName) => void, stop: AbortSignal): Promise<void> {
    if (this.#watches.length > 0) throw new Error("it is watched already");
    const tell = (namespace: string, ref: TargetRef | undefined): void => {
      if (ref === undefined) return;
      for (const { scaler } of this.scalers.in(namespace)) {
        if (!("spec" in scaler) || !isSameTarget(scaler.spec.scaleTargetRef, ref)) continue;
        changed({ namespace, name: scaler.metadata.name });
      }
    };
    const { requests, namespaces, emit } = this.#settings;
    for (const namespace of namespaces.length === 0 ? [undefined] : new Set(namespaces)) {
      const keep = <T extends Held>(watched: Watched<T>): Watch => {
        const watch = keepWatching(requests, watched, namespace, emit, stop);
        this.#watches.push(watch);
        return watch;
      };
      keep(this.#watchedScalers(changed));
      for (const kind of ["Deployment", "StatefulSet"] as const) {
        this.#workloads.set(keyOf(kind, namespace), keep(this.#watchedWorkloads(kind, tell)));
      }
      keep({
        ...watchedRivals("HorizontalPodAutoscaler", this.#autoscalers, tell),
        group: "autoscaling",
        version: "v2",
        resource: "horizontalpodautoscalers",
        optional: true,
      });
      keep({
        ...watchedRivals("ScaledObject", this.#scaledObjects, tell),
        group: "keda.sh",
        version: "v1alpha1",
        resource: "scaledobjects",
        optional: true,
      });
    }
    await Promise.all(this.#watches.map(({ listed }) => listed));
  }

  /** The first reason why something cannot be watched. */
  get fault(): Error | undefined {
    return this.#watches.map(({ fault }) => fault).find((fault) => fault !== undefined);
  }

  scaler({ namespace, name }: ObjectName): QueueScaler | BrokenScaler | undefined {
    return this.scalers.get(namespace, name)?.scaler;
  }

  rivals(namespace: string): readonly Rival[] {
    return [this.#autoscalers, this.#scaledObjects].flatMap((shelf) =>
      Array.from(shelf.in(namespace), ({ rival }) => rival),
    );
  }

  /** Whether a workload that is not seen is not there. */
  seesAll(kind: WorkloadKind, namespace: string): boolean {
    const everywhere = this.#workloads.get(keyOf(kind, undefined));
    return (everywhere ?? this.#workloads.get(keyOf(kind, namespace)))?.complete === true;
  }

  workload(kind: WorkloadKind, { namespace, name }: ObjectName): Target | undefined {
    return this.#targets[kind].get(namespace, name)?.target;
  }

  /** As the API server has just answered. Of a workload that is gone meanwhile, nothing is left. */
  wrote(kind: WorkloadKind, { namespace, name }: ObjectName, target: Target): void {
    const shelf = this.#targets[kind];
    const { resourceVersion } = target;
    if (shelf.get(namespace, name) !== undefined) shelf.put(namespace, name, { resourceVersion, target });
  }

  #watchedScalers(changed: (scaler: ObjectName) => void): Watched<HeldScaler> {
    return {
      group: GROUP,
      version: VERSION,
      resource: PLURAL,
      optional: false,
      shelf: this.scalers,
      keep: keepScaler,
      changed: (namespace, name, before, after) => {
        const same = before !== undefined && after !== undefined && !isAnotherWish(before, after);
        if (!same) changed({ namespace, name });
      },
    };
  }

  #watchedWorkloads(kind: WorkloadKind, tell: Tell): Watched<HeldTarget> {
    return {
      group: "apps",
      version: "v1",
      resource: workloads[kind],
      optional: false,
      shelf: this.#targets[kind],
      keep: keepWorkload,
      changed: (namespace, name, before, after) => {
        const same = before !== undefined && after !== undefined && !isAnotherState(before, after);
        if (!same) tell(namespace, { apiVersion: "apps/v1", kind, name });
      },
    };
  }
}

type Tell = (namespace: string, ref: TargetRef | undefined) => void;

/** Others that scale. */
function watchedRivals(
  kind: string,
  shelf: Shelf<HeldRival>,
  tell: Tell,
): Omit<Watched<HeldRival>, "group" | "version" | "resource" | "optional"> {
  return {
    shelf,
    keep: keepRival(kind),
    changed: (namespace, _name, before, after) => {
      const [one, other] = [before?.rival.target, after?.rival.target];
      if (one !== undefined && other !== undefined && isSameTarget(one, other)) return;
      tell(namespace, one);
      tell(namespace, other);
    },
  };
}

const keyOf = (kind: string, namespace: string | undefined): string => `${kind} ${namespace ?? ""}`;

/** Whatever the version of its group. */
function isSameTarget(one: TargetRef, other: TargetRef): boolean {
  return one.name === other.name && one.kind === other.kind && groupOf(one) === groupOf(other);
}

function groupOf({ apiVersion }: TargetRef): string {
  return apiVersion.slice(0, Math.max(0, apiVersion.indexOf("/")));
}
