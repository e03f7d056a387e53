import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChannelModel, connect } from "amqplib";
import { type ProjectionName, projectionNames } from "../../src/domain/projection.ts";
import { rabbitmqBroker } from "../contract/rabbitmq.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { SupervisedProcess } from "../fault/process.ts";
import type { BrokerPart, StorePart } from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";
import { cpuSeconds } from "./cpu.ts";

export interface RealParts {
  readonly broker: Pick<BrokerPart, "url" | "managementUrl" | "pids">;
  readonly store: Pick<StorePart, "url" | "pids">;
}
/** Since the processes started. */
export interface Counts {
  /** Events that were accepted, and messages that they were published in. */
  readonly accepted: number;
  readonly published: number;
  /** Events that the workers have applied. */
  readonly applied: Readonly<Record<ProjectionName, number>>;
}

const roles = [
  // As compose.yaml has it: hundreds of waiting requests are young objects.
  {
    name: "collector",
    words: ["collector"],
    nodeFlags: ["--max-semi-space-size=16", "--max-old-space-size=96"],
  },
  ...projectionNames.map((name) => ({ name, words: ["worker", name] })),
  { name: "query", words: ["query"] },
  { name: "sweeper", words: ["sweeper"] },
];
const READY_MS = 300_000;
/** A process with much to do, on a machine with much to do, may be slow to tell its metrics. */
const ANSWER_MS = 60_000;
const POLL_MS = 200;
/** A worker that has applied nothing for so long has nothing in hand. */
const IDLE_MS = 1500;
/** Workers that get nothing done for so long, though there is something to do, will not any more. */
const STUCK_MS = 60_000;

/** Every role as a process of its own, on a virtual host and a database that nobody else uses. */
export class System implements AsyncDisposable {
  readonly collectorUrl: string;
  readonly queryUrl: string;
  /** Of the virtual host. */
  readonly brokerUrl: string;
  /** Where each process has its metrics, by its role. */
  readonly admin: ReadonlyMap<string, string>;
  readonly #parts: RealParts;
  readonly #processes: ReadonlyMap<string, SupervisedProcess>;
  readonly #model: ChannelModel;
  readonly #opened: AsyncDisposableStack;

  /** Resolves once all are ready. Disposal stops them and deletes what they have written. Every process has the variables. */
  static async start(parts: RealParts, variables: Readonly<Record<string, string>> = {}): Promise<System> {
    const { broker, store } = parts;
    await using opened = new AsyncDisposableStack();
    const virtualHost = opened.use(await rabbitmqBroker(broker));
    const database = opened.use(await mongodbStore(store.url)());
    const workingDir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
    opened.defer(() => rm(workingDir, { recursive: true, force: true }));
    const model = await connect(virtualHost.brokerUrl);
    model.on("error", () => {});
    opened.defer(() => model.close());

    const [collectorPort = 0, queryPort = 0, ...adminPorts] = await freePorts(2 + roles.length);
    const processes = roles.map((role, index) => {
      const adminPort = adminPorts[index] ?? 0;
      const environment = {
        MILLRACE_ADMIN_PORT: String(adminPort),
        MILLRACE_COLLECTOR_PORT: String(collectorPort),
        MILLRACE_QUERY_PORT: String(queryPort),
        MILLRACE_BROKER_URL: virtualHost.brokerUrl,
        MILLRACE_BROKER_MANAGEMENT_URL: broker.managementUrl,
        MILLRACE_STORE_URL: database.url,
        ...variables,
      };
      return new SupervisedProcess({ ...role, environment, adminPort, workingDir });
    });
    opened.defer(async () => void (await Promise.all(processes.map((one) => one.stop()))));
    await Promise.all(processes.map(untilReady));
    const urls = {
      collectorUrl: `http://127.0.0.1:${collectorPort}`,
      queryUrl: `http://127.0.0.1:${queryPort}`,
      brokerUrl: virtualHost.brokerUrl,
    };
    const admin = new Map(roles.map(({ name }, index) => [name, `127.0.0.1:${adminPorts[index] ?? 0}`]));
    return new System({ ...parts, ...urls, admin }, processes, model, opened.move());
  }

  private constructor(
    at: RealParts & Pick<System, "collectorUrl" | "queryUrl" | "brokerUrl" | "admin">,
    processes: readonly SupervisedProcess[],
    model: ChannelModel,
    opened: AsyncDisposableStack,
  ) {
    this.collectorUrl = at.collectorUrl;
    this.queryUrl = at.queryUrl;
    this.brokerUrl = at.brokerUrl;
    this.admin = at.admin;
    this.#parts = at;
    this.#processes = new Map(processes.map((one) => [one.name, one]));
    this.#model = model;
    this.#opened = opened;
  }

