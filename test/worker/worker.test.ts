import { randomUUIDv7 } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import {
  type AcceptedEvent,
  encodeRows,
  envelopeContentType,
  type Message,
  rowsOf,
} from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Projection, ProjectionName } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Broker } from "../../src/ports/broker.ts";
import type { ChangeStore, Store } from "../../src/ports/store.ts";
import type { Emit, SignalName, Signals } from "../../src/signals.ts";
import { runWorker, type WorkerSettings } from "../../src/worker/worker.ts";
import type { BrokerWorld } from "../contract/broker.ts";
import { embeddedBroker, embeddedStore } from "../contract/embedded.ts";
import type { StoreWorld } from "../contract/store.ts";

const settings: WorkerSettings = { prefetch: 8, maxAttempts: 3, retryDelayMs: 1 };

let brokerWorld: BrokerWorld;
let storeWorld: StoreWorld;
let broker: Broker;
let store: Store;
let workers: { stop(): Promise<void> }[];
beforeEach(async () => {
  brokerWorld = await embeddedBroker();
  storeWorld = await embeddedStore();
  broker = await brokerWorld.open();
  store = await storeWorld.open();
  workers = [];
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await broker[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await brokerWorld[Symbol.asyncDispose]();
  await storeWorld[Symbol.asyncDispose]();
});

/** A worker in motion, and what it has told. */
function startWorker(
  projection: Projection,
  changeStore: ChangeStore,
  changed: Partial<WorkerSettings> = {},
) {
  const told: { readonly name: SignalName; readonly fact: unknown }[] = [];
  const listeners = new Set<() => void>();
  const emit: Emit = (name, fact) => {
    told.push({ name, fact });
    for (const listener of listeners) listener();
  };
  const all = <K extends SignalName>(name: K) =>
    told.filter((one) => one.name === name).map((one) => one.fact as Signals[K]);
  const stop = new AbortController();
  const parts = { consumer: broker, store: changeStore, projection, clock: systemClock, emit };
  const ended = runWorker(parts, { ...settings, ...changed }, stop.signal);
  ended.catch(() => {});
  const worker = {
    all,
    /** Resolves once it has told this so often. */
    async told<K extends SignalName>(name: K, count = 1): Promise<readonly Signals[K][]> {
      const reached = Promise.withResolvers<void>();
      const listener = () => {
        if (all(name).length >= count) reached.resolve();
      };
      listeners.add(listener);
      listener();
      await Promise.race([
        reached.promise,
        ended.then(() => {
          throw new Error(`the worker ended before it told ${name} ${count} times`);
        }),
      ]);
      listeners.delete(listener);
      return all(name);
    },
    async stop(): Promise<void> {
      stop.abort();
      await ended;
    },
  };
  workers.push(worker);
  return worker;
}

/** The embedded store behind a door that a test opens and shuts. */
function guarded(apply: (next: () => Promise<void>) => Promise<void>): ChangeStore {
  return {
    claim: (claim, nowMs) => store.claim(claim, nowMs),
    erasures: () => store.erasures(),
    apply: (change, nowMs) => apply(() => store.apply(change, nowMs)),
  };
}
const unavailable = () => new MillraceError("STORE_UNAVAILABLE", "pulled out");

const event = (fields: Partial<AcceptedEvent> = {}): AcceptedEvent => ({
  username: "ann",
  metric: "reads",
  count: 5,
  atMs: Date.now() - 1000,
  id: undefined,
  ...fields,
});
const messageOf = (...events: readonly AcceptedEvent[]): Message =>
  encodeRows(randomUUIDv7(), [rowsOf(events)]);
const bytes = (contentType: string, body: string | Uint8Array): Message => ({
  id: randomUUIDv7(),
  contentType,
  body: typeof body === "string" ? Buffer.from(body) : body,
});
const plain = (fields: object): Message => bytes("application/json", JSON.stringify(fields));

/** Events counted by metric in the hourly log. */
const counted = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await store.hourlyTotals({ limit: 1000, after: undefined }, Date.now())).map(({ metric, count }) => [
      metric,
      count,
    ]),
  );
