import { connect } from "amqplib";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, inject, test } from "vitest";
import { projectionNames } from "../../src/domain/projection.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { rabbitmqBroker } from "../contract/rabbitmq.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { seededRandom } from "../fault/random.ts";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";
import { freePorts } from "../parts/ports.ts";
import { type Kind, kindsOfRubbish } from "./rubbish.ts";

const brokerAt = inject("broker");
const storeAt = inject("store");

const GOOD = 100_000;
const RUBBISH_EACH = 50;
/** Between which of the good ones the rubbish is strewn: one in eleven there. */
const RUBBISH_FROM = 45_000;
const RUBBISH_TO = 55_000;
const USERS = 500;
const METRICS = ["reads", "writes", "scans"];
const all = { limit: 10_000, after: undefined };
const allPeriods = { granularity: "month", from: undefined, to: undefined, page: all } as const;

test.skipIf(brokerAt === undefined || storeAt === undefined)(
  "a thousand rubbish messages among a hundred thousand good ones hold up none of them, and are mended and replayed",
  async () => {
    await using world = await rabbitmqBroker(brokerAt ?? { url: "", managementUrl: "" });
    await using broker = await world.open();
    await broker.ready();
    await using storeWorld = await mongodbStore(storeAt?.url ?? "")();
    await using store = await storeWorld.open();
    await store.ready();
    await using parts = new AsyncDisposableStack();
    const workingDir = await mkdtemp(join(tmpdir(), "millrace-poison-"));
    parts.defer(() => rm(workingDir, { recursive: true, force: true }));
    const environment = {
      MILLRACE_BROKER_URL: world.brokerUrl,
      MILLRACE_BROKER_MANAGEMENT_URL: brokerAt?.managementUrl ?? "",
      MILLRACE_STORE_URL: storeWorld.url,
    };

    const nowMs = Date.now();
    const kinds = kindsOfRubbish(nowMs);
    await publishAll(world.brokerUrl, kinds, nowMs);
    const ports = await freePorts(projectionNames.length);
    const workers = projectionNames.map((name, i) => {
      const adminPort = ports[i] ?? 0;
      const words = ["worker", name];
      const own = { ...environment, MILLRACE_ADMIN_PORT: String(adminPort) };
      return new SupervisedProcess({ name, words, environment: own, adminPort, workingDir });
    });
    for (const worker of workers) parts.defer(async () => void (await worker.stop()));

    /** Events in the three views. The hourly log is asked at the instant of the events. */
    const counted = async () => {
      const sum = (rows: readonly { readonly count: number }[]) =>
        rows.reduce((total, row) => total + row.count, 0);
      const hourly = sum(await store.hourlyTotals(all, nowMs + 1000));
      const months = sum(await store.distinctNames(allPeriods));
      const accounts = (await store.accounts({ sinceMs: undefined, page: all })).length;
      return { hourly, months, accounts };
    };
    const backlogs = () => Promise.all(projectionNames.map((queue) => broker.backlog(queue)));
    const settled = (deadLetters: number) =>
      projectionNames.map(() => ({ ready: 0, unsettled: 0, deadLetters }));

    const samples: Sample[] = [];
    const sampled = async () => {
      const now = await counted();
      samples.push({ atMs: performance.now(), counted: now.hourly });
      return now;
    };
    await expect.poll(sampled, { timeout: 600_000, interval: 500 }).toEqual({
      hourly: GOOD,
      months: GOOD,
      accounts: USERS,
    });
    tellRates(samples);
    const rubbish = kinds.length * RUBBISH_EACH;
    await expect.poll(backlogs, { timeout: 60_000, interval: 1000 }).toEqual(settled(rubbish));
    for (const queue of projectionNames) {
      const letters = await Array.fromAsync(broker.deadLetters.list(queue));
      expect(letters).toHaveLength(rubbish);
      expect(new Set(letters.map((letter) => letter.id)).size).toBe(rubbish);
      for (const { name, sent, reason } of kinds) {
        const alike = letters.filter(
          ({ message }) => message.contentType === (sent.contentType ?? "") && sent.body.equals(message.body),
        );
        expect({ name, letters: alike.length }).toEqual({ name, letters: RUBBISH_EACH });
        for (const letter of alike) expect(letter.reason).toMatch(reason);
      }
    }

    const exported = await millrace(["dead-letters", "export"], environment, workingDir);
    expect(exported.split("\n").filter((line) => line !== "")).toHaveLength(rubbish * projectionNames.length);
    const mended = mendedLines(exported, kinds);
    const mendable = kinds.filter((kind) => kind.mended !== undefined).length * RUBBISH_EACH;
    expect(mended).toHaveLength(mendable * projectionNames.length);
    const file = join(workingDir, "mended.ndjson");
    await writeLines(file, mended);
    await millrace(["dead-letters", "replay", "--repaired", file, "--yes"], environment, workingDir);
    await expect.poll(counted, { timeout: 60_000, interval: 500 }).toEqual({
      hourly: GOOD + mendable,
      months: GOOD + mendable,
      accounts: USERS + 1,
    });
    await expect.poll(backlogs, { timeout: 60_000, interval: 1000 }).toEqual(settled(rubbish - mendable));
  },
  900_000,
);

