import { type Cluster, ClusterError, type ObjectName, type Target, type TargetRef } from "./cluster.ts";
import type { LeaseStore } from "./leader.ts";
import { API_VERSION, GROUP, KIND, PLURAL, type QueueScaler } from "./queue-scaler.ts";
import type { QueueScalerStatus } from "./queue-scaler-status.ts";
import { openAccess } from "./kubernetes/access.ts";
import { openEvents } from "./kubernetes/events.ts";
import { FIELD_MANAGER } from "./kubernetes/kinds.ts";
import { openLeases } from "./kubernetes/leases.ts";
import { openRequests, type Requests } from "./kubernetes/requests.ts";
import { openScales } from "./kubernetes/scales.ts";
import { openSecrets } from "./kubernetes/secrets.ts";
import { View, type WorkloadKind } from "./kubernetes/view.ts";
import type { Emit } from "../src/signals.ts";

export interface KubernetesSettings {
  /** Those that are worked on; empty for all of them. */
  readonly namespaces: readonly string[];
  /** Of this process, and of no other; Events tell it. */
  readonly identity: string;
  /** The Lease by which one of several operators leads. */
  readonly lease: ObjectName;
  /** `request.made` for each request, `watch.restarted` for each watch that failed. */
  readonly emit: Emit;
  /** A kubeconfig, in YAML; by default the service account of the pod, or else the current kubeconfig. */
  readonly kubeConfig?: string;
  /** Where a pod has its service account; by default where every cluster puts it. */
  readonly serviceAccountFolder?: string;
}

export interface Kubernetes extends Cluster, AsyncDisposable {
  readonly leases: LeaseStore;
  /** Rejects with the reason why the operator cannot do its work at present: no answer, or no right to watch. */
  ready(): Promise<void>;
}

/** Makes no request yet. Rejects where neither a service account nor a kubeconfig is to be found. */
export async function openKubernetes(settings: KubernetesSettings): Promise<Kubernetes> {
  const { namespaces, identity, lease, emit } = settings;
  const requests = openRequests(await openAccess(settings), emit);
  const view = new View({ requests, namespaces, emit });
  const scales = openScales(requests);
  const secrets = openSecrets(requests);
  const events = openEvents(requests, identity);
  const closed = new AbortController();
  return {
    leases: openLeases(requests, lease),
    watch: (changed, stop) => view.watch(changed, AbortSignal.any([stop, closed.signal])),
    scaler: (name) => view.scaler(name),
    scalers: () => Array.from(view.scalers.all()).flatMap(({ scaler }) => ("spec" in scaler ? [scaler] : [])),
    rivals: (namespace) => view.rivals(namespace),
    async target(namespace, ref) {
      const kind = watchedKind(ref);
      if (kind === undefined || !view.seesAll(kind, namespace)) return scales.read(namespace, ref);
      const target = view.workload(kind, { namespace, name: ref.name });
      if (target !== undefined) return target;
      throw new ClusterError("NotFound", `there is no ${kind} ${ref.name} in namespace ${namespace}`);
    },
    async scale(namespace, ref, seen, replicas) {
      const now = await scales.write(namespace, ref, seen.resourceVersion, replicas);
      const kind = watchedKind(ref);
      if (kind === undefined) return now;
      const name = { namespace, name: ref.name };
      const { readyReplicas } = view.workload(kind, name) ?? seen;
      const target: Target = { ...now, readyReplicas };
      view.wrote(kind, name, target);
      return target;
    },
    secret: (name, maxAgeMs) => secrets.read(name, maxAgeMs),
    report: (scaler, status) => report(requests, view.scaler(scaler.metadata), scaler, status),
    announce: (scaler, notice) => events.announce(scaler, notice),
    async ready() {
      if (view.fault !== undefined) throw view.fault;
      await requests.ask({ verb: "get", group: "", resource: "version", path: "/version" });
    },
    async [Symbol.asyncDispose]() {
      closed.abort();
      requests[Symbol.dispose]();
    },
  };
}

/** @param there - the one of that name that is there by now, if it is known. */
async function report(
  requests: Requests,
  there: Pick<QueueScaler, "metadata"> | undefined,
  { metadata }: Pick<QueueScaler, "metadata">,
  status: QueueScalerStatus,
): Promise<void> {
  const { namespace, name, uid } = metadata;
  // The API server does not compare it: the status would become that of one that was created anew.
  if (there !== undefined && there.metadata.uid !== uid) {
    throw new ClusterError("NotFound", `there is another ${KIND} ${name} in namespace ${namespace} by now`);
  }
  await requests.ask({
    verb: "patch",
    group: GROUP,
    resource: `${PLURAL}/status`,
    namespace,
    object: `${KIND} ${name}`,
    path: `/apis/${API_VERSION}/namespaces/${namespace}/${PLURAL}/${name}/status`,
    query: { fieldManager: FIELD_MANAGER, force: "true" },
    contentType: "application/apply-patch+yaml",
    body: { apiVersion: API_VERSION, kind: KIND, metadata: { namespace, name }, status },
  });
}

function watchedKind({ apiVersion, kind }: TargetRef): WorkloadKind | undefined {
  return apiVersion === "apps/v1" && (kind === "Deployment" || kind === "StatefulSet") ? kind : undefined;
}
