import { spawn } from "node:child_process";
import { randomUUIDv7 } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedBroker } from "../../src/adapters/embedded/broker.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import type { AcceptedEvent, Message } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Change, ProjectionName } from "../../src/domain/projection.ts";
import type { Broker, Delivery } from "../../src/ports/broker.ts";
import type { Store } from "../../src/ports/store.ts";
import { embeddedBroker } from "../contract/embedded.ts";

const folders = mkdtempSync(join(tmpdir(), "millrace-embedded-"));
afterAll(() => rmSync(folders, { recursive: true, force: true }));
let made = 0;
const newFolder = (): string => join(folders, String((made += 1)));
/** A path at which there can be no folder. */
function fileInTheWay(): string {
  const path = newFolder();
  writeFileSync(path, "not a folder");
  return path;
}
const openBroker = (dataDir: string): Broker =>
  openEmbeddedBroker({ dataDir, backlogMaxBytes: 2 ** 32, confirmTimeoutMs: 10_000 }, systemClock);

const MIB = 1024 * 1024;
const NOW = Date.parse("2026-11-24T12:00:00.500Z");
const messageOf = (body: string | Buffer): Message => ({
  id: randomUUIDv7(),
  contentType: "application/x-test",
  body: Buffer.from(body),
});
const event = (metric: string): AcceptedEvent => ({
  username: "ann",
  metric,
  count: 1,
  atMs: NOW,
  id: undefined,
});
const page = { limit: 1_000_000, after: undefined };
const days = async (store: Store): Promise<Record<string, number>> => {
  const rows = await store.distinctNames({ granularity: "day", from: undefined, to: undefined, page });
  return Object.fromEntries(rows.map(({ metric, count }) => [metric, count]));
};
const daysOf = (messageId: string, metric: string): Change =>
  distinctName.fold({ id: messageId, events: [event(metric)] });
/** A change that no table takes: its count is no integer. */
const unstorable = (messageId: string): Change => ({
  projection: "distinctName",
  messageId,
  counts: [
    { day: "2026-11-24", metric: "before", count: 1 },
    { day: "2026-11-24", metric: "bad", count: 0.5 },
  ],
});

/** Takes deliveries until there were so many, and settles each with an ack. */
async function takeAll(broker: Broker, count: number): Promise<readonly Delivery[]> {
  const stop = new AbortController();
  const taken: Delivery[] = [];
  await broker.consume({ queue: "hourlyLog", prefetch: 4, stop: stop.signal }, async (delivery) => {
    await delivery.settle({ kind: "ack" });
    taken.push(delivery);
    if (taken.length >= count) stop.abort();
  });
  return taken;
}