const all = { limit: 1000, after: undefined };
/** Events counted by metric in the days. */
const countedByDay = async (): Promise<Record<string, number>> => {
  const rows = await store.distinctNames({ granularity: "month", from: undefined, to: undefined, page: all });
  const counts: Record<string, number> = {};
  for (const { metric, count } of rows) counts[metric] = (counts[metric] ?? 0) + count;
  return counts;
};
const settled = { ready: 0, unsettled: 0, deadLetters: 0 };

/** The body of an envelope with these rows. */
const row = (values: string) =>
  `{"schema":"millrace.envelope/1","id":"m","fields":["username","metric","count","at","id"],"events":[${values}]}`;

describe("rubbish", () => {
  const rubbish: readonly (readonly [string, Message, RegExp])[] = [
    ["another content type", bytes("text/csv", "a,b"), /content type "text\/csv"/],
    ["no content type", bytes("", "{}"), /content type ""/],
    ["no JSON", bytes("application/json", "{"), /not JSON in UTF-8/],
    ["nothing at all", bytes("application/json", ""), /not JSON in UTF-8/],
    ["no UTF-8", bytes("application/json", Buffer.from([0x22, 0xff, 0x22])), /not JSON in UTF-8/],
    ["no event", bytes("application/json", "[]"), /must be a JSON object/],
    ["an event without its time", plain({ username: "a", metric: "m", count: 1 }), /timestamp is missing/],
    [
      "an event with a bad count",
      plain({ username: "a", metric: "m", count: 1.5, timestamp: Date.now() }),
      /count/,
    ],
    [
      "an envelope of another schema",
      bytes(envelopeContentType, '{"schema":"x/9"}'),
      /not of schema millrace\.envelope\/1/,
    ],
    ["a row that is too short", bytes(envelopeContentType, row('["a","m",1]')), /not of schema/],
    [
      "one bad row among good ones",
      bytes(envelopeContentType, row('["a","m",1,1],["","m",1,1]')),
      /the event at 1 is not valid/,
    ],
  ];

  test.for(rubbish)("%s is dead-lettered at once, with the reason", async ([, message, reason]) => {
    const worker = startWorker(hourlyLog, store);
    await broker.publish(message);
    const [fact] = await worker.told("delivery.settled");
    expect(fact).toMatchObject({ outcome: "deadLetter", attempt: 1, events: 0, ageSeconds: undefined });
    const [letter] = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    expect(letter?.reason).toMatch(/^MESSAGE_UNREADABLE: /);
    expect(letter?.reason).toMatch(reason);
    expect(letter?.attempts).toBe(1);
    expect(Buffer.compare(letter?.message.body ?? Buffer.of(0), message.body)).toBe(0);
  });

  test("an envelope of a later version is neither acknowledged nor dead: it waits for a worker that can read it", async () => {
    const worker = startWorker(hourlyLog, store);
    const body = JSON.stringify({ schema: "millrace.envelope/2", id: "1", rows: [] });
    await broker.publish({ ...bytes(envelopeContentType, body), id: "later" });
    const [fact] = await worker.told("delivery.settled");
    expect(fact).toMatchObject({
      outcome: "retry",
      attempt: 1,
      error: {
        code: "MESSAGE_TOO_NEW",
        detail: "the envelope is of version 2; this Millrace reads version 1",
      },
    });
    await worker.stop();
    expect(await broker.backlog("hourlyLog")).toMatchObject({ ready: 1, deadLetters: 0 });
  });

  test("holds up none of the good messages around it", async () => {
    const worker = startWorker(hourlyLog, store);
    await broker.publish(messageOf(event()));
    for (const [, message] of rubbish) await broker.publish(message);
    await broker.publish(messageOf(event()));
    await worker.told("delivery.settled", rubbish.length + 2);
    expect(await counted()).toEqual({ reads: 2 });
    expect(await broker.backlog("hourlyLog")).toEqual({ ...settled, deadLetters: rubbish.length });
  });
});