/** Straight to the exchange, as another program does: one event a message, no ids, rubbish strewn in at random. */
async function publishAll(brokerUrl: string, kinds: readonly Kind[], nowMs: number): Promise<void> {
  const random = seededRandom(20_261_124);
  const rubbish = kinds.flatMap((kind) => Array.from({ length: RUBBISH_EACH }, () => kind.sent));
  const connection = await connect(brokerUrl);
  const channel = await connection.createConfirmChannel();
  let sent = 0;
  for (let i = 0; i < GOOD; i += 1) {
    while (rubbish.length > 0 && random.chance(rubbish.length / (GOOD - i))) {
      const [one] = rubbish.splice(random.integer(0, rubbish.length - 1), 1);
      if (one === undefined) break;
      const type = one.contentType === undefined ? {} : { contentType: one.contentType };
      channel.publish("metric-collector", "", one.body, { ...type, persistent: true });
    }
    const event = {
      username: `user ${i % USERS}`,
      metric: METRICS[i % METRICS.length],
      count: i % 100,
      timestamp: nowMs,
    };
    const body = Buffer.from(JSON.stringify(event));
    channel.publish("metric-collector", "", body, { contentType: "application/json", persistent: true });
    sent += 1;
    if (sent % 1000 === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  await connection.close();
  expect(rubbish).toEqual([]);
}

/** How many of the good ones were in the store at an instant. */
interface Sample {
  readonly atMs: number;
  readonly counted: number;
}

/** For the reader of the output: how fast the hourly log's worker was before, amid and after the rubbish. */
function tellRates(samples: readonly Sample[]): void {
  const firstFrom = (counted: number) => samples.find((sample) => sample.counted >= counted);
  const rate = (from: number, to: number): string => {
    const [begin, end] = [firstFrom(from), firstFrom(to)];
    if (begin === undefined || end === undefined || begin === end) return "unknown";
    return `${Math.round(((end.counted - begin.counted) / (end.atMs - begin.atMs)) * 1000)}/s`;
  };
  const [before, amid, after] = [
    rate(1, RUBBISH_FROM),
    rate(RUBBISH_FROM, RUBBISH_TO),
    rate(RUBBISH_TO, GOOD),
  ];
  process.stderr.write(
    `poison: good messages applied before the rubbish ${before}, amid it ${amid}, after it ${after}\n`,
  );
}

/** The lines of those that can be mended, with the body and the type that a person would give them. */
function mendedLines(exported: string, kinds: readonly Kind[]): readonly string[] {
  return exported.split("\n").flatMap((line) => {
    if (line === "") return [];
    const letter = JSON.parse(line) as { readonly contentType: string; readonly body?: string };
    const kind = kinds.find(
      ({ sent }) => (sent.contentType ?? "") === letter.contentType && sent.body.toString() === letter.body,
    );
    return kind?.mended === undefined ? [] : [JSON.stringify({ ...letter, ...kind.mended })];
  });
}

const writeLines = (file: string, lines: readonly string[]) => writeFile(file, `${lines.join("\n")}\n`);

/** Runs a command to its end. Resolves to what it wrote; fails where its code is not 0. */
async function millrace(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  workingDir: string,
): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [millraceBin, ...words], {
    cwd: workingDir,
    env: childEnvironment(environment),
    maxBuffer: 256 * 1024 * 1024,
  });
  return stdout;
}
