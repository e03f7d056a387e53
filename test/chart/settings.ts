import { readConfig } from "../../src/config.ts";
import { type SettingName, settingNames, variableOf } from "../../src/settings.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import {
  type Container,
  type KubernetesObject,
  ofKind,
  secretsOf,
  type Workload,
  workloadsOf,
} from "./objects.ts";

/** Text of a variable, as far as it is known here: what a user's own Secret holds is not. */
export function variablesOf(
  container: Container,
  objects: readonly KubernetesObject[],
): ReadonlyMap<string, string | undefined> {
  const secrets = secretsOf(objects);
  const configMaps = new Map(
    ofKind(objects, "ConfigMap").map(({ metadata, data }) => [metadata.name, data ?? {}]),
  );
  const found = new Map<string, string | undefined>();
  for (const { secretRef, configMapRef } of container.envFrom ?? []) {
    const all = secrets.get(secretRef?.name ?? "") ?? configMaps.get(configMapRef?.name ?? "") ?? {};
    for (const [name, value] of Object.entries(all)) found.set(name, value);
  }
  for (const { name, value = "", valueFrom } of container.env ?? []) {
    const { secretKeyRef, configMapKeyRef } = valueFrom ?? {};
    if (secretKeyRef !== undefined) found.set(name, secrets.get(secretKeyRef.name)?.[secretKeyRef.key]);
    else if (valueFrom?.fieldRef !== undefined) found.set(name, undefined);
    else if (configMapKeyRef !== undefined)
      found.set(name, configMaps.get(configMapKeyRef.name)?.[configMapKeyRef.key]);
    else if (valueFrom === undefined) found.set(name, expanded(value, found));
  }
  return found;
}

/** As the kubelet does it: `$(NAME)` is the variable of that name that came before, and stays where there is none. */
function expanded(text: string, before: ReadonlyMap<string, string | undefined>): string {
  return text.replaceAll(/\$\(([-._\w]+)\)/g, (whole, name: string) =>
    before.has(name) ? (before.get(name) ?? "unknown") : whole,
  );
}

/** What a variable would hold of a user's own. */
const plausible: Readonly<Partial<Record<SettingName, string>>> = {
  brokerUrl: "amqp://name:password@broker.example",
  brokerManagementUrl: "http://name:password@broker.example:15672",
  storeUrl: "mongodb://name:password@store.example/millrace",
  writeKeyHashes: "0".repeat(64),
  operatorNamespaces: "events",
  operatorLeaseNamespace: "events",
};

/** What Millrace itself would say of the arguments and variables that it is given. */
export function faultsOfSettings(objects: readonly KubernetesObject[]): string[] {
  return rolesOf(objects).flatMap(({ workload, container, role }) => {
    const faults: string[] = [];
    const environment: Record<string, string> = {};
    for (const [name, value] of variablesOf(container, objects)) {
      const setting = settingNames.find((one) => [variableOf(one), `${variableOf(one)}_FILE`].includes(name));
      if (setting !== undefined) environment[variableOf(setting)] = value ?? plausible[setting] ?? "";
      else if (name.startsWith("MILLRACE_")) environment[name] = value ?? "";
    }
    try {
      const config = readConfig(environment, {});
      const [, queue, ...others] = container.args ?? [];
      if (others.length > 0) faults.push(`has further arguments, ${others.join(" ")}`);
      if (role === "worker" && !projectionNames.some((one) => one === queue))
        faults.push(`works on ${queue}`);
      if (role !== "worker" && queue !== undefined) faults.push(`has the argument ${queue}`);
      if (/^(127\.|localhost$|::1$)/.test(config.host)) faults.push(`listens on ${config.host} alone`);
      if (["query", "sweeper", "worker"].includes(role) && config.storeUrl === "embedded:") {
        faults.push("has a store of its own");
      }
      if (["collector", "worker"].includes(role) && config.brokerUrl === "embedded:") {
        faults.push("has a broker of its own");
      }
      if (role === "operator" && config.operatorLeaseNamespace === "")
        faults.push("does not know its namespace");
      const wanted = new Set([
        config.adminPort,
        ...(role === "collector" ? [config.collectorPort] : []),
        ...(role === "query" ? [config.queryPort] : []),
      ]);
      const told = new Set((container.ports ?? []).map(({ containerPort }) => containerPort));
      if (wanted.symmetricDifference(told).size > 0) {
        faults.push(`listens on ${[...wanted].join()}, and tells of ${[...told].join()}`);
      }
      const graceMs = (workload.pod.terminationGracePeriodSeconds ?? 30) * 1000;
      if (graceMs <= config.drainTimeoutMs) faults.push(`has ${graceMs} ms to end, and drains as long`);
      faults.push(...faultsOfHeap(container, role, config.unconfirmedMaxBytes));
    } catch (error) {
      faults.push(`does not start: ${String(error)}`);
    }
    return faults.map((fault) => `${workload.title}: ${container.name} ${fault}`);
  });
}

const MIB = 1024 * 1024;

/** Node's heap has to hold the requests in hand (see compose.ts), and the memory's limit the heap with as much again as Node needs beside it. */
function faultsOfHeap(container: Container, role: RoleName, unconfirmedMaxBytes: number): string[] {
  const options = container.env?.find(({ name }) => name === "NODE_OPTIONS")?.value ?? "";
  const oldMib = Number(/--max-old-space-size=(\d+)/.exec(options)?.[1] ?? Number.NaN);
  if (Number.isNaN(oldMib)) return ["has a heap that depends on its node"];
  const limit = bytesOf(container.resources?.limits?.["memory"] ?? "0");
  return [
    ...(role === "collector" && 64 * MIB + 3 * unconfirmedMaxBytes > oldMib * MIB
      ? [`has a heap of ${oldMib} MiB for ${unconfirmedMaxBytes} bytes of requests`]
      : []),
    ...(limit >= (oldMib + 64) * MIB ? [] : [`has a heap of ${oldMib} MiB within ${limit} bytes`]),
  ];
}

function bytesOf(quantity: string): number {
  const [, number = "NaN", unit = ""] = /^([\d.]+)([kMGT]i?)?$/.exec(quantity) ?? [];
  const powers: Readonly<Record<string, number>> = { "": 0, k: 1, M: 2, G: 3, T: 4 };
  return Number(number) * (unit.endsWith("i") ? 1024 : 1000) ** (powers[unit.replace("i", "")] ?? Number.NaN);
}

type RoleName = "collector" | "operator" | "query" | "sweeper" | "worker";
interface RolePod {
  readonly workload: Workload;
  readonly container: Container;
  readonly role: RoleName;
}

/** Containers that are roles of Millrace, by their first argument. */
export function rolesOf(objects: readonly KubernetesObject[]): readonly RolePod[] {
  const roles: readonly RoleName[] = ["collector", "operator", "query", "sweeper", "worker"];
  return workloadsOf(objects)
    .filter(({ serves }) => serves)
    .flatMap((workload) =>
      workload.pod.containers.flatMap((container) => {
        const role = roles.find((one) => one === container.args?.[0]);
        return role === undefined ? [] : [{ workload, container, role }];
      }),
    );
}
