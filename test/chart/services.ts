import {
  type KubernetesObject,
  type Labels,
  matches,
  ofKind,
  type PodSpec,
  titleOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";

interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: string | number;
}
/** A Service with the pods behind it. */
export interface Service {
  readonly name: string;
  readonly title: string;
  readonly headless: boolean;
  readonly ports: readonly ServicePort[];
  readonly workloads: readonly Workload[];
}

export function servicesOf(objects: readonly KubernetesObject[]): readonly Service[] {
  return ofKind(objects, "Service").map((object) => {
    const matchLabels = object.spec?.["selector"] as Labels | undefined;
    return {
      name: object.metadata.name,
      title: titleOf(object),
      headless: object.spec?.["clusterIP"] === "None",
      ports: (object.spec?.["ports"] ?? []) as readonly ServicePort[],
      workloads:
        matchLabels === undefined
          ? []
          : workloadsOf(objects).filter(({ labels }) => matches({ matchLabels }, labels)),
    };
  });
}

/** The number of a container's port by its name or number. */
export function portOf(pod: PodSpec, port: string | number): number | undefined {
  const ports = pod.containers.flatMap((container) => container.ports ?? []);
  return ports.find(({ name, containerPort }) => name === port || containerPort === port)?.containerPort;
}

export function faultsOfServices(objects: readonly KubernetesObject[]): string[] {
  return servicesOf(objects).flatMap(({ title, ports, workloads }) => {
    const [workload, ...others] = workloads;
    if (workload === undefined) return [`${title} selects no pods`];
    return [
      ...others.map((other) => `${title} selects the pods of ${workload.title} and of ${other.title}`),
      ...(ports.length === 0 ? [`${title} has no port`] : []),
      ...ports.flatMap(({ name, port, targetPort }) => [
        ...(name === undefined ? [`${title}: port ${port} has no name`] : []),
        ...(typeof targetPort === "string"
          ? []
          : [`${title}: port ${port} leads to ${targetPort ?? "itself"}, which is no name`]),
        ...(targetPort !== undefined && portOf(workload.pod, targetPort) === undefined
          ? [`${title}: no container of ${workload.title} has a port ${targetPort}`]
          : []),
      ]),
    ];
  });
}

/** What leads to a Service from without: Ingress and HTTPRoute. */
export function faultsOfRoutes(objects: readonly KubernetesObject[]): string[] {
  const services = servicesOf(objects);
  const faultOf = (title: string, name: string, port: string | number | undefined): string[] => {
    const service = services.find((one) => one.name === name);
    if (service === undefined) return [`${title} leads to ${name}, which is no Service here`];
    const isThere = service.ports.some((one) => port !== undefined && [one.name, one.port].includes(port));
    return isThere ? [] : [`${title} leads to ${name} at ${port}, which it does not have`];
  };
  return [
    ...ofKind(objects, "Ingress").flatMap((object) => {
      const rules = (object.spec?.["rules"] ?? []) as readonly IngressRule[];
      return rules
        .flatMap(({ http }) => http.paths)
        .flatMap(({ backend: { service } }) =>
          faultOf(titleOf(object), service.name, service.port.name ?? service.port.number),
        );
    }),
    ...ofKind(objects, "HTTPRoute").flatMap((object) => {
      const rules = (object.spec?.["rules"] ?? []) as readonly HttpRouteRule[];
      return rules
        .flatMap(({ backendRefs = [] }) => backendRefs)
        .flatMap(({ name, port }) => faultOf(titleOf(object), name, port));
    }),
  ];
}
interface IngressRule {
  readonly http: {
    readonly paths: readonly {
      readonly backend: {
        readonly service: {
          readonly name: string;
          readonly port: { readonly name?: string; readonly number?: number };
        };
      };
    }[];
  };
}
interface HttpRouteRule {
  readonly backendRefs?: readonly { readonly name: string; readonly port?: number }[];
}
