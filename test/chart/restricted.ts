import { type Container, containersOf, type PodSpec, type SecurityContext } from "./objects.ts";

/** Faults of a pod against the standard `restricted` of Kubernetes' pod security, which holds all of `baseline`. */
export function faultsOfRestricted(pod: PodSpec, annotations: Readonly<Record<string, string>>): string[] {
  const all = pod.securityContext ?? {};
  return [
    ...(["hostNetwork", "hostPID", "hostIPC"] as const)
      .filter((name) => pod[name] === true)
      .map((name) => `${name} is true`),
    ...faultsOfVolumes(pod),
    ...faultsOfEither(all),
    ...(all.sysctls ?? [])
      .filter(({ name }) => !safeSysctls.has(name))
      .map(({ name }) => `the sysctl ${name} is not safe`),
    ...Object.entries(annotations)
      .filter(([key, value]) => key.startsWith(appArmor) && !/^(runtime\/default|localhost\/.*)$/.test(value))
      .map(([key, value]) => `${key} is ${value}`),
    ...containersOf(pod).flatMap((container) =>
      faultsOfContainer(container, all).map((fault) => `container ${container.name}: ${fault}`),
    ),
  ];
}

const appArmor = "container.apparmor.security.beta.kubernetes.io/";

/** Kinds of volume that the standard allows. */
const volumeKinds = new Set(
  "configMap csi downwardAPI emptyDir ephemeral persistentVolumeClaim projected secret".split(" "),
);

function faultsOfVolumes(pod: PodSpec): string[] {
  return (pod.volumes ?? []).flatMap((volume) =>
    Object.keys(volume)
      .filter((kind) => kind !== "name" && !volumeKinds.has(kind))
      .map((kind) => `volume ${volume.name} is a ${kind}`),
  );
}

/** Those whose effect stays within the pod, as 1.29 has them; later versions allow more. */
const safeSysctls = new Set([
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes",
]);

const seLinuxTypes = new Set([undefined, "", "container_t", "container_init_t", "container_kvm_t"]);

/** Of what a pod and a container say in the same words. */
function faultsOfEither(context: SecurityContext): string[] {
  const { runAsNonRoot, runAsUser, seccompProfile, appArmorProfile, seLinuxOptions, windowsOptions } =
    context;
  const faults: string[] = [];
  if (runAsNonRoot === false) faults.push("runAsNonRoot is false");
  if (runAsUser === 0) faults.push("runAsUser is 0");
  if (seccompProfile?.type === "Unconfined") faults.push("seccompProfile is Unconfined");
  if (appArmorProfile?.type === "Unconfined") faults.push("appArmorProfile is Unconfined");
  if (windowsOptions?.hostProcess === true) faults.push("hostProcess is true");
  if (!seLinuxTypes.has(seLinuxOptions?.type)) faults.push(`the SELinux type is ${seLinuxOptions?.type}`);
  if (seLinuxOptions?.user || seLinuxOptions?.role) faults.push("an SELinux user or role is set");
  return faults;
}

function faultsOfContainer(container: Container, all: SecurityContext): string[] {
  const own = container.securityContext ?? {};
  const faults = faultsOfEither(own);
  if ((own.runAsNonRoot ?? all.runAsNonRoot) !== true) faults.push("runAsNonRoot is not true");
  if ((own.seccompProfile ?? all.seccompProfile) === undefined) faults.push("there is no seccompProfile");
  if (own.allowPrivilegeEscalation !== false) faults.push("allowPrivilegeEscalation is not false");
  if (own.privileged === true) faults.push("it is privileged");
  if (![undefined, "Default"].includes(own.procMount)) faults.push(`procMount is ${own.procMount}`);
  if (own.capabilities?.drop?.includes("ALL") !== true) faults.push("not ALL capabilities are dropped");
  for (const added of own.capabilities?.add ?? []) {
    if (added !== "NET_BIND_SERVICE") faults.push(`the capability ${added} is added`);
  }
  for (const { hostPort, containerPort } of container.ports ?? []) {
    if (hostPort) faults.push(`port ${containerPort} is the host's ${hostPort}`);
  }
  for (const probe of [
    container.startupProbe,
    container.livenessProbe,
    container.readinessProbe,
    container.lifecycle?.preStop,
    container.lifecycle?.postStart,
  ]) {
    const host = probe?.httpGet?.host ?? probe?.tcpSocket?.host;
    if (host) faults.push(`a probe asks another host, ${host}`);
  }
  return faults;
}
