import type {
  Affinity,
  Container,
  PodTemplateSpec,
  Probe,
  SecurityContext,
  Toleration,
  TopologySpreadConstraint,
} from "kubernetes-types/core/v1.d.ts";
import { type Expression, filled, overlaid, seconds } from "./template/expression.ts";
import { ifFilled, spread, type Templated, when } from "./template/tree.ts";
import { selectorLabels, serviceAccountName } from "./names.ts";
import { values } from "./values.ts";

/** What every container has, by the restricted pod security standard and beyond. */
export const confined: SecurityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** What may be set of the pods of any workload. */
export type PodValues = Omit<
  typeof values.mongodb,
  "mode" | "external" | "existingSecret" | "image" | "persistence" | "resources"
>;

interface Pod {
  readonly component: string;
  /** The user and group of its processes, never 0. */
  readonly user: number;
  readonly podValues: PodValues;
  readonly containers: readonly Templated<Container>[];
  readonly initContainers?: readonly Templated<Container>[];
  readonly volumes: readonly unknown[];
  /** In seconds, from the wish to end to the end by force. */
  readonly graceSeconds: number | Expression<number>;
  /** Of those who talk to Kubernetes: what they run as, in place of the account without rights. */
  readonly account?: Expression<string>;
  /** Such as checksums, which make new pods when what they were made of has changed. */
  readonly annotations?: Readonly<Record<string, Expression<string>>>;
}

/** The template of a workload's pods. */
export function podTemplate(pod: Pod): Templated<PodTemplateSpec> {
  const { component, podValues } = pod;
  return {
    metadata: {
      labels: {
        ...selectorLabels(component),
        "+": spread(overlaid(values.commonLabels, podValues.podLabels)),
      },
      annotations: { ...pod.annotations, "+": spread(podValues.podAnnotations) },
    },
    spec: {
      serviceAccountName: pod.account ?? serviceAccountName,
      automountServiceAccountToken: pod.account !== undefined,
      // Without it, a Service called millrace would set variables such as MILLRACE_COLLECTOR_PORT.
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: pod.user,
        runAsGroup: pod.user,
        fsGroup: pod.user,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      terminationGracePeriodSeconds: pod.graceSeconds,
      imagePullSecrets: ifFilled(values.imagePullSecrets),
      priorityClassName: ifFilled(podValues.priorityClassName),
      nodeSelector: ifFilled(podValues.nodeSelector),
      tolerations: ifFilled(podValues.tolerations as Expression<Toleration[]>),
      affinity: ifFilled(podValues.affinity as Expression<Affinity>),
      topologySpreadConstraints: spreadOf(component, podValues.topologySpreadConstraints),
      ...(pod.initContainers === undefined ? {} : { initContainers: pod.initContainers }),
      containers: pod.containers,
      volumes: pod.volumes as never,
    },
  };
}

/** Over zones and nodes, as far as these have room; or as the user has it. */
function spreadOf(component: string, chosen: Expression<object[]>) {
  const over = (topologyKey: string): Templated<TopologySpreadConstraint> => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: selectorLabels(component) },
  });
  const byDefault = [over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")];
  return when<unknown>(filled(chosen), chosen, byDefault);
}

export const httpProbe = (path: string, port: string, more: Probe): Probe => ({
  httpGet: { path, port },
  timeoutSeconds: 3,
  ...more,
});

/** How long a pod serves on after it was told to end, until nobody sends to it any more, in seconds. */
export const PRE_STOP_SECONDS = 5;
/** Waits for that, then for the drain, and leaves as much again. */
export const roleGraceSeconds = seconds(values.settings.drainTimeoutMs, 2 * PRE_STOP_SECONDS);
