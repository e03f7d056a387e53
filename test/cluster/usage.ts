import type { Namespace } from "./install.ts";

interface PodMetrics {
  readonly metadata: { readonly name: string };
  readonly containers: readonly { readonly usage: { readonly cpu: string; readonly memory: string } }[];
}
export interface Usage {
  readonly pod: string;
  readonly cores: number;
  readonly mebibytes: number;
}

const CORES: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, m: 1e-3, "": 1 };
const MEBIBYTES: Readonly<Record<string, number>> = { Ki: 1 / 1024, Mi: 1, Gi: 1024, "": 1 / 1024 / 1024 };

/** What the metrics server says that each pod uses, over its last window of some 15 seconds. */
export async function usageOf(namespace: Namespace): Promise<readonly Usage[]> {
  const pods = await namespace.list<PodMetrics>("pods.metrics.k8s.io");
  return pods.map(({ metadata, containers }) => ({
    pod: metadata.name,
    cores: sum(containers.map(({ usage }) => quantity(usage.cpu, CORES))),
    mebibytes: sum(containers.map(({ usage }) => quantity(usage.memory, MEBIBYTES))),
  }));
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function quantity(text: string, units: Readonly<Record<string, number>>): number {
  const [, number = "", unit = ""] = /^([0-9.]+)([A-Za-z]*)$/.exec(text) ?? [];
  const factor = units[unit];
  if (factor === undefined) throw new Error(`no quantity that is known here: ${text}`);
  return Number(number) * factor;
}
