import { type ConfirmChannel, connect } from "amqplib";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { rabbitmqBroker, type RabbitmqAt } from "../contract/rabbitmq.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { freePorts } from "../parts/ports.ts";
import { type Forged, forgedId, forgedMessages, FORGED_METRIC, GOOD_METRIC } from "./consumer-messages.ts";

export interface ConsumerFuzzOptions {
  readonly messages: number;
  readonly seed: number;
  readonly broker: RabbitmqAt;
  readonly tell: (text: string) => void;
}
export interface ConsumerFuzzResult {
  /** Events, messages and usernames that were sent. */
  readonly sent: { readonly good: number; readonly bad: number; readonly users: number };
  /** Events in the views, and usernames. */
  readonly counted: { readonly hourly: number; readonly days: number; readonly users: number };
  /** Of each queue, in turn. */
  readonly deadLetters: readonly number[];
  readonly reasonless: number;
  /** Events of a message that has the id of another's. */
  readonly forged: number;
  /** Processes that ended while they should have worked. */
  readonly ended: number;
  /** The most that a worker's process had in memory, in MiB. */
  readonly mostMib: number;
}

/** Longest wait for the workers to have dealt with all of it. */
const PATIENCE_MS = 600_000;
const all = { limit: 10_000, after: undefined };

/** Real workers on a real RabbitMQ, with a store of their own, among such messages. */
export async function fuzzConsumer(options: ConsumerFuzzOptions): Promise<ConsumerFuzzResult> {
  const { messages, seed, tell } = options;
  await using parts = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-fuzz-"));
  parts.defer(() => rm(dataDir, { recursive: true, force: true }));
  const world = parts.use(await rabbitmqBroker(options.broker));
  const broker = parts.use(await world.open());
  await broker.ready();
  const store = parts.use(await openEmbeddedStore(dataDir));
  await store.ready();
  const nowMs = Date.now();
  const forged = forgedMessages(seed, messages, nowMs);
  const good = forged.filter((one) => one.good).length;
  const sent = {
    good,
    bad: messages - good,
    users: new Set(forged.flatMap(({ username }) => username ?? [])).size,
  };

  const environment = {
    MILLRACE_BROKER_URL: world.brokerUrl,
    MILLRACE_BROKER_MANAGEMENT_URL: options.broker.managementUrl,
    MILLRACE_DATA_DIR: dataDir,
    // A line for each dead letter would be most of the work.
    MILLRACE_LOG_LEVEL: "error",
  };
  const ports = await freePorts(projectionNames.length);
  const workers = projectionNames.map((name, at) => {
    const adminPort = ports[at] ?? 0;
    const own = { ...environment, MILLRACE_ADMIN_PORT: String(adminPort) };
    return new SupervisedProcess({
      name,
      words: ["worker", name],
      environment: own,
      adminPort,
      workingDir: dataDir,
    });
  });
  for (const worker of workers) parts.defer(async () => void (await worker.stop()));

  const connection = await connect(world.brokerUrl);
  parts.defer(() => connection.close());
  const channel = await connection.createConfirmChannel();
  for (const [at, one] of forged.entries()) {
    publish(channel, one);
    if (at % 500 === 499) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  tell(`${messages} messages published, ${good} of them good\n`);

  const counted = async () => {
    const sum = (rows: readonly { readonly metric: string; readonly count: number }[], metric: string) =>
      rows.filter((row) => row.metric === metric).reduce((total, { count }) => total + count, 0);
    const hours = await store.hourlyTotals(all, nowMs + 1000);
    const period = { granularity: "month", from: undefined, to: undefined, page: all } as const;
    const days = await store.distinctNames(period);
    const users = (await store.accounts({ sinceMs: undefined, page: all })).length;
    const views = { hourly: sum(hours, GOOD_METRIC), days: sum(days, GOOD_METRIC), users };
    return { views, forged: sum(hours, FORGED_METRIC) + sum(days, FORGED_METRIC) };
  };
  const backlogs = () => Promise.all(projectionNames.map((queue) => broker.backlog(queue)));
  let mostMib = 0;
  const settled = async (letters: number): Promise<void> => {
    const deadline = performance.now() + PATIENCE_MS;
    for (let look = 0; performance.now() < deadline; look += 1) {
      for (const { pid } of workers) mostMib = Math.max(mostMib, await residentMib(pid));
      // On a machine with other work the management may take longer than is waited for it.
      const now = await backlogs().catch(() => undefined);
      if (now === undefined) continue;
      if (look % 10 === 0) tell(`ready ${now.map(({ ready }) => ready).join(", ")}\n`);
      if (now.every(({ ready, unsettled, deadLetters }) => ready + unsettled === 0 && deadLetters >= letters))
        return;
      await sleep(1000);
    }
    throw new Error(`not settled in time: ${JSON.stringify(await backlogs())}`);
  };
  await settled(sent.bad);
  // After the other's was applied, and before a bad one that tells when it has been dealt with.
  const first = forged.find((one) => one.envelopeId !== undefined);
  publish(channel, forgedId(first?.envelopeId ?? "", nowMs));
  publish(channel, { body: Buffer.from("the last"), properties: { contentType: "text/plain" }, good: false });
  await channel.waitForConfirms();
  await settled(sent.bad + 1);

  let reasonless = 0;
  for (const queue of projectionNames) {
    for await (const { reason } of broker.deadLetters.list(queue)) if (!/\S/.test(reason)) reasonless += 1;
  }
  const { views, forged: ofForged } = await counted();
  const result = {
    sent,
    counted: views,
    deadLetters: (await backlogs()).map(({ deadLetters }) => deadLetters - 1),
    reasonless,
    forged: ofForged,
    ended: workers.reduce((total, { restarts: { bySelf } }) => total + bySelf, 0),
    mostMib,
  };
  tell(`seed ${seed}: ${JSON.stringify(result)}\n`);
  return result;
}

function publish(channel: ConfirmChannel, { body, properties }: Forged): void {
  try {
    channel.publish("metric-collector", "", body, properties);
  } catch {
    // amqplib itself cannot encode some of the headers.
    channel.publish("metric-collector", "", body, { ...properties, headers: {} });
  }
}

async function residentMib(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
}
