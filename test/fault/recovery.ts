import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import { type Member, members } from "./members.ts";
import type { SupervisedProcess } from "./process.ts";

export interface Recovery {
  /** How long after the last fault each process was ready and had done some work since. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly slowestSeconds: number;
  readonly faults: readonly string[];
}

/** What a process counts of its work: a ready one that counts no more sits idle. */
const workMetrics: Readonly<Record<Exclude<Member["group"], "query">, RegExp>> = {
  collector: /^millrace_events_total\{outcome="accepted"\} (\d+)$/gm,
  worker: /^millrace_deliveries_total\{.*outcome="ack".*\} (\d+)$/gm,
  sweeper: /^millrace_sweeps_total\{outcome="finished"\} (\d+)$/gm,
};
const PAUSE_MS = 200;
/** Beyond the bound, so that the report can say how long it really took. */
const PATIENCE_MS = 120_000;

/** Waits until every process is ready and works, while clients post; a fault for each that takes longer than the bound. */
export async function awaitRecovery(cluster: Cluster, boundSeconds: number): Promise<Recovery> {
  const begun = performance.now();
  const since = (): number => Math.round((performance.now() - begun) / 100) / 10;
  const faults: string[] = [];
  const recovered = members.map(async (member): Promise<[string, number]> => {
    const { name } = member;
    const one = cluster.processes.get(name);
    if (one === undefined) throw new Error(`there is no ${name}`);
    const unready = await eventually(() => one.unready());
    const readySeconds = since();
    const idle = unready ?? (await eventually(workIn(member, one, cluster.queryUrl)));
    const seconds = since();
    if (idle !== undefined || seconds > boundSeconds) {
      const told = idle ?? `ready after ${readySeconds} s, at work after ${seconds} s`;
      faults.push(`${name} was not back within ${boundSeconds} s: ${told}\n${one.log().slice(-2000)}`);
    }
    return [name, seconds];
  });
  const seconds = Object.fromEntries(await Promise.all(recovered));
  return { seconds, slowestSeconds: Math.max(...Object.values(seconds)), faults };
}

/** Asks until there is nothing to say against it; resolves to what there still was when patience ended. */
async function eventually(against: () => Promise<string | undefined>): Promise<string | undefined> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const reason = await against();
    if (reason === undefined || Date.now() > deadline) return reason;
    await sleep(PAUSE_MS);
  }
}

/** Answers undefined once the process has done some work since it was first asked. */
function workIn(
  { group }: Member,
  one: SupervisedProcess,
  queryUrl: string,
): () => Promise<string | undefined> {
  if (group === "query") return () => answersFrom(queryUrl);
  let first: { readonly pid: number | undefined; readonly work: number } | undefined;
  return async () => {
    const { pid } = one;
    const work = sumOf(await one.metrics(), workMetrics[group]);
    if (work === undefined) return "its metrics do not answer";
    if (first === undefined || first.pid !== pid) first = { pid, work };
    return work > first.work ? undefined : `ready, but it does nothing: it has counted ${work}`;
  };
}

/** Deliveries that a worker could not apply for another reason than that the store was out of reach, since it started. */
export async function retriedDeliveries(processes: Cluster["processes"]): Promise<number> {
  let sum = 0;
  for (const one of processes.values()) {
    sum += sumOf(await one.metrics(), /^millrace_deliveries_total\{.*outcome="retry".*\} (\d+)$/gm) ?? 0;
  }
  return sum;
}

function sumOf(metrics: string, pattern: RegExp): number | undefined {
  const values = Array.from(metrics.matchAll(pattern), (found) => Number(found[1]));
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

async function answersFrom(queryUrl: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${queryUrl}/accounts?limit=1`, { signal: AbortSignal.timeout(5000) });
    const text = await answer.text();
    return answer.status === 200 ? undefined : `it answers ${answer.status} ${text}`;
  } catch (error) {
    return `it does not answer: ${String(error)}`;
  }
}
