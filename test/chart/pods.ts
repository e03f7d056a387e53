import { type Container, containersOf, type KubernetesObject, type Probe, workloadsOf } from "./objects.ts";
import { faultsOfRestricted } from "./restricted.ts";

/** Against the standard `restricted`, and beyond it where nothing of ours needs what it leaves open. */
export function unrestrictedPods(objects: readonly KubernetesObject[]): string[] {
  return workloadsOf(objects).flatMap(({ title, pod, annotations }) =>
    [
      ...faultsOfRestricted(pod, annotations),
      ...containersOf(pod)
        .filter(({ securityContext }) => securityContext?.readOnlyRootFilesystem !== true)
        .map(({ name }) => `container ${name} may write to its image's files`),
    ].map((fault) => `${title}: ${fault}`),
  );
}

export function faultsOfImages(objects: readonly KubernetesObject[]): string[] {
  const named = /^[\w.:/-]+(:[\w][\w.-]{0,127}|@sha256:[\da-f]{64})$/;
  return workloadsOf(objects).flatMap(({ title, pod }) =>
    containersOf(pod)
      .filter(({ image }) => !named.test(image) || image.endsWith(":latest"))
      .map(
        ({ name, image }) => `${title}: container ${name} runs ${image}, without a tag or digest that stays`,
      ),
  );
}

/** Whether it is up, alive and able to work are three questions. */
export function faultsOfProbes(objects: readonly KubernetesObject[]): string[] {
  return workloadsOf(objects)
    .filter(({ serves }) => serves)
    .flatMap(({ title, pod }) =>
      pod.containers.flatMap((container) => {
        const { startupProbe, livenessProbe, readinessProbe } = container;
        const probes = { startupProbe, livenessProbe, readinessProbe };
        return [
          ...Object.entries(probes).flatMap(([name, probe]) =>
            probe === undefined
              ? [`has no ${name}`]
              : badPort(container, probe).map((port) => `${name} asks ${port}`),
          ),
          ...(asked(livenessProbe) !== undefined && asked(livenessProbe) === asked(readinessProbe)
            ? ["is killed where it should only get no requests: liveness asks what readiness asks"]
            : []),
        ].map((fault) => `${title}: ${container.name} ${fault}`);
      }),
    );
}

function asked(probe: Probe | undefined): string | undefined {
  const { httpGet, exec } = probe ?? {};
  return httpGet?.path ?? exec?.command.join(" ");
}

function badPort({ ports = [] }: Container, { httpGet, tcpSocket }: Probe): string[] {
  const port = httpGet?.port ?? tcpSocket?.port;
  const isThere = port === undefined || ports.some((one) => one.name === port);
  return isThere ? [] : [`port ${port}, which is no port's name`];
}

/** What a pod says of what it takes, and of its end. */
export function faultsOfLives(objects: readonly KubernetesObject[]): string[] {
  return workloadsOf(objects).flatMap(({ title, pod, serves }) =>
    [
      ...containersOf(pod).flatMap(faultsOfLife),
      ...(pod.volumes ?? [])
        .filter(({ emptyDir }) => emptyDir !== undefined && emptyDir.sizeLimit === undefined)
        .map(({ name }) => `may fill its node by the folder ${name}`),
      ...(serves && pod.terminationGracePeriodSeconds === undefined
        ? ["has the default time to end in"]
        : []),
    ].map((fault) => `${title}: ${fault}`),
  );
}

function faultsOfLife({ name, resources: { requests, limits } = {}, lifecycle }: Container): string[] {
  const faults: string[] = [];
  if (limits?.["memory"] === undefined) faults.push("has no limit of memory");
  if (requests?.["memory"] === undefined) faults.push("requests no memory");
  if (requests?.["cpu"] === undefined) faults.push("requests no cpu");
  // Kubernetes 1.29 knows the field and drops it, and then refuses the hook that is left.
  if (Object.hasOwn(lifecycle?.preStop ?? {}, "sleep")) faults.push("sleeps in preStop, as 1.29 does not");
  return faults.map((fault) => `${name} ${fault}`);
}