describe("a broker's file of a version before traces", () => {
  /** Two messages for every queue, of which the hourly log has given up the first. */
  function earlierFile(): string {
    const dataDir = newFolder();
    mkdirSync(dataDir);
    const file = new DatabaseSync(join(dataDir, "broker.sqlite"));
    file.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE message (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, content_type TEXT NOT NULL, body BLOB NOT NULL
      ) STRICT;
      CREATE TABLE delivery (
        seq INTEGER NOT NULL, queue INTEGER NOT NULL, attempt INTEGER NOT NULL, due_at INTEGER NOT NULL,
        PRIMARY KEY (seq, queue)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX delivery_due ON delivery (queue, due_at) WHERE due_at > 0;
      CREATE TABLE dead_letter (
        queue INTEGER NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
        dead_at INTEGER NOT NULL, PRIMARY KEY (queue, seq)
      ) STRICT, WITHOUT ROWID;
      INSERT INTO message (id, content_type, body) VALUES ('m1', 'application/x-test', X'61'), ('m2', 'application/x-test', X'62');
      INSERT INTO delivery VALUES (1, 0, 0, 0), (1, 1, 0, 0), (2, 0, 0, 0), (2, 1, 0, 0), (2, 2, 1, 0);
      INSERT INTO dead_letter VALUES (2, 1, 'why', 3, 5);
    `);
    file.close();
    return dataDir;
  }
  const trace = {
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "vendor=1",
  };

  test("opens with all that is in it, and takes messages with a trace", async () => {
    await using broker = openBroker(earlierFile());
    const [letter] = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    expect(letter).toMatchObject({ reason: "why", attempts: 3, message: { id: "m1" } });
    expect(letter?.message.trace).toBeUndefined();
    expect(
      await broker.deadLetters.replay("hourlyLog", [{ id: letter?.id ?? "", repaired: undefined }]),
    ).toBe(1);
    await broker.publish({ ...messageOf("c"), id: "m3", trace });
    const taken = await takeAll(broker, 3);
    const seen = Object.fromEntries(
      taken.map(({ message, attempt }) => [message.id, [attempt, message.trace]]),
    );
    expect(seen).toEqual({ m1: [1, undefined], m2: [2, undefined], m3: [1, trace] });
  });

  test("is opened by several processes at once", async () => {
    const dataDir = earlierFile();
    await using parts = new AsyncDisposableStack();
    const brokers = Array.from({ length: 4 }, () => parts.use(openBroker(dataDir)));
    await Promise.all(brokers.map((broker) => broker.publish({ ...messageOf("c"), trace })));
    expect(
      (await takeAll(brokers[0] as Broker, 5)).filter(({ message }) => message.trace !== undefined),
    ).toHaveLength(4);
  });

  test("still takes what the earlier version writes beside this one", async () => {
    const dataDir = earlierFile();
    await using broker = openBroker(dataDir);
    await broker.publish({ ...messageOf("c"), id: "m3", trace });
    using earlier = new DatabaseSync(join(dataDir, "broker.sqlite"), { timeout: 5000 });
    earlier.exec(`
      BEGIN IMMEDIATE;
      INSERT INTO message (id, content_type, body) VALUES ('m4', 'application/x-test', X'64');
      INSERT INTO delivery (seq, queue, attempt, due_at) VALUES (last_insert_rowid(), 2, 0, 0);
      COMMIT;
    `);
    const taken = await takeAll(broker, 3);
    expect(taken.map(({ message }) => message.id).toSorted()).toEqual(["m2", "m3", "m4"]);
  });
});

describe("a broker whose file is at its limit", () => {
  test("refuses messages with BROKER_FULL, still settles, and takes messages again once it is drained", async () => {
    await using world = await embeddedBroker(MIB);
    await using broker = await world.open();
    const body = Buffer.alloc(64 * 1024, "x");
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, () => broker.publish(messageOf(body))),
    );
    const refusals = results.filter((result) => result.status === "rejected");
    const published = results.length - refusals.length;
    expect(refusals.length).toBeGreaterThan(8);
    for (const { reason } of refusals) expect(reason).toMatchObject({ code: "BROKER_FULL" });
    expect(published).toBeGreaterThan(8);
    await expect(broker.ready()).rejects.toMatchObject({ code: "BROKER_FULL" });
    // What was refused is in no queue.
    for (const queue of ["accountName", "distinctName", "hourlyLog"] as const)
      expect(await broker.backlog(queue)).toEqual({ ready: published, unsettled: 0, deadLetters: 0 });

    const drained = await Promise.all(
      (["accountName", "distinctName", "hourlyLog"] as const).map(async (queue) => {
        const stop = new AbortController();
        let taken = 0;
        await broker.consume({ queue, prefetch: 4, stop: stop.signal }, async (delivery) => {
          await delivery.settle({ kind: "ack" });
          taken += 1;
          if (taken >= published) stop.abort();
        });
        return taken;
      }),
    );
    expect(drained).toEqual([published, published, published]);
    await broker.ready();
    await broker.publish(messageOf("again"));
    const [delivery] = await takeAll(broker, 1);
    expect(Buffer.from(delivery?.message.body ?? []).toString()).toBe("again");
  });

  test("still dead-letters, retries, lists and drops", async () => {
    await using world = await embeddedBroker(MIB);
    await using broker = await world.open();
    const body = Buffer.alloc(1024 * 1024 + 1, "x");
    await broker.publish(messageOf(body));
    await expect(broker.publish(messageOf("a"))).rejects.toMatchObject({ code: "BROKER_FULL" });
    for (const queue of ["accountName", "distinctName", "hourlyLog"] as const) {
      const stop = new AbortController();
      await broker.consume({ queue, prefetch: 1, stop: stop.signal }, async (delivery) => {
        if (delivery.attempt === 1) return delivery.settle({ kind: "retry", afterMs: 1 });
        await delivery.settle({ kind: "deadLetter", reason: "why" });
        stop.abort();
      });
      const [letter] = await Array.fromAsync(broker.deadLetters.list(queue));
      expect(letter).toMatchObject({ reason: "why", attempts: 2 });
      expect(await broker.deadLetters.drop(queue, letter === undefined ? [] : [letter])).toBe(1);
    }
    await broker.publish(messageOf("a"));
  });
});

describe("dead letters of the embedded broker", () => {
  /** Publishes these and has the queues give each of them up. */
  async function bury(broker: Broker, messages: readonly Message[], queues: readonly ProjectionName[]) {
    for (const message of messages) await broker.publish(message);
    for (const queue of queues) {
      const stop = new AbortController();
      let buried = 0;
      await broker.consume({ queue, prefetch: 16, stop: stop.signal }, async (delivery) => {
        await delivery.settle({ kind: "deadLetter", reason: "why" });
        buried += 1;
        if (buried === messages.length) stop.abort();
      });
    }
  }
  const listed = async (broker: Broker, queue: ProjectionName) =>
    (await Array.fromAsync(broker.deadLetters.list(queue))).map(({ message }) => message.id);

  test("are all listed once and in order, however many, also while the first of them go away", async () => {
    await using broker = openBroker(newFolder());
    const messages = Array.from({ length: 450 }, (_, i) => messageOf(`letter ${i}`));
    await bury(broker, messages, ["hourlyLog"]);
    const ids = messages.map(({ id }) => id);
    expect(await listed(broker, "hourlyLog")).toEqual(ids);
    expect(await listed(broker, "accountName")).toEqual([]);
    const seen: string[] = [];
    for await (const { id, deadAtMs, message } of broker.deadLetters.list("hourlyLog")) {
      seen.push(message.id);
      await broker.deadLetters.drop("hourlyLog", [{ id, deadAtMs }]);
    }
    expect(seen).toEqual(ids);
    expect(await listed(broker, "hourlyLog")).toEqual([]);
  });

  test("that are larger than a page are all listed, and replayed repaired", async () => {
    await using broker = openBroker(newFolder());
    const messages = Array.from({ length: 5 }, (_, i) => messageOf(Buffer.alloc(3 * MIB, String(i))));
    await bury(broker, messages, ["hourlyLog"]);
    expect(await listed(broker, "hourlyLog")).toEqual(messages.map(({ id }) => id));
    const letters = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    const replays = letters.map(({ id, message: { contentType, body } }) => ({
      id,
      repaired: { contentType, body: body.map((byte) => byte + 5) },
    }));
    expect(await broker.deadLetters.replay("hourlyLog", replays)).toBe(5);
    const taken = await takeAll(broker, 5);
    const bodies = taken.map(({ message }) => [message.id, Buffer.from(message.body).toString().slice(-2)]);
    expect(bodies).toEqual(messages.map(({ id }, i) => [id, `${i + 5}${i + 5}`]));
  });

  test("that are repaired leave no body behind, and take none away that another queue needs", async () => {
    const dataDir = newFolder();
    const bodies = (): readonly string[] => {
      const file = new DatabaseSync(join(dataDir, "broker.sqlite"), { readOnly: true });
      const rows = file.prepare("SELECT CAST(body AS TEXT) AS body FROM message ORDER BY seq").all();
      file.close();
      return rows.map(({ body }) => String(body));
    };
    const queues = ["accountName", "distinctName", "hourlyLog"] as const;
    let broker = openBroker(dataDir);
    await bury(broker, [messageOf("broken")], queues);
    for (const [i, queue] of queues.entries()) {
      const repaired = { contentType: "application/x-test", body: Buffer.from(`mended for ${queue}`) };
      expect(
        await broker.deadLetters.replay(queue, [
          { id: "1", repaired },
          { id: "1", repaired },
        ]),
      ).toBe(1);
      expect(await listed(broker, queue)).toEqual([]);
      // What is repaired is as durable as what is published.
      await broker[Symbol.asyncDispose]();
      expect(bodies()).toEqual([...(i < 2 ? ["broken"] : []), `mended for ${queue}`]);
      broker = openBroker(dataDir);
      const stop = new AbortController();
      const taken: string[] = [];
      await broker.consume({ queue, prefetch: 4, stop: stop.signal }, async (delivery) => {
        taken.push(Buffer.from(delivery.message.body).toString());
        await delivery.settle({ kind: "ack" });
        stop.abort();
      });
      expect(taken).toEqual([`mended for ${queue}`]);
      expect(await broker.backlog(queue)).toEqual({ ready: 0, unsettled: 0, deadLetters: 0 });
    }
    await broker[Symbol.asyncDispose]();
    expect(bodies()).toEqual([]);
  });
});

describe("a call that fails", () => {
  test("takes none of the calls of its commit along, and leaves nothing of itself", async () => {
    await using store = await openEmbeddedStore(newFolder());
    const calls = [
      store.apply(daysOf("m1", "first"), NOW),
      store.apply(unstorable("m2"), NOW),
      store.apply(daysOf("m3", "last"), NOW),
      store.claim({ projection: "distinctName", messageId: "m4", eventIds: ["e"] }, NOW),
    ];
    const results = await Promise.allSettled(calls);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(await days(store)).toEqual({ first: 1, last: 1 });
    for (const id of ["m1", "m3"]) await store.apply(daysOf(id, "again"), NOW);
    // Its message id was not marked as applied.
    await store.apply(daysOf("m2", "mended"), NOW);
    expect(await days(store)).toEqual({ first: 1, last: 1, mended: 1 });
  });

  test("because no table takes its change says that it never will: CHANGE_REFUSED", async () => {
    await using store = await openEmbeddedStore(newFolder());
    await expect(store.apply(unstorable("m1"), NOW)).rejects.toMatchObject({ code: "CHANGE_REFUSED" });
  });

  test("leaves the publishes of its commit confirmed, each once and in order", async () => {
    await using broker = openBroker(newFolder());
    const without = { ...messageOf(""), body: null as unknown as Uint8Array };
    // The table takes no message without a body.
    const results = await Promise.allSettled([
      broker.publish(messageOf("a")),
      broker.publish(without),
      broker.publish(messageOf("b")),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { code: "BROKER_UNAVAILABLE" } });
    await broker.publish(messageOf("c"));
    const taken = await takeAll(broker, 3);
    expect(taken.map(({ message }) => Buffer.from(message.body).toString())).toEqual(["a", "b", "c"]);
    expect(await broker.backlog("hourlyLog")).toEqual({ ready: 0, unsettled: 0, deadLetters: 0 });
  });
});

describe("a thread that dies", () => {
  test("rejects the calls in hand and all later ones with BROKER_UNAVAILABLE", async () => {
    await using broker = openBroker(fileInTheWay());
    const inHand = [broker.publish(messageOf("a")), broker.ready(), broker.backlog("hourlyLog")];
    for (const result of await Promise.allSettled(inHand))
      expect(result).toMatchObject({ status: "rejected", reason: { code: "BROKER_UNAVAILABLE" } });
    await expect(broker.publish(messageOf("b"))).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    await expect(broker.ready()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
  });

  test("in the midst of its work ends its consumer with the code, and what was confirmed is kept", async () => {
    const dataDir = newFolder();
    await using broker = openBroker(dataDir);
    await broker.publish(messageOf("kept"));
    const taken = Promise.withResolvers<void>();
    const consumed = broker.consume(
      { queue: "hourlyLog", prefetch: 1, stop: new AbortController().signal },
      async () => taken.resolve(),
    );
    const ended = consumed.catch((error: unknown) => error);
    await taken.promise;
    // More than the heap of a thread holds: node ends the thread.
    const letters = Array.from({ length: 2_000_000 }, (_, i) => ({ id: String(i), deadAtMs: 0 }));
    const fatal = { status: "rejected", reason: { code: "BROKER_UNAVAILABLE" } };
    expect(await Promise.allSettled([broker.deadLetters.drop("hourlyLog", letters)])).toMatchObject([fatal]);
    expect(await ended).toMatchObject({ code: "BROKER_UNAVAILABLE" });
    await expect(broker.ready()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    await using next = openBroker(dataDir);
    const [delivery] = await takeAll(next, 1);
    expect(Buffer.from(delivery?.message.body ?? []).toString()).toBe("kept");
  });
});

test("the largest answer that may be asked for is given, and the store answers others", async () => {
  await using store = await openEmbeddedStore(newFolder());
  const metrics = 150_000;
  for (let first = 0; first < metrics; first += 10_000) {
    const events = Array.from({ length: 10_000 }, (_, i) => event(`${first + i} `.padEnd(256, "漢")));
    await store.apply(hourlyLog.fold({ id: `m${first}`, events }), NOW);
  }
  const greatest = 10_000;
  const totals = await store.hourlyTotals({ limit: greatest + 1, after: undefined }, NOW);
  expect(totals).toHaveLength(greatest + 1);
  await expect(store.account("ann")).resolves.toBeUndefined();
}, 120_000);

describe("a data folder that cannot be opened", () => {
  test("is a STORE_UNAVAILABLE whose message tells the reason", async () => {
    const opened = openEmbeddedStore(fileInTheWay());
    await expect(opened).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await expect(opened).rejects.toThrow(/EEXIST|ENOTDIR|not a (directory|folder)/);
  });

  test("is a BROKER_UNAVAILABLE whose message tells the reason", async () => {
    await using broker = openBroker(fileInTheWay());
    await expect(broker.ready()).rejects.toThrow(/EEXIST|ENOTDIR|not a (directory|folder)/);
  });

  test("because its file is no database says so", async () => {
    const dataDir = newFolder();
    await (await openEmbeddedStore(dataDir))[Symbol.asyncDispose]();
    for (const ending of ["", "-wal", "-shm"])
      rmSync(join(dataDir, `store.sqlite${ending}`), { force: true });
    writeFileSync(join(dataDir, "store.sqlite"), "this is no database ".repeat(1000));
    const opened = openEmbeddedStore(dataDir);
    await expect(opened).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await expect(opened).rejects.toThrow(/not a database/);
  });
});

/** A process that runs a script, is sent values, a line each, and answers with lines. */
function lineProcess(script: string) {
  const child = spawn(process.execPath, [script], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    send: (value: unknown) => child.stdin.write(`${JSON.stringify(value)}\n`),
    /** The next line it says; undefined once it has ended. */
    says: async (): Promise<string | undefined> => (await lines.next()).value,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "close");
    },
  };
}
function scriptOf(code: string): string {
  const path = join(folders, `${(made += 1)}.mjs`);
  writeFileSync(path, code);
  return path;
}

describe("two processes", () => {
  /** Opens a store, applies changes, closes the store and says so, for each line it is sent. */
  const applier = `
    import { openEmbeddedStore } from ${JSON.stringify(new URL("../../src/adapters/embedded/store.ts", import.meta.url).href)};
    import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
    console.log("started");
    for await (const line of createInterface({ input: process.stdin })) {
      try {
        const { dataDir, changes } = JSON.parse(line);
        await using store = await openEmbeddedStore(dataDir);
        await Promise.all(changes.map((change) => store.apply(change, ${NOW})));
        console.log("applied");
      } catch (error) {
        console.log(error.message, error.cause?.message);
      }
    }`;

  test("may write one store at once, and a change that both apply counts once", async () => {
    const dataDir = newFolder();
    await using store = await openEmbeddedStore(dataDir);
    await using other = lineProcess(scriptOf(applier));
    expect(await other.says()).toBe("started");
    const shared = Array.from({ length: 400 }, (_, i) => daysOf(`m${i}`, "shared"));
    const own = Array.from({ length: 100 }, (_, i) => daysOf(`own ${i}`, "own"));
    const theirs = Array.from({ length: 100 }, (_, i) => daysOf(`theirs ${i}`, "theirs"));
    other.send({ dataDir, changes: [...theirs, ...shared] });
    for (const change of [...shared, ...own]) await store.apply(change, NOW);
    expect(await other.says()).toBe("applied");
    expect(await days(store)).toEqual({ shared: 400, own: 100, theirs: 100 });
  });

  test("and more may all make the same new database at the same instant", async () => {
    const home = new URL("../../src/adapters/embedded/database.ts", import.meta.url);
    const script = scriptOf(
      `import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
      import { openDatabase } from ${JSON.stringify(home.href)};
      console.log("started");
      for await (const line of createInterface({ input: process.stdin })) {
        const { path, atMs } = JSON.parse(line);
        try {
          while (Date.now() < atMs);
          openDatabase(path, { version: 1, sql: "CREATE TABLE IF NOT EXISTS one (two)", mismatch: "STORE_MISMATCH" }, 2048).close();
          console.log("opened");
        } catch (error) {
          console.log(error.message);
        }
      }`,
    );
    await using parts = new AsyncDisposableStack();
    const others = Array.from({ length: 4 }, () => parts.use(lineProcess(script)));
    for (const other of others) expect(await other.says()).toBe("started");
    const said: (string | undefined)[] = [];
    for (let round = 0; round < 12; round += 1) {
      const at = { path: join(newFolder(), "new.sqlite"), atMs: Date.now() + 50 };
      for (const other of others) other.send(at);
      for (const other of others) said.push(await other.says());
    }
    expect(said).toEqual(said.map(() => "opened"));
  });
});
