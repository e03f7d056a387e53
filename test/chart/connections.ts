import { containersOf, type KubernetesObject, workloadsOf } from "./objects.ts";
import { mayReach } from "./policies.ts";
import { portOf, servicesOf } from "./services.ts";
import { variablesOf } from "./settings.ts";

/** Hosts in the URLs that a pod is given: of the release, with a port that is there and that the policies let it reach. */
export function faultsOfConnections(objects: readonly KubernetesObject[], namespace: string): string[] {
  const services = servicesOf(objects);
  return workloadsOf(objects).flatMap((workload) =>
    containersOf(workload.pod).flatMap((container) => {
      const texts = [
        ...variablesOf(container, objects).values(),
        ...(container.args ?? []),
        ...(container.command ?? []),
      ];
      return (
        texts
          // Where several URLs are parted by commas, each is one.
          .flatMap((text) => (text ?? "").split(/,(?=\w+:\/\/)/))
          .flatMap((text) => Array.from(text.matchAll(/\b(\w+):\/\/(?:[^\s/@"']*@)?([\w.,:-]+)/g)))
          .flatMap(([url, scheme = "", hosts = ""]) =>
            hosts.split(",").flatMap((host) => {
              const [name = "", port = defaultPorts[scheme]] = host.split(":");
              const [short = "", ...domain] = name.split(".");
              const service = services.find((one) => one.name === short);
              const isOurs = domain.length === 0 || domain[0] === namespace || domain[0] === "svc";
              if (["localhost", "127"].includes(short) || (service === undefined && !isOurs)) return [];
              if (service === undefined) return [`is told ${url}, and there is no Service ${short}`];
              const there = service.ports.find((one) => String(one.port) === String(port));
              const [to] = service.workloads;
              if (there === undefined || to === undefined)
                return [`is told ${url}, and ${short} has no port ${port}`];
              const number = portOf(to.pod, there.targetPort ?? there.port) ?? there.port;
              return mayReach(objects, { from: workload, to, port: number })
                ? []
                : [`is told ${url}, and the policies do not let it reach ${to.title}:${number}`];
            }),
          )
          .map((fault) => `${workload.title}: ${container.name} ${fault}`)
      );
    }),
  );
}

const defaultPorts: Readonly<Record<string, number>> = {
  http: 80,
  https: 443,
  amqp: 5672,
  amqps: 5671,
  mongodb: 27017,
};
