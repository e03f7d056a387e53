/** What a manifest says, as far as the checks of it read. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
  readonly rules?: readonly object[];
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
}
export type Labels = Readonly<Record<string, string>>;
export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
}
export interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface SecurityContext {
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly seccompProfile?: { readonly type: string };
  readonly appArmorProfile?: { readonly type: string };
  readonly seLinuxOptions?: { readonly type?: string; readonly user?: string; readonly role?: string };
  readonly windowsOptions?: { readonly hostProcess?: boolean };
  readonly sysctls?: readonly { readonly name: string }[];
  readonly privileged?: boolean;
  readonly procMount?: string;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
}
export interface Probe {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: string | number;
    readonly host?: string;
  };
  readonly tcpSocket?: { readonly port: string | number; readonly host?: string };
  readonly exec?: { readonly command: readonly string[] };
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly failureThreshold?: number;
}
export interface KeyReference {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean;
}
export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: KeyReference;
    readonly configMapKeyRef?: KeyReference;
    readonly fieldRef?: { readonly fieldPath: string };
  };
}
interface WholeReference {
  readonly name: string;
  readonly optional?: boolean;
}
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly envFrom?: readonly {
    readonly secretRef?: WholeReference;
    readonly configMapRef?: WholeReference;
  }[];
  readonly ports?: readonly {
    readonly name?: string;
    readonly containerPort: number;
    readonly hostPort?: number;
    readonly protocol?: string;
  }[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: Probe; readonly postStart?: Probe };
  readonly securityContext?: SecurityContext;
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
  }[];
  readonly restartPolicy?: string;
}
export interface Volume {
  readonly name: string;
  readonly secret?: {
    readonly secretName: string;
    readonly optional?: boolean;
    readonly items?: readonly { readonly key: string }[];
  };
  readonly configMap?: WholeReference & { readonly items?: readonly { readonly key: string }[] };
  readonly emptyDir?: { readonly sizeLimit?: string };
  readonly projected?: {
    readonly sources: readonly {
      readonly secret?: WholeReference & { readonly items?: readonly { readonly key: string }[] };
      readonly configMap?: WholeReference & { readonly items?: readonly { readonly key: string }[] };
    }[];
  };
}
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Volume[];
  readonly securityContext?: SecurityContext;
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly nodeSelector?: Labels;
  readonly tolerations?: readonly unknown[];
  readonly affinity?: unknown;
  readonly topologySpreadConstraints?: readonly unknown[];
  readonly priorityClassName?: string;
  readonly imagePullSecrets?: readonly { readonly name: string }[];
}

/** An object that makes pods, or is one. */
export interface Workload {
  readonly object: KubernetesObject;
  readonly title: string;
  /** Of its pods. */
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly pod: PodSpec;
  /** Undefined for a pod, whose labels nobody selects. */
  readonly selector: Selector | undefined;
  /** False where its pods end by themselves, as those of a Job do. */
  readonly serves: boolean;
  readonly claims: readonly string[];
}

interface WorkloadSpec {
  readonly template?: { readonly metadata?: Partial<Metadata>; readonly spec: PodSpec };
  readonly selector?: Selector;
  readonly jobTemplate?: { readonly spec: WorkloadSpec };
  readonly volumeClaimTemplates?: readonly { readonly metadata: Metadata }[];
}

export function titleOf(object: KubernetesObject): string {
  return `${object.kind} ${object.metadata.name}`;
}

export function workloadsOf(objects: readonly KubernetesObject[]): readonly Workload[] {
  return objects.flatMap((object) => {
    const spec = (object.spec ?? {}) as WorkloadSpec;
    const title = titleOf(object);
    if (object.kind === "Pod") {
      const { labels = {}, annotations = {} } = object.metadata;
      const pod = spec as unknown as PodSpec;
      return [{ object, title, labels, annotations, pod, selector: undefined, serves: false, claims: [] }];
    }
    const { template } = spec.jobTemplate?.spec ?? spec;
    if (template === undefined) return [];
    const serves = object.kind !== "Job" && object.kind !== "CronJob";
    return [
      {
        object,
        title,
        labels: template.metadata?.labels ?? {},
        annotations: template.metadata?.annotations ?? {},
        pod: template.spec,
        selector: serves ? spec.selector : undefined,
        serves,
        claims: (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name),
      },
    ];
  });
}

export function ofKind(objects: readonly KubernetesObject[], kind: string): readonly KubernetesObject[] {
  return objects.filter((object) => object.kind === kind);
}

export function containersOf(pod: PodSpec): readonly Container[] {
  return [...(pod.initContainers ?? []), ...pod.containers];
}

/** An empty selector matches all. */
export function matches({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      const isIn = value !== undefined && values.includes(value);
      return operator === "In" ? isIn : !isIn;
    })
  );
}

/** What the Secrets among the objects hold, in plain text, by name and key. */
export function secretsOf(
  objects: readonly KubernetesObject[],
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  return new Map(
    ofKind(objects, "Secret").map(({ metadata, data = {}, stringData = {} }) => [
      metadata.name,
      {
        ...Object.fromEntries(
          Object.entries(data).map(([key, text]) => [key, Buffer.from(text, "base64").toString()]),
        ),
        ...stringData,
      },
    ]),
  );
}