describe("a store that is unavailable", () => {
  test("leaves deliveries unsettled and stops the flow, is tried again, and then applies each once", async () => {
    let down = true;
    const worker = startWorker(
      hourlyLog,
      guarded((next) => (down ? Promise.reject(unavailable()) : next())),
      { prefetch: 2 },
    );
    for (let i = 0; i < 5; i += 1) await broker.publish(messageOf(event()));
    await worker.told("store.waiting", 6);
    expect(await broker.backlog("hourlyLog")).toEqual({ ready: 3, unsettled: 2, deadLetters: 0 });
    expect(worker.all("delivery.settled")).toEqual([]);
    down = false;
    const facts = await worker.told("delivery.settled", 5);
    expect(facts.map(({ outcome, attempt }) => [outcome, attempt])).toEqual(
      Array.from({ length: 5 }, () => ["ack", 1]),
    );
    expect(await counted()).toEqual({ reads: 5 });
    expect(await broker.backlog("hourlyLog")).toEqual(settled);
  });

  test.for([hourlyLog, distinctName])(
    "after it had applied the change leads to no second count in $name",
    async (projection) => {
      let tries = 0;
      const worker = startWorker(
        projection,
        guarded(async (next) => {
          await next();
          tries += 1;
          if (tries < 4) throw unavailable();
        }),
      );
      await broker.publish(messageOf(event(), event({ id: "id:e1" })));
      await worker.told("delivery.settled");
      expect(tries).toBe(4);
      expect(projection === hourlyLog ? await counted() : await countedByDay()).toEqual({ reads: 2 });
    },
  );

  test("between the claim of an event and its count loses no event", async () => {
    let down = true;
    const worker = startWorker(
      hourlyLog,
      guarded((next) => (down ? Promise.reject(unavailable()) : next())),
    );
    await broker.publish(messageOf(event({ id: "id:e1" }), event({ id: "id:e2" })));
    await worker.told("store.waiting", 2);
    down = false;
    await worker.told("delivery.settled");
    expect(await counted()).toEqual({ reads: 2 });
    expect(worker.all("duplicates.skipped")).toEqual([]);
  });

  test("does not keep a worker from stopping, and the next worker applies the delivery once", async () => {
    const first = startWorker(
      hourlyLog,
      guarded(() => Promise.reject(unavailable())),
      // A wait much longer than this test: only the stop can end it.
      { retryDelayMs: 3_600_000 },
    );
    await broker.publish(messageOf(event()));
    await first.told("store.waiting");
    await first.stop();
    expect(first.all("delivery.settled")).toEqual([]);
    expect(await broker.backlog("hourlyLog")).toEqual({ ready: 1, unsettled: 0, deadLetters: 0 });
    const [fact] = await startWorker(hourlyLog, store).told("delivery.settled");
    expect(fact).toMatchObject({ outcome: "ack", attempt: 2, events: 1 });
    expect(await counted()).toEqual({ reads: 1 });
  });
});

describe("a failure", () => {
  test("that the store calls final is dead-lettered at once", async () => {
    const worker = startWorker(
      hourlyLog,
      guarded(() => Promise.reject(new MillraceError("CHANGE_REFUSED", "too wide"))),
    );
    await broker.publish(messageOf(event()));
    const facts = await worker.told("delivery.settled");
    expect(facts).toHaveLength(1);
    expect(facts[0]).toMatchObject({ outcome: "deadLetter", attempt: 1 });
    const letters = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    expect(letters).toMatchObject([{ reason: "CHANGE_REFUSED: too wide", attempts: 1 }]);
  });

  test("that is unforeseen is tried again, and dead-lettered on the last attempt", async () => {
    const worker = startWorker(
      hourlyLog,
      guarded(() => Promise.reject(new TypeError("x is not a function"))),
    );
    await broker.publish(messageOf(event()));
    const facts = await worker.told("delivery.settled", 3);
    expect(facts.map(({ outcome, attempt }) => `${outcome} ${attempt}`)).toEqual([
      "retry 1",
      "retry 2",
      "deadLetter 3",
    ]);
    const letters = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    expect(letters).toMatchObject([{ reason: "INTERNAL: x is not a function (attempt 3)", attempts: 3 }]);
    expect(await broker.backlog("hourlyLog")).toEqual({ ...settled, deadLetters: 1 });
  });

  test("that is unforeseen and passes is counted once in the end", async () => {
    let tries = 0;
    const worker = startWorker(
      hourlyLog,
      guarded(async (next) => {
        tries += 1;
        await next();
        if (tries < 3) throw new TypeError("x is not a function");
      }),
    );
    await broker.publish(messageOf(event({ id: "id:e1" }), event()));
    const facts = await worker.told("delivery.settled", 3);
    expect(facts.at(-1)).toMatchObject({ outcome: "ack", attempt: 3 });
    expect(await counted()).toEqual({ reads: 2 });
  });

  test("that took its worker down at each attempt is dead-lettered without another try", async () => {
    await broker.publish(messageOf(event()));
    for (let life = 1; life <= settings.maxAttempts; life += 1) {
      const broken = broker.consume(
        { queue: "hourlyLog", prefetch: 1, stop: new AbortController().signal },
        () => Promise.reject(new Error("down")),
      );
      await expect(broken).rejects.toThrow("down");
    }
    const [fact] = await startWorker(hourlyLog, store).told("delivery.settled");
    expect(fact).toMatchObject({ outcome: "deadLetter", attempt: settings.maxAttempts + 1 });
    expect(await counted()).toEqual({});
  });
});

