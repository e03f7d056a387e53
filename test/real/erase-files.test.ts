import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { connect } from "amqplib";
import { systemClock } from "../../src/adapters/clock.ts";
import { openRabbitmqBroker } from "../../src/adapters/rabbitmq/broker.ts";
import { envelopeContentType } from "../../src/domain/envelope.ts";
import { formsOf } from "../../src/domain/erasure.ts";
import { rubbish } from "../commands/work-off.ts";
import { command } from "../parts/command.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { messagesByQueue } from "../fault/queues.ts";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";
import { accounts, distinctNames, hourlyPerUser } from "../flow/views.ts";
import {
  type BrokerPart,
  type Filed,
  type Part,
  type StorePart,
  startBrokerPart,
  startStorePart,
} from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";

/** Has one form alone, however often it is escaped, and occurs nowhere else. */
const CORE = "bqkxwvjgzphdmrtn";
const NAME = `Zoë "Zz" 100%/\\ü${CORE}`;
/** In what PostgreSQL compresses, a byte of its own follows each eight that are as they were: some eight of these are in a row. */
const WINDOW = 8;
const windows = Array.from(CORE.slice(WINDOW - 1), (_, at) => CORE.slice(at, at + WINDOW));
const hex = Buffer.from(CORE).toString("hex");
const needles = [...formsOf(NAME), ...windows, hex, hex.toUpperCase()].map((form) => Buffer.from(form));

const METRIC = "of-the-erased";
const REQUESTS = 100;
const SENDERS = 4;
const poll = { timeout: 180_000, interval: 300 };

/** Of a part's files, those that hold the name: its data, what it prints, and what it has deleted and keeps open. */
async function holding({ folder }: Filed, { pids }: Part): Promise<readonly string[]> {
  const found: string[] = [];
  const look = async (path: string, name: string): Promise<void> => {
    const bytes = await readFile(path).catch(gone);
    if (bytes !== undefined && needles.some((needle) => bytes.includes(needle))) found.push(name);
  };
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) await look(path, relative(folder, path));
  }
  for (const pid of pids) {
    for (const number of (await readdir(`/proc/${pid}/fd`).catch(gone)) ?? []) {
      const path = `/proc/${pid}/fd/${number}`;
      const file = await stat(path).catch(gone);
      if (file?.isFile() && file.nlink === 0) await look(path, `open in process ${pid}, file ${number}`);
    }
  }
  return found.toSorted();
}
/** A server deletes files while they are looked for. */
function gone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ESRCH") throw error;
}

/** What the docs have the reader type, of the block with these words. */
async function recipeWith(words: string): Promise<string> {
  const text = await readFile(join(import.meta.dirname, "../../docs/erasing.md"), "utf8");
  const blocks = Array.from(text.matchAll(/^```console\n(.*?)^```$/gms), ([, block = ""]) => block);
  const [block, ...others] = blocks.filter((one) => one.includes(words));
  if (block === undefined || others.length > 0) throw new Error(`not one block of the docs has ${words}`);
  return block.replaceAll(/^\$ /gm, "");
}

