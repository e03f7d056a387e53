import { ClusterError, type ObjectName } from "../cluster.ts";
import type { Lease, LeaseStore } from "../leader.ts";
import { microTime } from "./events.ts";
import type { Requests } from "./requests.ts";

/** https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
interface LeaseObject {
  readonly metadata: { readonly resourceVersion: string; readonly [field: string]: unknown };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** The one Lease of that name. Labels and whatever else others have written into it stay. */
export function openLeases(requests: Requests, { namespace, name }: ObjectName): LeaseStore {
  const group = "coordination.k8s.io";
  const all = `/apis/${group}/v1/namespaces/${namespace}/leases`;
  const question = { group, resource: "leases", namespace, object: `Lease ${name}` };
  let last: LeaseObject | undefined;

  return {
    async read() {
      try {
        last = await requests.ask<LeaseObject>({ ...question, verb: "get", path: `${all}/${name}` });
        return leaseOf(last);
      } catch (error) {
        if (error instanceof ClusterError && error.fault === "NotFound") return undefined;
        throw error;
      }
    },
    async write({ resourceVersion, ...lease }) {
      const known = last?.metadata.resourceVersion === resourceVersion ? last : undefined;
      const stays = known?.spec?.holderIdentity === lease.holder ? known.spec.acquireTime : undefined;
      const renewTime = microTime(lease.renewedAtMs);
      const body = {
        apiVersion: `${group}/v1`,
        kind: "Lease",
        metadata: { ...known?.metadata, name, namespace, resourceVersion },
        spec: {
          ...known?.spec,
          holderIdentity: lease.holder,
          leaseDurationSeconds: Math.max(1, Math.ceil(lease.durationMs / 1000)),
          acquireTime: stays ?? renewTime,
          renewTime,
          leaseTransitions: lease.transitions,
        },
      };
      last = await requests.ask<LeaseObject>(
        resourceVersion === undefined
          ? { ...question, verb: "create", path: all, body }
          : { ...question, verb: "update", path: `${all}/${name}`, body },
      );
      return leaseOf(last);
    },
  };
}

function leaseOf({ metadata, spec = {} }: LeaseObject): Lease {
  return {
    holder: spec.holderIdentity ?? "",
    durationMs: (spec.leaseDurationSeconds ?? 0) * 1000,
    renewedAtMs: Date.parse(spec.renewTime ?? "") || 0,
    transitions: spec.leaseTransitions ?? 0,
    resourceVersion: metadata.resourceVersion,
  };
}