describe("deliveries that have taken the worker down", () => {
  test.for([
    ["four times are taken one at a time, as one of them may be the reason", 4, 1],
    ["three times are still taken together", 3, 8],
  ] as const)("%s", async ([, lives, together]) => {
    for (let i = 0; i < 8; i += 1) await broker.publish(messageOf(event()));
    for (let life = 0; life < lives; life += 1) {
      const stop = new AbortController();
      const taken = Promise.withResolvers<void>();
      let count = 0;
      // All eight are in hand, and none is settled, when the consumer ends.
      const ended = broker.consume({ queue: "hourlyLog", prefetch: 8, stop: stop.signal }, async () => {
        count += 1;
        if (count === 8) taken.resolve();
      });
      await taken.promise;
      stop.abort();
      await ended;
    }
    const inHand = { now: 0, most: 0 };
    const everyone = Promise.withResolvers<void>();
    const worker = startWorker(
      hourlyLog,
      guarded(async (next) => {
        inHand.now += 1;
        inHand.most = Math.max(inHand.most, inHand.now);
        if (inHand.now === together) everyone.resolve();
        await everyone.promise;
        await next();
        inHand.now -= 1;
      }),
      { prefetch: 8, maxAttempts: 20 },
    );
    const facts = await worker.told("delivery.settled", 8);
    expect(inHand).toEqual({ now: 0, most: together });
    expect(new Set(facts.map(({ outcome, attempt }) => `${outcome} ${attempt}`))).toEqual(
      new Set([`ack ${lives + 1}`]),
    );
    expect(await counted()).toEqual({ reads: 8 });
  });
});

