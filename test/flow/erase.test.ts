import { randomUUIDv7 } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { formsOf } from "../../src/domain/erasure.ts";
import { millraceAudited } from "../commands/millrace.ts";
import { openBroker, rubbish } from "../commands/work-off.ts";
import { httpSender } from "../fault/post.ts";
import { seededRandom } from "../fault/random.ts";
import { settledVerdict } from "../fault/settled.ts";
import { Traffic } from "../fault/traffic.ts";
import { childEnvironment, millraceBin, type Standalone, startChild, startStandalone } from "./standalone.ts";
import { accounts, distinctNames, hourlyPerUser } from "./views.ts";

const CLIENTS = 16;
const EVENTS_PER_SECOND = 300;
const SETTLE_MS = 120_000;
const NAME_CLIENTS = 4;
const POSTED_MEANWHILE_MS = 3000;
const START_MS = 120_000;
/** Each of its forms is another: as it is, in JSON, in JSON of ASCII alone, in a URL. */
const NAME = 'Zoë "Zz" 100%/\\überall';
const LONG = `${NAME} `.repeat(40);
const METRIC = "of-the-erased";
const BOB = { username: "bob", metric: "of-bob", count: 7, id: `between ${NAME} and bob` };

async function post({ collectorUrl }: Standalone, body: unknown, type = "application/json"): Promise<number> {
  for (;;) {
    const answer = await fetch(`${collectorUrl}/${Array.isArray(body) ? "events" : "event"}`, {
      method: "POST",
      headers: { "content-type": type },
      body: JSON.stringify(body),
    });
    await answer.text();
    if (answer.status !== 503) return answer.status;
  }
}

/** A part of the name that has one form alone, however often it is escaped. */
const CORE = "berall";
const tells = (bytes: Buffer): boolean => [CORE, ...formsOf(NAME)].some((form) => bytes.includes(form));

/** Of all files in the folder, those that hold the name in any of its forms. */
async function holding(folder: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const file of await readdir(folder, { recursive: true })) {
    const bytes = await readFile(join(folder, file)).catch(() => Buffer.alloc(0));
    if (tells(bytes)) found.push(file);
  }
  return found;
}

const rowsOfName = async ({ queryUrl }: Standalone) => ({
  accounts: (await Array.fromAsync(accounts(queryUrl))).filter(({ username }) => username === NAME).length,
  events: (await Array.fromAsync(hourlyPerUser(queryUrl)))
    .filter(({ username }) => username === NAME)
    .reduce((sum, { count }) => sum + count, 0),
});

/** Posts events of the user, two and two others' in a request, until told to stop. Resolves to how many. */
async function postName(standalone: Standalone, client: number, stop: AbortSignal): Promise<number> {
  let posted = 0;
  for (; !stop.aborted; posted += 2) {
    const mine = (count: number) => ({ username: NAME, metric: METRIC, count });
    const status = await post(standalone, [
      { ...mine(posted), id: `of ${NAME} ${client} ${posted}` },
      { username: "bob", metric: "beside", count: posted },
      mine(posted + 1),
    ]);
    expect(status).toBe(200);
    await sleep(5);
  }
  return posted;
}

const countsOf = async ({ queryUrl }: Standalone, metric: string): Promise<number> =>
  (await distinctNames(queryUrl))
    .filter((row) => row.metric === metric)
    .reduce((sum, { count }) => sum + count, 0);

