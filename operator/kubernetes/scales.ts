import { ClusterError, type Target, type TargetRef } from "../cluster.ts";
import { FIELD_MANAGER } from "./kinds.ts";
import type { Question, Requests } from "./requests.ts";

/** Any workload by its scale subresource: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/scale-v1/ */
export interface Scales {
  read(namespace: string, ref: TargetRef): Promise<Target>;
  /** Rejects with Conflict where the workload is not of the version any more. */
  write(namespace: string, ref: TargetRef, resourceVersion: string, replicas: number): Promise<Target>;
}

interface Scale {
  readonly metadata: { readonly resourceVersion: string };
  /** 0 is left out. */
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly selector?: string };
}
interface ApiResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** Resources that every cluster has, so that it need not be asked. */
const usual: Readonly<Record<string, string>> = {
  "apps/v1 Deployment": "deployments",
  "apps/v1 StatefulSet": "statefulsets",
};
/** How long it is believed what kinds a group has; one that is missing is looked for again after the shorter time. */
const KINDS_MAX_AGE_MS = 600_000;
const NO_KIND_MAX_AGE_MS = 15_000;

export function openScales(requests: Requests): Scales {
  const groups = new Map<
    string,
    { readonly atMs: number; readonly resources: Promise<readonly ApiResource[]> }
  >();

  const resourcesOf = async (apiVersion: string, maxAgeMs: number): Promise<readonly ApiResource[]> => {
    const known = groups.get(apiVersion);
    if (known !== undefined && performance.now() - known.atMs < maxAgeMs) return known.resources;
    const { group, path } = groupOf(apiVersion);
    const question: Question = { verb: "get", group, resource: "apis", path };
    const resources = requests
      .ask<{ readonly resources?: readonly ApiResource[] }>(question)
      .then((list) => list.resources ?? [])
      .catch((error: unknown) => {
        if (error instanceof ClusterError && error.fault === "NoSuchKind") return [];
        groups.delete(apiVersion);
        throw error;
      });
    groups.set(apiVersion, { atMs: performance.now(), resources });
    return resources;
  };

  const pluralOf = async ({ apiVersion, kind }: TargetRef): Promise<string> => {
    const plural = usual[`${apiVersion} ${kind}`];
    if (plural !== undefined) return plural;
    let there: ApiResource | undefined;
    for (const maxAgeMs of [KINDS_MAX_AGE_MS, NO_KIND_MAX_AGE_MS]) {
      const resources = await resourcesOf(apiVersion, maxAgeMs);
      there = resources.find((one) => one.kind === kind && one.namespaced && !one.name.includes("/"));
      const plain = there?.name;
      if (plain !== undefined && resources.some(({ name }) => name === `${plain}/scale`)) return plain;
    }
    throw new ClusterError(
      "NoSuchKind",
      there === undefined
        ? `the cluster knows no kind ${kind} in ${apiVersion}, of a namespace`
        : `the kind ${kind} in ${apiVersion} has no scale subresource, so its replicas cannot be set`,
    );
  };

  const questionOf = async (namespace: string, ref: TargetRef) => {
    const { group, path } = groupOf(ref.apiVersion);
    const plural = await pluralOf(ref);
    return {
      group,
      resource: `${plural}/scale`,
      namespace,
      object: `${ref.kind} ${ref.name}`,
      path: `${path}/namespaces/${namespace}/${plural}/${ref.name}/scale`,
    };
  };

  return {
    async read(namespace, ref) {
      const question = await questionOf(namespace, ref);
      return targetOf(await requests.ask<Scale>({ ...question, verb: "get" }));
    },
    async write(namespace, ref, resourceVersion, replicas) {
      const question = await questionOf(namespace, ref);
      const scale: Scale = await requests.ask({
        ...question,
        verb: "patch",
        query: { fieldManager: FIELD_MANAGER },
        contentType: "application/merge-patch+json",
        body: { metadata: { resourceVersion }, spec: { replicas } },
      });
      return targetOf(scale);
    },
  };
}

function targetOf({ metadata, spec, status }: Scale): Target {
  return {
    replicas: spec?.replicas ?? 0,
    readyReplicas: undefined,
    selector: status?.selector || undefined,
    resourceVersion: metadata.resourceVersion,
  };
}

/** The core group has a path of its own. */
function groupOf(apiVersion: string): { readonly group: string; readonly path: string } {
  const slash = apiVersion.indexOf("/");
  if (slash < 0) return { group: "", path: `/api/${encodeURIComponent(apiVersion)}` };
  const [group, version] = [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
  return { group, path: `/apis/${encodeURIComponent(group)}/${encodeURIComponent(version)}` };
}
