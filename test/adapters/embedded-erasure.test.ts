import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedErasure } from "../../src/adapters/embedded/erasure.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { erase } from "../../src/commands/erase.ts";
import { type AcceptedEvent, encodeRows, type Message, rowsOf } from "../../src/domain/envelope.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Broker, Delivery, Outcome } from "../../src/ports/broker.ts";
import type { ChangeStore, Store } from "../../src/ports/store.ts";
import { openBroker, rubbish, work, workOff } from "../commands/work-off.ts";

const NAME = "väl-of-the-erased";
const NOW = Date.now();
const page = { limit: 1000, after: undefined };
const event = (username: string, metric = "reads", id?: string): AcceptedEvent => ({
  username,
  metric,
  count: 1,
  atMs: NOW - 1000,
  id,
});
const messageOf = (id: string, ...events: readonly AcceptedEvent[]): Message =>
  encodeRows(id, [rowsOf(events)]);
const plain = (id: string, body: string): Message => ({
  id,
  contentType: "application/json",
  body: Buffer.from(body),
});

let dataDir: string;
let broker: Broker;
let store: Store;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "millrace-erasure-"));
  store = await openEmbeddedStore(dataDir);
  broker = openBroker(dataDir);
  await broker.ready();
});
afterEach(async () => {
  await broker[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
});

const eraseName = async (limitMs = 60_000) => {
  await using erasure = openEmbeddedErasure(dataDir, systemClock);
  return await erase(erasure, { username: NAME, limitMs }, { name: () => {}, settled: undefined });
};
/** What each view has of these, by username and by metric. */
const views = async () => ({
  accounts: (await store.accounts({ sinceMs: undefined, page })).map(({ username }) => username),
  hourly: (await store.hourlyPerUser({ username: undefined, metric: undefined, page }, NOW)).map(
    ({ username, metric, count }) => `${username} ${metric} ${count}`,
  ),
  distinct: (await store.distinctNames({ granularity: "month", from: undefined, to: undefined, page })).map(
    ({ metric, count }) => `${metric} ${count}`,
  ),
});

test("of messages that wait the events of the user are taken out, and those of others are counted once under the same message id", async () => {
  const shared = messageOf("m1", event(NAME), event("ann"), event(NAME, "reads", "id:e1"), event("bob"));
  // One view has counted it already; the others have it to come, once more than they should.
  await workOff(broker, store, [shared], ["distinctName"]);
  await broker.publish(shared);
  await broker.publish(messageOf("m2", event(NAME, "alone")));
  await broker.publish(
    plain("m3", JSON.stringify({ ...event(NAME, "plain"), id: "e", atMs: 1, timestamp: NOW })),
  );
  const report = await eraseName();
  expect(report).toMatchObject({ complete: true, inHand: 0, holding: [], rounds: 2 });
  expect(report.erased).toMatchObject({ events: 6, deadLetters: 0, unreadable: 0 });
  await Promise.all([
    work(broker, store, "accountName", 4),
    work(broker, store, "hourlyLog", 4),
    work(broker, store, "distinctName", 3),
  ]);
  expect(await views()).toEqual({
    accounts: ["ann", "bob"],
    hourly: ["ann reads 1", "bob reads 1"],
    // What was counted without a name stays.
    distinct: ["reads 4"],
  });
  for (const queue of projectionNames) expect(await broker.backlog(queue)).toMatchObject({ deadLetters: 0 });
});

test("a message of a later version that holds the name stays as it is, and the report is not complete and says so", async () => {
  const { contentType } = messageOf("m1");
  const body = (username: string) =>
    Buffer.from(JSON.stringify({ schema: "millrace.envelope/2", id: "m1", by: { [username]: 1, ann: 2 } }));
  await broker.publish({ id: "m1", contentType, body: body(NAME) });
  await broker.publish({ id: "m2", contentType, body: body("bob") });
  const report = await eraseName();
  expect(report).toMatchObject({
    complete: false,
    inHand: 1,
    rounds: 1,
    erased: { unreadable: 0, events: 0 },
  });
  expect(report.left).toEqual([expect.stringContaining("1 messages of a later version may hold the name")]);
  const kept: Message[] = [];
  const stop = new AbortController();
  await broker.consume({ queue: "hourlyLog", prefetch: 1, stop: stop.signal }, async (delivery) => {
    kept.push(delivery.message);
    await delivery.settle({ kind: "ack" });
    if (kept.length === 2) stop.abort();
  });
  expect(kept.map((message) => Buffer.from(message.body))).toEqual([body(NAME), body("bob")]);
});

test("a delivery in the hands of a worker is waited for, and what it has written is erased, too", async () => {
  await broker.publish(messageOf("m1", event(NAME), event("ann")));
  const stop = new AbortController();
  const held = Promise.withResolvers<Delivery>();
  const consumed = broker.consume({ queue: "hourlyLog", prefetch: 1, stop: stop.signal }, async (delivery) =>
    held.resolve(delivery),
  );
  const delivery = await held.promise;
  let ended = false;
  const erasing = eraseName().finally(() => (ended = true));
  // Its own store has it, and not yet the settlement.
  const inHand: Promise<void> = work(
    { consume: async (_, take) => take({ ...delivery, settle: async () => {} }) } as Broker,
    store,
    "hourlyLog",
    1,
  );
  await inHand;
  // The queue's file has the message without the user, before the one in hand is settled.
  await expect.poll(() => textsOf("broker.sqlite", "body"), { timeout: 30_000 }).not.toContain(NAME);
  expect((await views()).hourly).toEqual(["ann reads 1", `${NAME} reads 1`]);
  expect(ended).toBe(false);
  await delivery.settle({ kind: "ack" } satisfies Outcome);
  const report = await erasing;
  expect(report).toMatchObject({ complete: true, inHand: 0, holding: [] });
  expect(report.erased).toMatchObject({ hourlyRows: 1, events: 1 });
  stop.abort();
  await consumed;
  await work(broker, store, "accountName", 1);
  expect(await views()).toMatchObject({ accounts: ["ann"], hourly: ["ann reads 1"] });
});

/** Of every message in the file. */
async function textsOf(file: string, column: string): Promise<string> {
  using database = new DatabaseSync(join(dataDir, file), { readOnly: true, timeout: 5000 });
  const rows = database.prepare(`SELECT ${column} FROM message`).all();
  return rows.map((row) => Buffer.from(row[column] as Uint8Array).toString()).join("\n");
}

test("dead letters lose the user's events; those with nothing left go, and so do those that cannot be read and hold the name", async () => {
  const refusing: ChangeStore = {
    claim: (claim, nowMs) => store.claim(claim, nowMs),
    erasures: () => store.erasures(),
    apply: () => Promise.reject(new MillraceError("CHANGE_REFUSED", `too wide for ${NAME}`)),
  };
  const letters = [
    messageOf("m1", event(NAME), event("ann", "reads", "id:e1")),
    messageOf("m2", event(NAME)),
    rubbish("text/csv", `${encodeURIComponent(NAME)},5`),
    rubbish("text/csv", "ann,5"),
  ];
  await workOff(broker, refusing, letters, ["hourlyLog"]);
  expect(await broker.backlog("hourlyLog")).toMatchObject({ deadLetters: 4 });
  const report = await eraseName();
  expect(report).toMatchObject({ complete: true, holding: [] });
  const left = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
  expect(left.map(({ message }) => message.id)).toEqual(["m1", letters[3]?.id]);
  expect(left[0]?.reason).toBe("its reason held a name that has been erased");
  expect(
    await broker.deadLetters.replay(
      "hourlyLog",
      left.slice(0, 1).map(({ id }) => ({ id, repaired: undefined })),
    ),
  ).toBe(1);
  await work(broker, store, "hourlyLog", 1);
  expect((await views()).hourly).toEqual(["ann reads 1"]);
});

test("an event id that holds the name is still counted once, also by another message of another user", async () => {
  const id = `ce:/of/${encodeURIComponent(NAME)} 1`;
  await workOff(broker, store, [messageOf("m1", event("ann", "reads", id))], ["hourlyLog", "distinctName"]);
  // It is of another user: what waits is as it was, and the file that has it is told.
  const first = await eraseName();
  expect(first.erased).toMatchObject({ claims: 2 });
  expect(first).toMatchObject({ complete: true, holding: [join(dataDir, "broker.sqlite")] });
  await work(broker, store, "accountName", 1);
  const report = await eraseName();
  expect(report).toMatchObject({ complete: true, holding: [] });
  expect(report.erased).toMatchObject({ claims: 0, accounts: 0 });
  await broker.publish(messageOf("m2", event("ann", "reads", id), event("ann", "reads", "id:other")));
  await work(broker, store, "hourlyLog", 1);
  expect((await views()).hourly).toEqual(["ann reads 2"]);
  // A claim of its own message again, and forgotten when its time is over.
  const claim = { projection: "hourlyLog", messageId: "m1", eventIds: [id] } as const;
  expect(await store.claim(claim, NOW)).toEqual(new Set());
  expect((await eraseName()).erased).toMatchObject({ claims: 0 });
  await store.expireMarks(NOW + 3_600_000, 1000);
  expect(await store.claim({ ...claim, messageId: "m9" }, NOW)).toEqual(new Set());
});

test("all of very many ids are replaced, and one that holds the name inside of a longer word keeps no round from being the last", async () => {
  const inside = messageOf("m1", event("ann", "reads", `id:${NAME}s`));
  await workOff(broker, store, [inside], projectionNames);
  expect(await eraseName()).toMatchObject({ complete: true, rounds: 1, holding: [], erased: { claims: 0 } });
  const many = Array.from({ length: 1203 }, (_, index) => event("ann", "reads", `id:${NAME}-${index}`));
  await workOff(broker, store, [messageOf("m2", ...many)], projectionNames);
  const report = await eraseName();
  expect(report).toMatchObject({ complete: true, holding: [] });
  expect(report.erased).toMatchObject({ claims: 2 * many.length });
  const again = messageOf("m3", ...many, event("ann", "reads", `id:${NAME}s`));
  await workOff(broker, store, [again], projectionNames);
  expect((await views()).hourly).toEqual([`ann reads ${1 + many.length}`]);
});

test("a delivery that stays in hand beyond the wait is told, and so is that it is not complete", async () => {
  await broker.publish(messageOf("m1", event(NAME)));
  const stop = new AbortController();
  const held = Promise.withResolvers<void>();
  const consumed = broker.consume({ queue: "hourlyLog", prefetch: 1, stop: stop.signal }, async () =>
    held.resolve(),
  );
  await held.promise;
  await using erasure = openEmbeddedErasure(dataDir, systemClock);
  expect(await erasure.round(NAME, 0)).toMatchObject({ inHand: 1 });
  stop.abort();
  await consumed;
  // Nobody has it any more: it would be delivered as the file has it.
  expect(await erasure.round(NAME, 0)).toMatchObject({ inHand: 0 });
});

test("one who reads a file all the while keeps its pages from being taken away, which is an error that says so", async () => {
  await workOff(broker, store, [messageOf("m1", event(NAME))], projectionNames);
  await using erasure = openEmbeddedErasure(dataDir, systemClock, 500);
  await erasure.round(NAME, 0);
  {
    using reader = new DatabaseSync(join(dataDir, "store.sqlite"));
    reader.exec("BEGIN; SELECT count(*) FROM account");
    reader.prepare("SELECT count(*) FROM account").get();
    await expect(erasure.purge(0)).rejects.toThrow(
      /a process has been reading .*store\.sqlite all the while/,
    );
  }
  await erasure.purge(0);
  expect(await erasure.holding([NAME])).toEqual([]);
});