  /** As the processes' metrics tell. Rejects when one of them has ended since the start: its counts are lost. */
  async counts(): Promise<Counts> {
    const [collector = "", ...workers] = await Promise.all(
      ["collector", ...projectionNames].map((name) => this.#metrics(this.#process(name))),
    );
    const applied = projectionNames.map((queue, index) => [
      queue,
      sampleOf(workers[index] ?? "", `millrace_events_applied_total{queue="${queue}"}`),
    ]);
    return {
      accepted: sampleOf(collector, 'millrace_events_total{outcome="accepted"}'),
      published: sampleOf(collector, "millrace_publish_duration_seconds_count"),
      applied: Object.fromEntries(applied) as Counts["applied"],
    };
  }

  /** Time on a core so far, in seconds, by process; nothing of a part that this run has not started. */
  cpu(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(this.pids()).map(([name, pids]) => [name, cpuSeconds(pids)]));
  }

  /** Of those that run now, by process; none of a part that this run has not started. */
  pids(): Readonly<Record<string, readonly number[]>> {
    const { broker, store } = this.#parts;
    const own = Array.from(this.#processes, ([name, { pid }]) => [name, pid === undefined ? [] : [pid]]);
    return { broker: broker.pids, store: store.pids, ...Object.fromEntries(own) };
  }

  /** Resolves once the workers have applied all that was accepted. Not for one that was purged: it never will. */
  async applied(): Promise<void> {
    const channel = await this.#model.createChannel();
    // Asking the processes costs them and the broker more than asking the queues.
    await untilNone("messages wait in the queues", async () => {
      const queues = await Promise.all(projectionNames.map((queue) => channel.checkQueue(queue)));
      return queues.reduce((sum, { messageCount }) => sum + messageCount, 0);
    });
    await channel.close();
    await untilNone("events are not applied", async () => backlogOf(nothing, await this.counts()));
  }

  /** Deletes what waits in the queues. Resolves once the workers are done with what they had in hand. */
  async purge(): Promise<void> {
    const channel = await this.#model.createChannel();
    for (const queue of projectionNames) await channel.purgeQueue(queue);
    await channel.close();
    for (let last = ""; ; ) {
      const { applied } = await this.counts();
      const seen = JSON.stringify(applied);
      if (seen === last) return;
      last = seen;
      await sleep(IDLE_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
  }

  #process(name: string): SupervisedProcess {
    const one = this.#processes.get(name);
    if (one === undefined) throw new Error(`there is no process ${name}`);
    return one;
  }

  async #metrics(one: SupervisedProcess): Promise<string> {
    const deadline = Date.now() + ANSWER_MS;
    for (;;) {
      const text = await one.metrics();
      const { killed, bySelf, portTaken } = one.restarts;
      const ended = killed + bySelf + portTaken + one.faults.length > 0;
      if (text !== "" && !ended) return text;
      if (ended || Date.now() > deadline) {
        const what = ended ? "has ended" : "does not tell its metrics";
        throw new Error(`${one.name} ${what}; the end of its log:\n${one.log().slice(-4096)}`);
      }
    }
  }
}

const nothing: Counts = {
  accepted: 0,
  published: 0,
  applied: { accountName: 0, distinctName: 0, hourlyLog: 0 },
};

/** What was accepted between the two and is still to be applied, by the worker that has the most to do, in events. */
export function backlogOf(before: Counts, after: Counts): number {
  const applied = projectionNames.map((queue) => after.applied[queue] - before.applied[queue]);
  return after.accepted - before.accepted - Math.min(...applied);
}

/** Resolves once there are none left. Rejects when they do not become fewer for a minute. */
async function untilNone(what: string, count: () => Promise<number>): Promise<void> {
  let lowest = { left: Number.POSITIVE_INFINITY, atMs: performance.now() };
  for (;;) {
    const left = await count();
    if (left <= 0) return;
    if (left < lowest.left) lowest = { left, atMs: performance.now() };
    if (performance.now() - lowest.atMs > STUCK_MS) throw new Error(`the workers are stuck: ${left} ${what}`);
    await sleep(POLL_MS);
  }
}

async function untilReady(one: SupervisedProcess): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const reason = await one.unready();
    if (reason === undefined) return;
    if (Date.now() > deadline) {
      throw new Error(`${one.name} is not ready: ${reason}; the end of its log:\n${one.log().slice(-4096)}`);
    }
    await sleep(100);
  }
}

/** The value of one series of a text in Prometheus's format. */
function sampleOf(metrics: string, series: string): number {
  const line = metrics.split("\n").find((one) => one.startsWith(`${series} `));
  if (line === undefined) throw new Error(`no ${series} in the metrics`);
  return Number(line.slice(series.length + 1));
}
