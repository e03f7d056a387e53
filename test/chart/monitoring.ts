import { parse } from "yaml";
import {
  type KubernetesObject,
  matches,
  ofKind,
  type Selector,
  titleOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";
import { mayReach } from "./policies.ts";
import { portOf, type Service, servicesOf } from "./services.ts";
import { rolesOf, variablesOf } from "./settings.ts";

/** What is asked for: `name:port`, with what is behind it, or why nothing is. */
function found(
  objects: readonly KubernetesObject[],
  from: Workload,
  address: string,
): { readonly service?: Service; readonly faults: readonly string[] } {
  const [name, port] = address.split(":");
  const service = servicesOf(objects).find((one) => one.name === name);
  const there = service?.ports.find((one) => String(one.port) === port);
  const [to] = service?.workloads ?? [];
  if (service === undefined || there === undefined || to === undefined)
    return { faults: [`asks ${address}, which is not there`] };
  const number = portOf(to.pod, there.targetPort ?? there.port) ?? there.port;
  return mayReach(objects, { from, to, port: number })
    ? { service, faults: [] }
    : { service, faults: [`asks ${address}, which the policies do not let it reach`] };
}

/** The role of a workload's pods by their arguments, such as `hourlyLog`. */
const roleIn = (objects: readonly KubernetesObject[], title: string): string | undefined => {
  const args = rolesOf(objects).find(({ workload }) => workload.title === title)?.container.args ?? [];
  return args[1] ?? args[0];
};
const rolesIn = (objects: readonly KubernetesObject[]): readonly string[] =>
  rolesOf(objects).flatMap(({ workload }) => roleIn(objects, workload.title) ?? []);

/** Where the console looks for the figures of each role: in all pods of that role, ready or not. */
export function faultsOfSources(objects: readonly KubernetesObject[]): string[] {
  return rolesOf(objects)
    .filter(({ role }) => role === "query")
    .flatMap(({ workload, container }) => {
      const variables = variablesOf(container, objects);
      if (variables.get("MILLRACE_CONSOLE") === "off") return [];
      const sources = (variables.get("MILLRACE_CONSOLE_SOURCES") ?? "").split(",").filter(Boolean);
      const named = sources.map((source) => source.split("=", 2) as [string, string]);
      return [
        ...rolesIn(objects)
          .filter((role) => !named.some(([one]) => one === role))
          .map((role) => `has a console that does not see ${role}`),
        ...named.flatMap(([role, address]) => {
          const { service, faults } = found(objects, workload, address);
          const [to] = service?.workloads ?? [];
          return [
            ...faults,
            ...(to === undefined || roleIn(objects, to.title) === role
              ? []
              : [`takes ${to.title} for ${role}`]),
            ...(service === undefined || service.headless
              ? []
              : [`asks ${address}, which leads to one pod of several`]),
          ];
        }),
      ].map((fault) => `${workload.title} ${fault}`);
    });
}

/** What is late to the operator has to be late to the metrics. */
export function faultsOfObjectives(objects: readonly KubernetesObject[]): string[] {
  return rolesOf(objects)
    .filter(({ role }) => role === "worker")
    .flatMap(({ workload, container }) => {
      const told = variablesOf(container, objects).get("MILLRACE_MAX_WAIT_SECONDS");
      const scaler = ofKind(objects, "QueueScaler").find(
        ({ spec }) =>
          (spec?.["queue"] as { readonly name: string } | undefined)?.name === container.args?.[1],
      );
      const promised = (scaler?.spec?.["objective"] as { readonly maxWaitSeconds: number } | undefined)
        ?.maxWaitSeconds;
      return promised === undefined || told === String(promised)
        ? []
        : [`${workload.title} is told of ${told} s, and its QueueScaler of ${promised} s`];
    });
}

interface Job {
  readonly job_name: string;
  readonly honor_labels?: boolean;
  readonly dns_sd_configs: readonly { readonly names: readonly string[]; readonly port: number }[];
}

/** The workload that mounts a ConfigMap. */
const readerOf = (objects: readonly KubernetesObject[], { metadata }: KubernetesObject) =>
  workloadsOf(objects).find(({ pod }) =>
    (pod.volumes ?? []).some(({ configMap }) => configMap?.name === metadata.name),
  );

/** A Prometheus that does not find every role, or a Grafana that does not find that. */
export function faultsOfScrapes(objects: readonly KubernetesObject[]): string[] {
  return ofKind(objects, "ConfigMap").flatMap((object) => {
    const { "prometheus.yaml": scrapes, "datasources.yaml": sources } = object.data ?? {};
    const reader = readerOf(objects, object);
    if (scrapes === undefined && sources === undefined) return [];
    if (reader === undefined) return [`${titleOf(object)} is read by nobody`];
    const faults: string[] = [];
    if (scrapes !== undefined) {
      const { scrape_configs: jobs } = parse(scrapes) as { readonly scrape_configs: readonly Job[] };
      const seen = jobs.flatMap(({ job_name, honor_labels = false, dns_sd_configs }) =>
        dns_sd_configs.flatMap(({ names, port }) =>
          names.flatMap((name) => {
            const { service, faults: own } = found(objects, reader, `${name}:${port}`);
            faults.push(...own);
            if (service !== undefined && !service.headless)
              faults.push(`asks ${name}, which leads to one pod of several`);
            const component = service?.workloads[0]?.labels["app.kubernetes.io/component"];
            if (service !== undefined && job_name !== `millrace/${component}`)
              faults.push(`calls ${component} ${job_name}`);
            if (honor_labels !== (component === "operator"))
              faults.push(`has the labels of ${job_name} wrong`);
            return service?.workloads.map(({ title }) => roleIn(objects, title)) ?? [];
          }),
        ),
      );
      for (const role of rolesIn(objects)) if (!seen.includes(role)) faults.push(`does not see ${role}`);
    }
    if (sources !== undefined) {
      const { datasources } = parse(sources) as {
        readonly datasources: readonly { readonly url: string }[];
      };
      for (const { url } of datasources) faults.push(...found(objects, reader, new URL(url).host).faults);
    }
    return [...new Set(faults)].map((fault) => `${reader.title} ${fault}`);
  });
}

interface PodMonitor {
  readonly selector: Selector;
  readonly podMetricsEndpoints: readonly {
    readonly port: string;
    readonly honorLabels: boolean;
    readonly relabelings: readonly { readonly targetLabel: string }[];
  }[];
}

/** Where there are PodMonitors, one of them is about each role, and leaves the operator its own labels. */
export function faultsOfPodMonitors(objects: readonly KubernetesObject[]): string[] {
  const monitors = ofKind(objects, "PodMonitor").map((object) => ({
    title: titleOf(object),
    ...(object.spec as unknown as PodMonitor),
  }));
  if (monitors.length === 0) return [];
  return [
    ...rolesOf(objects).flatMap(({ workload, container, role }) => {
      const own = monitors.filter(({ selector }) => matches(selector, workload.labels));
      const endpoints = own.flatMap(({ podMetricsEndpoints }) => podMetricsEndpoints);
      return [
        ...(endpoints.length === 1 ? [] : [`${workload.title} is read by ${endpoints.length} PodMonitors`]),
        ...endpoints
          .filter(({ port }) => !container.ports?.some(({ name }) => name === port))
          .map(({ port }) => `${workload.title} is asked at ${port}, which it does not have`),
        ...endpoints
          .filter(({ honorLabels }) => honorLabels !== (role === "operator"))
          .map(() => `${workload.title} has its labels taken wrongly`),
      ];
    }),
    ...monitors
      .filter(({ podMetricsEndpoints }) =>
        podMetricsEndpoints.some(
          ({ relabelings }) => relabelings.map(({ targetLabel }) => targetLabel).join() !== "instance,job",
        ),
      )
      .map(({ title }) => `${title} does not say instance and job`),
    ...monitors
      .filter(({ selector }) =>
        workloadsOf(objects).some(
          ({ title, labels }) =>
            matches(selector, labels) && !rolesOf(objects).some(({ workload }) => workload.title === title),
        ),
      )
      .map(({ title }) => `${title} is about pods that are no role`),
  ];
}
