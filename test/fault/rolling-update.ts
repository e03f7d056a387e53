import { setTimeout as sleep } from "node:timers/promises";
import { millraceBin } from "../flow/standalone.ts";
import { type Cluster, QUERY_MAX_ROWS, startCluster } from "./cluster.ts";
import { keepLogs, stopAll } from "./ending.ts";
import { type Group, type Member, members } from "./members.ts";
import { httpSender, takingTurns } from "./post.ts";
import { type QueueVerdict, settledQueues } from "./queues.ts";
import { seededRandom } from "./random.ts";
import { nothingRead, type ReaderTally, runReader } from "./reader.ts";
import { awaitRecovery, retriedDeliveries } from "./recovery.ts";
import type { Checkout } from "./revision.ts";
import { settledVerdict } from "./settled.ts";
import { type ClientFigures, Traffic } from "./traffic.ts";
import type { Verdict } from "./verdict.ts";

/** Every process is replaced once, one after the other. */
export interface Pass {
  readonly to: "new" | "old";
  readonly order: readonly Group[];
}
const workersFirst: readonly Group[] = ["worker", "sweeper", "query", "collector"];
const collectorsFirst: readonly Group[] = ["collector", "query", "sweeper", "worker"];

/** As docs/upgrades.md tells to do it: forward, and back. */
export const thereAndBack: readonly Pass[] = [
  { to: "new", order: workersFirst },
  { to: "old", order: collectorsFirst },
];
/** And against the advice. */
export const bothOrders: readonly Pass[] = [
  ...thereAndBack,
  { to: "new", order: collectorsFirst },
  { to: "old", order: workersFirst },
];

export interface RollingOptions {
  /** What to update from; the other side is this checkout. */
  readonly old: Pick<Checkout, "bin">;
  readonly passes: readonly Pass[];
  /** After which of these every process must be ready and at work before it goes on. */
  readonly lookAfter: "replacement" | "pass";
  readonly eventsPerSecond: number;
  readonly connections: number;
  readonly seed: number;
}
export interface RollingReport extends ClientFigures {
  readonly seed: number;
  readonly seconds: number;
  readonly parts: readonly string[];
  readonly passes: readonly string[];
  readonly replaced: number;
  /** From the end of one process until the one in its place was ready. */
  readonly slowestReplacementSeconds: number;
  readonly read: Omit<ReaderTally, "faults">;
  readonly retriedDeliveries: number;
  readonly deadLetters: QueueVerdict["deadLetters"];
  /** Events in each view, as the query process of each side tells. */
  readonly counted: Readonly<Record<Pass["to"], Verdict["counted"]>>;
  readonly faults: readonly string[];
}

const READY_MS = 120_000;
const AT_WORK_BOUND_SECONDS = 60;
const SETTLE_MS = 120_000;