describe.skipIf(inject("ownPartsMissing") !== undefined)("the files of RabbitMQ and PostgreSQL", () => {
  const opened = new AsyncDisposableStack();
  const running: SupervisedProcess[] = [];
  let broker: BrokerPart;
  let store: StorePart;
  let environment: Readonly<Record<string, string>>;
  let workingDir: string;
  let collectorUrl: string;
  let queryUrl: string;

  async function start(words: readonly string[]): Promise<SupervisedProcess> {
    const [adminPort = 0] = await freePorts(1);
    const own = { ...environment, MILLRACE_ADMIN_PORT: String(adminPort) };
    const one = new SupervisedProcess({
      name: words.join(" "),
      words,
      environment: own,
      adminPort,
      workingDir,
    });
    running.push(one);
    await vi.waitFor(async () => {
      const reason = await one.unready();
      if (reason !== undefined) throw new Error(reason);
    }, poll);
    return one;
  }
  const stop = async (): Promise<void> =>
    void (await Promise.all(running.splice(0).map((one) => one.stop())));
  // Two that make accounts, so that they are at odds about the same one.
  const startWorkers = () =>
    Promise.all(
      ["accountName", "accountName", "distinctName", "hourlyLog"].map((name) => start(["worker", name])),
    );
  const startAll = () => Promise.all([start(["collector"]), start(["query"]), startWorkers()]);

  beforeAll(async () => {
    opened.defer(stop);
    broker = opened.use(await startBrokerPart());
    store = opened.use(await startStorePart());
    const [collector = 0, query = 0] = await freePorts(2);
    environment = {
      MILLRACE_BROKER_URL: broker.url,
      MILLRACE_BROKER_MANAGEMENT_URL: broker.managementUrl,
      MILLRACE_STORE_URL: store.url,
      MILLRACE_STORE_TIMEOUT_MS: "30000",
      MILLRACE_COLLECTOR_PORT: String(collector),
      MILLRACE_QUERY_PORT: String(query),
    };
    collectorUrl = `http://127.0.0.1:${collector}`;
    queryUrl = `http://127.0.0.1:${query}`;
    workingDir = await mkdtemp(join(tmpdir(), "millrace-erase-files-"));
    opened.defer(() => rm(workingDir, { recursive: true, force: true }));
  }, 600_000);
  afterAll(() => opened.disposeAsync(), 120_000);

  async function post(events: readonly unknown[]): Promise<void> {
    for (;;) {
      const answer = await fetch(`${collectorUrl}/events`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(events),
      });
      await answer.text();
      if (answer.status === 503) continue;
      expect(answer.status).toBe(200);
      return;
    }
  }
  /** Short requests and some long ones, whose documents PostgreSQL compresses or puts into a table of their own. */
  async function postNumber(number: number): Promise<void> {
    const rows = number % 10 === 0 ? 200 : 1;
    const mine = Array.from({ length: rows }, (_, row) => ({
      username: NAME,
      metric: METRIC,
      count: row,
      id: `of ${NAME} ${number} ${row}`,
    }));
    await post([
      ...mine,
      { username: `user ${number % 50}`, metric: "beside", count: 1, id: `beside ${number}` },
    ]);
  }
  async function sendToRetry(queue: string, body: string): Promise<void> {
    const model = await connect(broker.url);
    try {
      const channel = await model.createConfirmChannel();
      channel.sendToQueue(queue, Buffer.from(body), { persistent: true, contentType: envelopeContentType });
      await channel.waitForConfirms();
    } finally {
      await model.close();
    }
  }
  async function views() {
    const users = await Array.fromAsync(accounts(queryUrl));
    const hourly = await Array.fromAsync(hourlyPerUser(queryUrl));
    return {
      accounts: users.filter(({ username }) => username !== NAME),
      beside: hourly.filter(({ metric }) => metric === "beside").reduce((sum, { count }) => sum + count, 0),
      days: await distinctNames(queryUrl),
      ofName: hourly.filter(({ username }) => username === NAME).reduce((sum, { count }) => sum + count, 0),
    };
  }
  const waiting = async () =>
    Array.from(await messagesByQueue(broker)).filter(([, messages]) => messages > 0);

  test("are free of the name after what docs/erasing.md says", { timeout: 1_500_000 }, async ({ skip }) => {
    const { files: brokerFiles } = broker;
    const { files: storeFiles } = store;
    if (brokerFiles === undefined || storeFiles === undefined) {
      skip("the parts are in containers");
      return;
    }
    const ofBroker = () => holding(brokerFiles, broker);
    const ofStore = () => holding(storeFiles, store);

    await startAll();
    const settings = {
      brokerUrl: broker.url,
      brokerManagementUrl: broker.managementUrl,
      confirmTimeoutMs: 30_000,
    };
    await using client = openRabbitmqBroker(settings, systemClock, () => {});
    await client.publish(rubbish("application/json", `{"username": ${JSON.stringify(NAME)}, oops`));
    const send = async (from: number, to: number): Promise<void> => {
      let next = from;
      const sender = async () => {
        while (next < to) await postNumber(next++);
      };
      await Promise.all(Array.from({ length: SENDERS }, sender));
    };
    await send(0, REQUESTS / 2);
    // So that it is in segments of the queues, and not only in the log of all.
    await brokerFiles.shell("rabbitmqctl eval 'ra_log_wal:force_roll_over(ra_log_wal).'");
    await send(REQUESTS / 2, REQUESTS);
    await expect.poll(async () => (await views()).beside, poll).toBe(REQUESTS);
    // As the server does by itself once enough has changed: common values are in its statistics then.
    await storeFiles.shell("psql --command 'ANALYZE' --command 'CHECKPOINT'");
    // Waits for another try, for a minute.
    const later = { schema: "millrace.envelope/1", id: "later", users: [NAME] };
    await sendToRetry("hourlyLog.retry.60s", JSON.stringify(later));
    await expect.poll(async () => new Map(await waiting()).get("hourlyLog.retry.60s"), poll).toBe(1);
    const { ofName, ...before } = await views();
    expect(ofName).toBeGreaterThan(0);
    await stop();

    const words = ["erase", NAME, "--yes", "--json"];
    const report = await command(process.execPath, [millraceBin, ...words], {
      environment: childEnvironment(environment),
    });
    expect(JSON.parse(report)).toMatchObject({ complete: true, holding: [] });
    expect(await waiting()).toEqual([]);
    await client[Symbol.asyncDispose]();
    const left = { broker: await ofBroker(), store: await ofStore() };
    console.info({ report, left });
    // What is to be got rid of was there: as the servers keep it, in logs, segments and tables.
    for (const kept of [/\.wal$/, /\.segment$/])
      expect(left.broker).toContainEqual(expect.stringMatching(kept));
    expect(left.store).toContainEqual(expect.stringMatching(/^pg\/base\//));
    expect(left.store).toContainEqual(expect.stringMatching(/^pg\/pg_wal\//));

    await brokerFiles.shell(await recipeWith("rabbitmqctl delete_queue"));
    await storeFiles.shell(await recipeWith("VACUUM FULL"));
    // RabbitMQ takes away the files of a queue just after it has said that the queue is deleted.
    await expect.poll(ofBroker, { timeout: 30_000, interval: 1000 }).toEqual([]);
    await expect.poll(ofStore, { timeout: 30_000, interval: 1000 }).toEqual([]);

    await startAll();
    expect(await views()).toEqual({ ...before, ofName: 0 });
    await post([{ username: "user 1", metric: "beside", count: 1 }]);
    await expect.poll(async () => (await views()).beside, poll).toBe(REQUESTS + 1);
  });
});
