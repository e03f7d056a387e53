import { QUERY_MAX_ROWS, startCluster } from "./cluster.ts";
import { keepLogs, stopAll } from "./ending.ts";
import { planFaults } from "./faults.ts";
import { type FaultTally, inflictAll, noFaults } from "./inflict.ts";
import { httpSender, takingTurns } from "./post.ts";
import type { Restarts } from "./process.ts";
import { type QueueVerdict, settledQueues } from "./queues.ts";
import { seededRandom } from "./random.ts";
import { ReadinessWatch } from "./readiness.ts";
import { nothingRead, type ReaderTally, runReader } from "./reader.ts";
import { awaitRecovery, type Recovery, retriedDeliveries } from "./recovery.ts";
import { settledVerdict } from "./settled.ts";
import { type ClientFigures, Traffic } from "./traffic.ts";
import type { Verdict } from "./verdict.ts";

export interface ClusterChaosOptions {
  readonly seconds: number;
  readonly faults: number;
  readonly seed: number;
  readonly connections: number;
}
export interface ClusterChaosReport extends ClientFigures {
  readonly seed: number;
  readonly seconds: number;
  readonly parts: readonly string[];
  /** Inflicted, by kind and by what they befell. */
  readonly inflicted: FaultTally["counts"];
  readonly inflictedTotal: number;
  readonly brokenConnections: number;
  readonly restarts: Readonly<Record<string, Restarts>>;
  /** The longest time in a row that each process was not ready while faults went on, in seconds. */
  readonly unreadySeconds: Readonly<Record<string, number>>;
  readonly slowestRecoverySeconds: number;
  readonly recoverySeconds: Recovery["seconds"];
  /** Answers of the query process while faults went on. */
  readonly read: Omit<ReaderTally, "faults">;
  readonly retriedDeliveries: number;
  readonly deadLetters: QueueVerdict["deadLetters"];
  readonly counted: Verdict["counted"];
  readonly faults: readonly string[];
}

/** Few enough that reading every row of every view at the end is quick. */
const EVENTS_MAX = 150_000;
const EVENTS_PER_SECOND_MAX = 300;
const RECOVERY_BOUND_SECONDS = 30;
const SETTLE_MS = 120_000;

/** Posts to a cluster on real parts in which one thing after the other fails, then compares as standalone's chaos does. */
export async function runClusterChaos(
  options: ClusterChaosOptions,
  progress: (line: string) => void,
): Promise<ClusterChaosReport> {
  const { seconds, faults, seed, connections } = options;
  await using parts = new AsyncDisposableStack();
  const cluster = await startCluster(parts);
  const versions = [cluster.broker.version, cluster.store.version];
  progress(`all ready on ${versions.join(" and ")}`);

  // One of its own for the plan: the clients draw from theirs at the pace of the machine.
  const plan = planFaults(faults, seconds, seededRandom(seed));
  const random = seededRandom(seed + 1);
  const senders = cluster.collectorUrls.map((url) => parts.use(httpSender(url, connections)));
  const eventsPerSecond = Math.min(EVENTS_PER_SECOND_MAX, EVENTS_MAX / seconds);
  const traffic = new Traffic({ send: takingTurns(senders), random, clients: connections, eventsPerSecond });
  const tally = noFaults();
  const watch = parts.use(new ReadinessWatch(cluster.processes.values()));
  const tell = (): void => {
    const unready = watch.unready.length === 0 ? "none" : watch.unready.join(", ");
    progress(`faults ${tally.total} of ${faults}, ${traffic.line()}, not ready: ${unready}`);
  };
  const telling = setInterval(tell, 5000);
  parts.defer(() => clearInterval(telling));

  const { queryUrl, processes } = cluster;
  const readTally = nothingRead();
  const stopReading = new AbortController();
  const reading = runReader(queryUrl, readTally, stopReading.signal);
  let recovery: Recovery;
  try {
    await inflictAll(plan, cluster, {
      tally,
      progress,
      onFault: () => random.chance(0.5) && traffic.surge(),
    });
    recovery = await awaitRecovery(cluster, RECOVERY_BOUND_SECONDS);
  } finally {
    stopReading.abort();
    await Promise.all([reading, traffic.finish(SETTLE_MS)]);
  }
  tell();
  const views = { queryUrl, pageRows: QUERY_MAX_ROWS };
  const verdict = await settledVerdict(traffic.ledger, { ...views, settleMs: SETTLE_MS, progress });
  const queues = await settledQueues(cluster.broker, SETTLE_MS);
  const unreadySeconds = watch.longestSeconds();
  await watch[Symbol.asyncDispose]();
  const retried = await retriedDeliveries(processes);
  const stopFaults = await stopAll(cluster);
  const all = Array.from(processes.values());
  const { faults: readFaults, ...read } = readTally;
  const report = {
    seed,
    seconds,
    parts: versions,
    inflicted: tally.counts,
    inflictedTotal: tally.total,
    brokenConnections: tally.connections,
    restarts: Object.fromEntries(all.map(({ name, restarts }) => [name, restarts])),
    unreadySeconds,
    slowestRecoverySeconds: recovery.slowestSeconds,
    recoverySeconds: recovery.seconds,
    ...traffic.figures(),
    read,
    retriedDeliveries: retried,
    deadLetters: queues.deadLetters,
    counted: verdict.counted,
    faults: [
      ...tally.failures,
      ...all.flatMap((one) => one.faults),
      ...recovery.faults,
      ...traffic.faults(),
      ...readFaults,
      ...verdict.wrong,
      ...verdict.missing,
      ...queues.faults,
      ...stopFaults,
    ],
  };
  if (all.some(({ endings }) => endings.length > 0) || report.faults.length > 0) {
    progress(`the logs of all processes are in ${await keepLogs(cluster)}`);
  }
  return report;
}
