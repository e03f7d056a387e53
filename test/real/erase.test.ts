import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openRabbitmqBroker } from "../../src/adapters/rabbitmq/broker.ts";
import { formsOf } from "../../src/domain/erasure.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { rubbish } from "../commands/work-off.ts";
import { httpSender } from "../fault/post.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { seededRandom } from "../fault/random.ts";
import { settledVerdict } from "../fault/settled.ts";
import { Traffic } from "../fault/traffic.ts";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";
import { accounts, distinctNames, hourlyPerUser } from "../flow/views.ts";
import { type BrokerPart, startBrokerPart, startStorePart } from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";

const CLIENTS = 8;
const EVENTS_PER_SECOND = 50;
const SETTLE_MS = 180_000;
const NAME = 'Zoë "Zz" 100%/\\überall';
/** A part of the name that has one form alone, however often it is escaped. */
const CORE = "berall";
const METRIC = "of-the-erased";
const BOB = { username: "bob", metric: "of-bob", count: 7, id: `between ${NAME} and bob` };
const poll = { timeout: SETTLE_MS, interval: 300 };

const tells = (said: string): boolean => [CORE, ...formsOf(NAME)].some((form) => said.includes(form));

describe.skipIf(inject("ownPartsMissing") !== undefined)(
  "a user of an install on RabbitMQ and MongoDB",
  () => {
    const opened = new AsyncDisposableStack();
    let broker: BrokerPart;
    let environment: Readonly<Record<string, string>>;
    let workingDir: string;
    let collectorUrl: string;
    let queryUrl: string;
    const logs: (() => string)[] = [];

    async function start(words: readonly string[], own: Readonly<Record<string, string>> = {}) {
      const [adminPort = 0] = await freePorts(1);
      const one = new SupervisedProcess({
        name: words.join(" "),
        words,
        environment: {
          ...environment,
          ...own,
          MILLRACE_ADMIN_PORT: String(adminPort),
          MILLRACE_LOG_LEVEL: "debug",
        },
        adminPort,
        workingDir,
      });
      opened.defer(async () => void (await one.stop()));
      logs.push(() => one.log());
      await vi.waitFor(async () => {
        const reason = await one.unready();
        if (reason !== undefined) throw new Error(reason);
      }, poll);
      return one;
    }
    const startWorkers = () => Promise.all(projectionNames.map((name) => start(["worker", name])));

    beforeAll(async () => {
      broker = opened.use(await startBrokerPart());
      const store = opened.use(await startStorePart());
      const storeUrl = new URL(store.url);
      storeUrl.pathname = "/erase";
      environment = {
        MILLRACE_BROKER_URL: broker.url,
        MILLRACE_BROKER_MANAGEMENT_URL: broker.managementUrl,
        MILLRACE_STORE_URL: storeUrl.href,
        MILLRACE_STORE_TIMEOUT_MS: "30000",
      };
      workingDir = await mkdtemp(join(tmpdir(), "millrace-erase-"));
      opened.defer(() => rm(workingDir, { recursive: true, force: true }));
      const [collector = 0, query = 0] = await freePorts(2);
      collectorUrl = `http://127.0.0.1:${collector}`;
      queryUrl = `http://127.0.0.1:${query}`;
      await start(["collector"], { MILLRACE_COLLECTOR_PORT: String(collector) });
      await start(["query"], { MILLRACE_QUERY_PORT: String(query) });
      await start(["sweeper"], { MILLRACE_SWEEP_INTERVAL_MS: "1000" });
    }, 600_000);
    afterAll(() => opened.disposeAsync(), 120_000);

    const post = async (body: unknown): Promise<number> => {
      for (;;) {
        const answer = await fetch(`${collectorUrl}/${Array.isArray(body) ? "events" : "event"}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        });
        await answer.text();
        if (answer.status !== 503) return answer.status;
      }
    };
    /** Posts events of the user, two and one of bob's in a request, until told to stop. Resolves to how many of the user's. */
    async function postName(stop: AbortSignal): Promise<number> {
      let posted = 0;
      for (; !stop.aborted; posted += 2) {
        const mine = { username: NAME, metric: METRIC, count: posted };
        const events = [
          { ...mine, id: `of ${NAME} ${posted}` },
          { username: "bob", metric: "beside", count: 1 },
          mine,
        ];
        expect(await post(events)).toBe(200);
        await sleep(20);
      }
      return posted;
    }
    const rowsOfName = async () => ({
      accounts: (await Array.fromAsync(accounts(queryUrl))).filter(({ username }) => username === NAME)
        .length,
      events: (await Array.fromAsync(hourlyPerUser(queryUrl)))
        .filter(({ username }) => username === NAME)
        .reduce((sum, { count }) => sum + count, 0),
    });
    const countOf = async (metric: string): Promise<number> =>
      (await distinctNames(queryUrl))
        .filter((row) => row.metric === metric)
        .reduce((sum, { count }) => sum + count, 0);
    const erase = () => {
      const child = spawn(process.execPath, [millraceBin, "erase", NAME, "--yes", "--json"], {
        env: childEnvironment(environment),
        cwd: workingDir,
        stdio: ["ignore", "pipe", "pipe"],
      });
      const said = Promise.all([text(child.stdout), text(child.stderr)]);
      const ended = once(child, "exit").then(async ([code]) => {
        const [stdout, stderr] = await said;
        return { code: code as number | null, stdout, stderr };
      });
      return { child, ended };
    };

    test("is erased while the collector goes on, the command killed again and again, and all others are counted exactly", {
      timeout: 1_200_000,
    }, async () => {
      let workers = await startWorkers();
      using send = httpSender(collectorUrl, CLIENTS);
      const random = seededRandom(Date.now() % 2 ** 32);
      const traffic = new Traffic({ send, random, clients: CLIENTS, eventsPerSecond: EVENTS_PER_SECOND });
      const stop = new AbortController();
      const posting = postName(stop.signal);
      posting.catch(() => {});
      expect(await post(BOB)).toBe(200);
      const settings = {
        brokerUrl: broker.url,
        brokerManagementUrl: broker.managementUrl,
        confirmTimeoutMs: 30_000,
      };
      await using client = openRabbitmqBroker(settings, systemClock, () => {});
      for (const body of [
        JSON.stringify({ username: NAME, metric: METRIC, count: "many" }),
        `{"username": ${JSON.stringify(NAME)}, oops`,
      ])
        await client.publish(rubbish("application/json", body));
      await client.publish(rubbish("text/csv", "bob,beside,1"));
      await expect.poll(async () => (await client.backlog("hourlyLog")).deadLetters, poll).toBe(3);
      await expect.poll(async () => (await rowsOfName()).events, poll).toBeGreaterThan(10);

      // One as a crash ends it, with what it has in hand.
      await workers[0]?.kill();
      await Promise.all(workers.map((worker) => worker.stop()));
      await sleep(2000);
      stop.abort();
      const posted = await posting;
      const waiting = traffic.ledger.acknowledged;
      for (let kills = 0; kills < 3; kills += 1) {
        const killed = erase();
        await sleep(random.integer(500, 3000));
        killed.child.kill("SIGKILL");
        expect((await killed.ended).code).toBeNull();
      }

      const { code, stdout, stderr } = await erase().ended;
      expect({
        code,
        stderr: stderr
          .split("\n")
          .filter((line) => !line.includes('"audit":true'))
          .join(""),
      }).toEqual({
        code: 0,
        stderr: "",
      });
      const report = JSON.parse(stdout);
      expect(report).toMatchObject({ complete: true, inHand: 0, holding: [] });
      expect(tells(stdout + stderr)).toBe(false);
      // There was load all the while.
      expect(traffic.ledger.acknowledged).toBeGreaterThan(waiting);
      expect(await rowsOfName()).toEqual({ accounts: 0, events: 0 });

      workers = await startWorkers();
      // What the id of bob's event has been kept for: it is counted once.
      expect(await post(BOB)).toBe(200);
      await traffic.finish(SETTLE_MS);
      expect(traffic.faults()).toEqual([]);
      const verdict = await settledVerdict(traffic.ledger, {
        queryUrl,
        settleMs: SETTLE_MS,
        progress: () => {},
      });
      const others = (fault: string) =>
        ![METRIC, "of-bob", "beside", '"bob"'].some((own) => fault.includes(own));
      expect({ missing: verdict.missing, wrong: verdict.wrong.filter(others) }).toEqual({
        missing: [],
        wrong: [],
      });
      expect(await countOf("of-bob")).toBe(1);
      expect(await countOf("beside")).toBe(posted / 2);
      expect(await rowsOfName()).toEqual({ accounts: 0, events: 0 });
      const letters = await Array.fromAsync(client.deadLetters.list("hourlyLog"));
      expect(letters.map(({ message }) => Buffer.from(message.body).toString())).toEqual(["bob,beside,1"]);
      expect(logs.map((log) => tells(log()))).toEqual(logs.map(() => false));
      console.info({ ...traffic.figures(), postedOfTheErased: posted, ...report });
    });
  },
);
