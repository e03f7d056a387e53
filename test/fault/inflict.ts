import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import type { Fault, Planned } from "./faults.ts";
import type { PartName } from "./members.ts";

export interface FaultTally {
  /** How many, by kind and then by what they befell, such as `kill member` and `worker`. */
  readonly counts: Record<string, Record<string, number>>;
  total: number;
  /** Connections that were cut, stalled or half-closed. */
  connections: number;
  /** Where the harness could not do or mend what it meant to. */
  readonly failures: string[];
}

export const noFaults = (): FaultTally => ({ counts: {}, total: 0, connections: 0, failures: [] });

export interface Inflicting {
  readonly tally: FaultTally;
  readonly progress: (line: string) => void;
  /** Called just before each fault. */
  readonly onFault: () => void;
}

/** Carries out a plan. What befalls the same target comes one after the other. Resolves once the last is mended. */
export async function inflictAll(
  plan: readonly Planned[],
  cluster: Cluster,
  { tally, progress, onFault }: Inflicting,
): Promise<void> {
  const begun = Date.now();
  const busy = new Map<string, Promise<void>>();
  const one = async (fault: Fault): Promise<void> => {
    onFault();
    progress(`fault: ${words(fault)}`);
    try {
      const connections = await inflict(fault, cluster);
      tally.connections += connections;
      const ofKind = (tally.counts[fault.kind] ??= {});
      ofKind[fault.group] = (ofKind[fault.group] ?? 0) + 1;
      tally.total += 1;
    } catch (error) {
      tally.failures.push(`${words(fault)}: ${String(error)}`);
    }
    if ("forMs" in fault && fault.forMs > 0) progress(`mended: ${words(fault)}`);
  };
  for (const { atMs, fault } of plan) {
    await sleep(Math.max(0, begun + atMs - Date.now()));
    const before = busy.get(fault.target) ?? Promise.resolve();
    const next = before.then(() => one(fault));
    busy.set(fault.target, next);
  }
  await Promise.all(busy.values());
}

function words(fault: Fault): string {
  const forMs = "forMs" in fault ? ` for ${fault.forMs} ms` : "";
  return `${fault.kind} ${fault.target}${forMs}${"side" in fault ? ` towards the ${fault.side} side` : ""}`;
}

/** Resolves once it is mended, to how many connections it broke on the way. */
async function inflict(fault: Fault, cluster: Cluster): Promise<number> {
  switch (fault.kind) {
    case "kill member":
      await found(cluster.processes, fault.target).kill();
      return 0;
    case "stop member": {
      const one = found(cluster.processes, fault.target);
      one.pause();
      await sleep(fault.forMs);
      one.resume();
      return 0;
    }
    case "kill part":
    case "stop part":
      await inflictPart(fault.kind, cluster[fault.target satisfies PartName], fault.forMs);
      return 0;
    case "cut link": {
      const proxy = found(cluster.proxies, fault.target);
      proxy.refuse();
      const connections = proxy.cut();
      await sleep(fault.forMs);
      proxy.flow();
      return connections;
    }
    case "stall link": {
      const proxy = found(cluster.proxies, fault.target);
      const { connections } = proxy;
      proxy.stall();
      await sleep(fault.forMs);
      proxy.flow();
      return connections;
    }
    case "half-close link":
      return found(cluster.proxies, fault.target).halfClose(fault.side);
    default:
      return fault satisfies never;
  }
}

async function inflictPart(
  kind: "kill part" | "stop part",
  part: Cluster[PartName],
  forMs: number,
): Promise<void> {
  if (kind === "kill part") await part.kill();
  else await part.pause();
  await sleep(forMs);
  if (kind === "kill part") await part.start();
  else await part.resume();
}

function found<T>(all: ReadonlyMap<string, T>, name: string): T {
  const one = all.get(name);
  if (one === undefined) throw new Error(`there is no ${name}`);
  return one;
}
