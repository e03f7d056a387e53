import type { Finding } from "./kube-score.ts";
import type { KubernetesObject } from "./objects.ts";

/** Why a finding of kube-score is left as it is. */
export interface Explanation {
  /** Of its check. */
  readonly id: string;
  /** Kinds and components, such as `Deployment collector`. */
  readonly of: readonly string[];
  /** Files of values that ask for what is found; without them, all. */
  readonly under?: readonly string[];
  readonly because: string;
}

const roles = [
  "Deployment collector",
  "Deployment operator",
  "Deployment query",
  "Deployment sweeper",
  "Deployment worker-account-name",
  "Deployment worker-distinct-name",
  "Deployment worker-hourly-log",
];
const servers = ["StatefulSet mongodb", "StatefulSet rabbitmq"];
const watchers = ["Deployment grafana", "StatefulSet prometheus"];
const all = [...roles, ...servers, "Pod smoke-test"];

export const explanations: readonly Explanation[] = [
  {
    id: "container-ephemeral-storage-request-and-limit",
    of: [...all, ...watchers],
    because:
      "The image's files cannot be written to, each folder that can be has a limit of its own, and logs are rotated by the kubelet.",
  },
  {
    id: "container-image-pull-policy",
    of: [...all, ...watchers],
    because:
      "The tag is a release, which stays what it is; a start that needs the registry is one more way not to start.",
  },
  {
    id: "container-resources",
    of: [...all, ...watchers],
    because:
      "A limit of the processor slows a pod down while the node is idle; requests share it out where it is not.",
  },
  {
    id: "container-security-context-user-group-id",
    of: [...all, "Deployment grafana"],
    because: "The user that the image is made for. It owns nothing on the node, and may do nothing there.",
  },
  {
    id: "deployment-has-host-podantiaffinity",
    of: roles,
    because:
      "Its pods are spread over zones and nodes by topologySpreadConstraints, which kube-score does not see.",
  },
  {
    id: "statefulset-has-host-podantiaffinity",
    of: ["StatefulSet rabbitmq"],
    because:
      "Its pods are spread over zones and nodes by topologySpreadConstraints, which kube-score does not see.",
  },
  {
    id: "statefulset-has-servicename",
    of: ["StatefulSet mongodb", "StatefulSet prometheus"],
    because: "There is one pod, which is asked for by the name of its Service and never by its own.",
  },
  {
    id: "pod-probes-identical",
    of: servers,
    because:
      "Both ask whether the port is open, and are told apart by their patience: 15 s to be sent nothing, 90 s to be killed.",
  },
  {
    id: "deployment-has-poddisruptionbudget",
    of: ["Deployment collector", "Deployment query"],
    under: ["all-off"],
    because: "They are switched off.",
  },
  {
    id: "deployment-has-poddisruptionbudget",
    of: ["Deployment collector", "Deployment worker-account-name"],
    under: ["one-of-each"],
    because: "There is never more than one pod, of which a budget that lets one go guards nothing.",
  },
  {
    id: "deployment-replicas",
    of: ["Deployment collector", "Deployment operator", "Deployment query"],
    under: ["none-of-some"],
    because: "None are asked for.",
  },
  {
    id: "deployment-replicas",
    of: ["Deployment operator", "Deployment query"],
    under: ["one-of-each"],
    because: "One is asked for.",
  },
  {
    id: "deployment-replicas",
    of: roles.filter((place) => place.includes("worker")),
    because: "The operator sets their number, and what waits for one that is gone waits in its queue.",
  },
  {
    id: "deployment-replicas",
    of: ["Deployment sweeper"],
    because: "One works at a time, and nobody waits for it.",
  },
  {
    id: "deployment-replicas",
    of: ["Deployment grafana"],
    because: "It keeps its sessions to itself, and nobody but who looks at it misses it.",
  },
  {
    id: "horizontalpodautoscaler-replicas",
    of: ["HorizontalPodAutoscaler collector"],
    under: ["one-of-each"],
    because: "One is asked for.",
  },
  {
    id: "pod-networkpolicy",
    of: all.filter((place) => place !== "Deployment operator"),
    under: ["all-off"],
    because: "Policies are switched off.",
  },
];

/** Its place in the table above, whatever the release is called. */
export function placeOf({ kind, name }: Finding, objects: readonly KubernetesObject[]): string {
  const object = objects.find((one) => one.kind === kind && one.metadata.name === name);
  return `${kind} ${object?.metadata.labels?.["app.kubernetes.io/component"] ?? name}`;
}

export function explains(
  { id, of, under }: Explanation,
  finding: string,
  place: string,
  values: string,
): boolean {
  return id === finding && of.includes(place) && under?.includes(values) !== false;
}
