import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { millrace } from "../commands/millrace.ts";
import type { Posted } from "../fault/ledger.ts";
import { httpSender } from "../fault/post.ts";
import { seededRandom } from "../fault/random.ts";
import { settledVerdict } from "../fault/settled.ts";
import { Traffic } from "../fault/traffic.ts";
import { answersAt } from "./answers.ts";
import { type Standalone, startStandalone } from "./standalone.ts";
import { accounts, distinctNames, eventsIn, hourlyPerUser, hourlyTotals } from "./views.ts";

const CLIENTS = 16;
const EVENTS_PER_SECOND = 300;
const SETTLE_MS = 120_000;
/** Three of them are started, the later ones beside the earlier. */
const START_MS = 120_000;
/** The requests that are sent again are as long as this many events. */
const BATCH = 500;
/** Events that are acknowledged while the backup is taken. */
const LEAST_MEANWHILE = 100;

/** Until every message of every queue has been settled. */
async function drained({ dataDir }: Standalone): Promise<void> {
  using broker = new DatabaseSync(join(dataDir, "broker.sqlite"), { readOnly: true, timeout: 5000 });
  const left = broker.prepare("SELECT count(*) AS n FROM delivery");
  while (Number(left.get()?.["n"]) > 0) await sleep(50);
}

/** A standalone on what a backup holds, in the folder of an install that was started once and is empty. */
async function restored(file: string): Promise<Standalone> {
  const standalone = await startStandalone({ readyTimeoutMs: START_MS });
  await standalone.stop();
  expect(await millrace("restore", file, "--data-dir", standalone.dataDir)).toMatchObject({
    code: 0,
    stderr: "",
  });
  await standalone.restart();
  return standalone;
}

test("a backup that was taken under load restores all that was acknowledged before it, each event wholly or not at all, and at rest byte-equal answers", {
  timeout: 600_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-backup-"));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const source = parts.use(await startStandalone({ readyTimeoutMs: START_MS }));
  using send = httpSender(source.collectorUrl, CLIENTS);
  const random = seededRandom(Date.now() % 2 ** 32);
  const traffic = new Traffic({ send, random, clients: CLIENTS, eventsPerSecond: EVENTS_PER_SECOND });
  const { ledger } = traffic;
  while (ledger.acknowledged < 1000) await sleep(50);

  const file = join(folder, "under-load.backup");
  const surging = setInterval(() => traffic.surge(), 100);
  let before = new Set<Posted>();
  // On a quick machine it may be over before much has come in: then once more, of more.
  for (let tries = 20; tries > 0; tries -= 1) {
    await rm(file, { force: true });
    before = new Set(Array.from(ledger.all()).filter(({ state }) => state === "acknowledged"));
    const made = await millrace("backup", file, "--data-dir", source.dataDir);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    if (ledger.acknowledged >= before.size + LEAST_MEANWHILE) break;
  }
  clearInterval(surging);
  const begun = new Set(ledger.all());
  const acknowledgedThen = ledger.acknowledged;
  while (ledger.acknowledged < acknowledgedThen + 500) await sleep(50);
  await traffic.finish(SETTLE_MS);
  expect(traffic.faults()).toEqual([]);
  // There was load all the while.
  expect(acknowledgedThen).toBeGreaterThanOrEqual(before.size + LEAST_MEANWHILE);

  const target = parts.use(await restored(file));
  await drained(target);
  const { queryUrl } = target;
  const users = (await Array.fromAsync(hourlyPerUser(queryUrl))).map(({ username, count }) => ({
    username,
    count,
  }));
  const present = new Set(users.map(({ username }) => username));
  expect(users.filter(({ count }) => count !== 1)).toEqual([]);
  const lost = Array.from(before).filter(({ username }) => !present.has(username));
  expect(lost.map(({ username }) => username)).toEqual([]);
  const early = Array.from(ledger.all()).filter((event) => !begun.has(event) && present.has(event.username));
  expect(early.map(({ username }) => username)).toEqual([]);
  // Each event is in all three views, or in none.
  expect(new Set((await Array.fromAsync(accounts(queryUrl))).map(({ username }) => username))).toEqual(
    present,
  );
  const byMetric = new Map<string, number>();
  for (const name of present) {
    const metric = ledger.find(name)?.metric ?? "none";
    byMetric.set(metric, (byMetric.get(metric) ?? 0) + 1);
  }
  const days = new Map<string, number>();
  for (const { metric, count } of await distinctNames(queryUrl))
    days.set(metric, (days.get(metric) ?? 0) + count);
  expect(days).toEqual(byMetric);
  expect(new Map((await hourlyTotals(queryUrl)).map(({ metric, count }) => [metric, count]))).toEqual(
    byMetric,
  );

  // Clients that do not know what the backup holds send all again that they can be known by.
  const known = Array.from(ledger.all()).filter(
    (event) => event.state === "acknowledged" && "id" in event.body,
  );
  await sendAll(target, known);
  for (const event of ledger.all()) {
    // Without an id they were not sent again: those of after the backup are not there.
    if (event.state === "acknowledged" && !("id" in event.body)) event.state = "unknown";
  }
  const verdict = await settledVerdict(ledger, { queryUrl, settleMs: SETTLE_MS, progress: () => {} });
  expect({ missing: verdict.missing, wrong: verdict.wrong }).toEqual({ missing: [], wrong: [] });

  await drained(source);
  const atRest = join(folder, "at-rest.backup");
  expect(await millrace("backup", atRest, "--data-dir", source.dataDir)).toMatchObject({
    code: 0,
    stderr: "",
  });
  const copy = parts.use(await restored(atRest));
  const answers = await answersAt(source.queryUrl);
  expect(await answersAt(copy.queryUrl)).toEqual(answers);
  expect(eventsIn(await hourlyTotals(copy.queryUrl))).toBeGreaterThan(2000);
  console.info({
    acknowledgedBefore: before.size,
    begunByItsEnd: begun.size,
    restored: present.size,
    sentAgain: known.length,
    pagesCompared: answers.size,
  });
});

async function sendAll({ collectorUrl }: Standalone, events: readonly Posted[]): Promise<void> {
  for (let i = 0; i < events.length; i += BATCH) {
    const body = JSON.stringify(events.slice(i, i + BATCH).map((event) => event.body));
    for (let status = 0; status !== 200; ) {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${collectorUrl}/events`, { method: "POST", headers, body });
      ({ status } = answer);
      expect([200, 503]).toContain(status);
      await answer.text();
    }
  }
}