/** Posts to a cluster on real parts while each of its processes is replaced by another version's, then compares every row. */
export async function runRollingUpdate(
  options: RollingOptions,
  progress: (line: string) => void,
): Promise<RollingReport> {
  const { old, passes, seed, connections, eventsPerSecond } = options;
  const begun = performance.now();
  await using parts = new AsyncDisposableStack();
  const cluster = await startCluster(parts, old.bin);
  const versions = [cluster.broker.version, cluster.store.version];
  progress(`all ready on ${versions.join(" and ")}`);

  const random = seededRandom(seed);
  const senders = cluster.collectorUrls.map((url) => parts.use(httpSender(url, connections)));
  const traffic = new Traffic({ send: takingTurns(senders), random, clients: connections, eventsPerSecond });
  const bins = { old: old.bin, new: millraceBin };
  const replacing = new Replacing(cluster, bins, progress);
  const read = nothingRead();
  const stopReading = new AbortController();
  const reading = runReader(cluster.queryUrl, read, stopReading.signal);
  const faults: string[] = [];
  try {
    faults.push(...(await notAtWork(cluster)));
    for (const [index, { to, order }] of passes.entries()) {
      progress(`pass ${index + 1} of ${passes.length}: to the ${to} version, ${order.join(", ")}`);
      for (const member of membersIn(order)) {
        if (random.chance(0.5)) traffic.surge();
        await replacing.replace(member, to);
        if (options.lookAfter === "replacement") faults.push(...(await notAtWork(cluster)));
        progress(`${member.name} is of the ${to} version, ${traffic.line()}`);
      }
      if (options.lookAfter === "pass") faults.push(...(await notAtWork(cluster)));
    }
  } finally {
    stopReading.abort();
    await Promise.all([reading, traffic.finish(SETTLE_MS)]);
  }
  const counted: Partial<Record<Pass["to"], Verdict["counted"]>> = {};
  // Both sides must read alike what both have written.
  for (const side of ["old", "new"] as const) {
    await replacing.replace(query, side);
    const views = { queryUrl: cluster.queryUrl, pageRows: QUERY_MAX_ROWS };
    const verdict = await settledVerdict(traffic.ledger, { ...views, settleMs: SETTLE_MS, progress });
    counted[side] = verdict.counted;
    faults.push(...[...verdict.wrong, ...verdict.missing].map((fault) => `read by the ${side}: ${fault}`));
  }
  const queues = await settledQueues(cluster.broker, SETTLE_MS);
  const retried = await retriedDeliveries(cluster.processes);
  const stopFaults = await stopAll(cluster);
  const all = Array.from(cluster.processes.values());
  const { faults: readFaults, ...answers } = read;
  const report: RollingReport = {
    seed,
    seconds: Math.round((performance.now() - begun) / 1000),
    parts: versions,
    passes: passes.map(({ to, order }) => `to ${to}: ${order.join(", ")}`),
    replaced: replacing.replaced,
    slowestReplacementSeconds: replacing.slowestSeconds,
    ...traffic.figures(),
    read: answers,
    retriedDeliveries: retried,
    deadLetters: queues.deadLetters,
    counted: counted as RollingReport["counted"],
    faults: [
      ...replacing.faults,
      ...all.flatMap((one) => [...one.faults, ...one.endings]),
      ...traffic.faults(),
      ...readFaults,
      ...faults,
      ...queues.faults,
      ...stopFaults,
    ],
  };
  if (report.faults.length > 0) progress(`the logs of all processes are in ${await keepLogs(cluster)}`);
  return report;
}

const membersIn = (order: readonly Group[]): readonly Member[] =>
  order.flatMap((group) => members.filter((member) => member.group === group));
const [query] = membersIn(["query"]) as [Member];

async function notAtWork(cluster: Cluster): Promise<readonly string[]> {
  return (await awaitRecovery(cluster, AT_WORK_BOUND_SECONDS)).faults;
}

class Replacing {
  replaced = 0;
  slowestSeconds = 0;
  readonly faults: string[] = [];
  readonly #cluster: Cluster;
  readonly #bins: Readonly<Record<Pass["to"], string>>;
  readonly #progress: (line: string) => void;

  constructor(
    cluster: Cluster,
    bins: Readonly<Record<Pass["to"], string>>,
    progress: (line: string) => void,
  ) {
    this.#cluster = cluster;
    this.#bins = bins;
    this.#progress = progress;
  }

  /** Ends a process as Kubernetes does, starts the other version in its place and resolves once that is ready. */
  async replace({ name }: Member, to: Pass["to"]): Promise<void> {
    const one = this.#cluster.processes.get(name);
    if (one === undefined) throw new Error(`there is no ${name}`);
    const exit = await one.replace(this.#bins[to]);
    if (exit.code !== 0) this.faults.push(`${name} was told to end and ended with ${JSON.stringify(exit)}`);
    const ended = performance.now();
    for (;;) {
      const reason = await one.unready();
      const ms = performance.now() - ended;
      if (reason === undefined || ms > READY_MS) {
        this.slowestSeconds = Math.max(this.slowestSeconds, Math.round(ms / 100) / 10);
        this.replaced += 1;
        if (reason === undefined) return;
        this.#progress(`${name} of the ${to} version is not ready: ${reason}`);
        this.faults.push(`${name} of the ${to} version is not ready: ${reason}\n${one.log().slice(-4000)}`);
        return;
      }
      await sleep(100);
    }
  }
}