describe.for([hourlyLog, distinctName])("in $name", (projection) => {
  const count = () => (projection === hourlyLog ? counted() : countedByDay());
  const queue: ProjectionName = projection.name;

  test("the same event id twice in one message counts once", async () => {
    const worker = startWorker(projection, store);
    await broker.publish(messageOf(event({ id: "id:e1" }), event({ id: "id:e1" }), event({ id: "id:e2" })));
    await worker.told("delivery.settled");
    expect(await count()).toEqual({ reads: 2 });
    expect(worker.all("duplicates.skipped")).toEqual([{ queue, events: 1 }]);
  });

  test("the same event id in two messages counts once", async () => {
    const worker = startWorker(projection, store);
    for (let i = 0; i < 2; i += 1) await broker.publish(messageOf(event({ id: "id:e1" })));
    await worker.told("delivery.settled", 2);
    expect(await count()).toEqual({ reads: 1 });
    expect(worker.all("duplicates.skipped")).toEqual([{ queue, events: 1 }]);
  });

  test("an event that another message claimed is skipped, and the rest of its message counted", async () => {
    await store.claim({ projection: queue, messageId: "another", eventIds: ["id:e1"] }, Date.now());
    const worker = startWorker(projection, store);
    const metrics = ["reads", "writes", "scans"];
    await broker.publish(messageOf(...metrics.map((metric, i) => event({ metric, id: `id:e${i}` }))));
    await worker.told("delivery.settled");
    expect(await count()).toEqual({ reads: 1, scans: 1 });
    expect(worker.all("duplicates.skipped")).toEqual([{ queue, events: 1 }]);
  });

  test("a message that is all duplicates is acknowledged", async () => {
    await store.claim({ projection: queue, messageId: "another", eventIds: ["id:e1"] }, Date.now());
    const worker = startWorker(projection, store);
    await broker.publish(messageOf(event({ id: "id:e1" })));
    expect(await worker.told("delivery.settled")).toMatchObject([{ outcome: "ack", events: 1 }]);
    expect(await count()).toEqual({});
  });

  test("a message published twice under one id counts once", async () => {
    const worker = startWorker(projection, store);
    const message = messageOf(event(), event({ metric: "writes" }));
    for (let i = 0; i < 2; i += 1) await broker.publish(message);
    await worker.told("delivery.settled", 2);
    expect(await count()).toEqual({ reads: 1, writes: 1 });
  });

  test("events without ids that are alike are all counted", async () => {
    const worker = startWorker(projection, store);
    await broker.publish(messageOf(event(), event()));
    await broker.publish(messageOf(event()));
    await worker.told("delivery.settled", 2);
    expect(await count()).toEqual({ reads: 3 });
  });

  test("no optional field of one message is taken for one of the next", async () => {
    const worker = startWorker(projection, store, { prefetch: 1 });
    const fields = { username: "ann", metric: "reads", count: 5, timestamp: Date.now() - 1000 };
    await broker.publish(plain({ ...fields, id: "e1" }));
    await broker.publish(plain(fields));
    await broker.publish(plain(fields));
    await broker.publish(messageOf(event({ id: "id:e2" }), event(), event()));
    await broker.publish(plain({ ...fields, timestamp: undefined }));
    const facts = await worker.told("delivery.settled", 5);
    expect(facts.map(({ outcome }) => outcome)).toEqual(["ack", "ack", "ack", "ack", "deadLetter"]);
    expect(await count()).toEqual({ reads: 6 });
    expect(worker.all("duplicates.skipped")).toEqual([]);
  });
});

test("a plain message of another producer and an envelope with the same client's id count once", async () => {
  const worker = startWorker(hourlyLog, store);
  await broker.publish(
    plain({ username: "ann", metric: "reads", count: 5, timestamp: Date.now() - 1000, id: "e1" }),
  );
  await broker.publish(messageOf(event({ id: "id:e1" })));
  await worker.told("delivery.settled", 2);
  expect(await counted()).toEqual({ reads: 1 });
});

test("three workers in one process each apply the one message to their own view", async () => {
  const started = [accountName, distinctName, hourlyLog].map((projection) => startWorker(projection, store));
  const atMs = Date.now() - 1000;
  await broker.publish(messageOf(event({ atMs }), event({ username: "bob", atMs: atMs - 1000 })));
  const facts = await Promise.all(started.map((worker) => worker.told("delivery.settled")));
  expect(facts.flat()).toMatchObject([
    { queue: "accountName", outcome: "ack", events: 2 },
    { queue: "distinctName", outcome: "ack", events: 2 },
    { queue: "hourlyLog", outcome: "ack", events: 2 },
  ]);
  expect(await counted()).toEqual({ reads: 2 });
  expect(await countedByDay()).toEqual({ reads: 2 });
  expect(await store.accounts({ sinceMs: undefined, page: all })).toEqual([
    { username: "bob", firstSeenMs: atMs - 1000 },
    { username: "ann", firstSeenMs: atMs },
  ]);
});

test("what was settled tells how long ago its message was made", async () => {
  const worker = startWorker(hourlyLog, store);
  await broker.publish(messageOf(event()));
  await broker.publish(encodeRows("no UUIDv7", [rowsOf([event()])]));
  const [timed, untimed] = await worker.told("delivery.settled", 2);
  expect(timed?.ageSeconds).toBeGreaterThanOrEqual(0);
  expect(timed?.ageSeconds).toBeLessThan(60);
  expect(untimed?.ageSeconds).toBeUndefined();
});