test("a user who is erased under load, the erasure killed once and run again, is in no file and no log, and all others are counted exactly", {
  timeout: 600_000,
}, async () => {
  const environment = { MILLRACE_LOG_LEVEL: "debug" };
  await using standalone = await startStandalone({ readyTimeoutMs: START_MS, environment });
  const { dataDir, collectorUrl, queryUrl } = standalone;
  using send = httpSender(collectorUrl, CLIENTS);
  const random = seededRandom(Date.now() % 2 ** 32);
  const traffic = new Traffic({ send, random, clients: CLIENTS, eventsPerSecond: EVENTS_PER_SECOND });
  const stop = new AbortController();
  const posting = Promise.all(
    Array.from({ length: NAME_CLIENTS }, (_, i) => postName(standalone, i, stop.signal)),
  );
  posting.catch(() => {});

  // An event of another whose id holds the name; events that are refused; messages that become dead letters.
  expect(await post(standalone, BOB)).toBe(200);
  const broken = { username: NAME, metric: METRIC, count: "many" };
  expect(await post(standalone, broken)).toBe(400);
  expect(await post(standalone, { ...broken, username: LONG })).toBe(400);
  const cloudEvent = { specversion: "1.0", type: "t", source: `/of/${encodeURIComponent(NAME)}`, id: "1" };
  const data = { username: NAME, metric: METRIC, count: 1 };
  expect(await post(standalone, { ...cloudEvent, data }, "application/cloudevents+json")).toBe(200);
  const LETTERS = 5;
  {
    await using broker = openBroker(dataDir);
    for (const body of [
      JSON.stringify(broken),
      JSON.stringify({ ...data, username: LONG, timestamp: Date.now() }),
      `{"username": ${JSON.stringify(NAME)}, oops`,
    ])
      await broker.publish(rubbish("application/json", body));
    await broker.publish(rubbish(`text/csv; of=${NAME}`, `${NAME},${METRIC},1`));
    await broker.publish(rubbish("text/csv", "bob,beside,1"));
    while ((await broker.backlog("hourlyLog")).deadLetters < LETTERS) await sleep(50);
  }
  while (traffic.ledger.acknowledged < 1000) await sleep(50);
  // Of the log the last mebibyte is kept: on a quick machine these lines are gone by the end.
  const begun = standalone.log();
  expect(begun).toContain("dead letter: see millrace dead-letters list");
  expect(await rowsOfName(standalone)).toMatchObject({ accounts: 1 });
  expect((await holding(dataDir)).length).toBeGreaterThan(1);

  const surging = setInterval(() => traffic.surge(), 500);
  const words = ["erase", NAME, "--yes", "--json", "--data-dir", dataDir];
  const killed = startChild([millraceBin, ...words], {
    env: childEnvironment(),
    cwd: dataDir,
    keep: () => {},
  });
  const account = `${queryUrl}/accounts/${encodeURIComponent(NAME)}`;
  // Its first round is through: the command is at work.
  while ((await fetch(account)).status === 200) await sleep(5);
  killed.kill("SIGKILL");
  expect(await killed.exited).toEqual({ code: null, signal: "SIGKILL" });

  const acknowledged = traffic.ledger.acknowledged;
  const erasing = millraceAudited("", ...words);
  // Long enough that a round comes upon events that are in flight.
  await sleep(POSTED_MEANWHILE_MS);
  stop.abort();
  const posted = (await posting).reduce((sum, one) => sum + one, 0);
  const { code, stdout, stderr, audit } = await erasing;
  clearInterval(surging);
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ complete: true, inHand: 0, holding: [] });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  // There was load all the while.
  expect(traffic.ledger.acknowledged).toBeGreaterThan(acknowledged);
  expect(audit).toMatchObject([{ action: "user.erased", outcome: "done", count: 0, ids: [] }]);
  expect(await holding(dataDir)).toEqual([]);
  expect(await rowsOfName(standalone)).toEqual({ accounts: 0, events: 0 });

  // What the id of bob's event has been kept for: it is counted once.
  expect(await post(standalone, BOB)).toBe(200);
  await traffic.finish(SETTLE_MS);
  expect(traffic.faults()).toEqual([]);
  const verdict = await settledVerdict(traffic.ledger, { queryUrl, settleMs: SETTLE_MS, progress: () => {} });
  const others = (fault: string) => ![METRIC, "of-bob", "beside", '"bob"'].some((own) => fault.includes(own));
  expect({ missing: verdict.missing, wrong: verdict.wrong.filter(others) }).toEqual({
    missing: [],
    wrong: [],
  });
  expect(await countsOf(standalone, "of-bob")).toBe(1);
  expect(await countsOf(standalone, "beside")).toBe(posted / 2);
  const log = standalone.log();
  const told = [begun, log, stdout, JSON.stringify(audit)].map((text) => tells(Buffer.from(text)));
  expect(told).toEqual(told.map(() => false));
  {
    await using broker = openBroker(dataDir);
    const left = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    expect(left.map(({ message }) => Buffer.from(message.body).toString())).toEqual(["bob,beside,1"]);
  }

  // Data that comes later is new: its account is made anew, whatever the workers knew.
  expect(await post(standalone, { username: NAME, metric: METRIC, count: 1, id: randomUUIDv7() })).toBe(200);
  await expect.poll(() => rowsOfName(standalone), { timeout: START_MS }).toEqual({ accounts: 1, events: 1 });
  expect((await millraceAudited("", ...words)).code).toBe(0);
  await standalone.stop();
  expect(await holding(dataDir)).toEqual([]);
  console.info({ ...traffic.figures(), postedOfTheErased: posted, ...report });
});
