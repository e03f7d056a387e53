import { type Channel, connect } from "amqplib";
import * as fc from "fast-check";
import { randomUUIDv7 } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, inject, test, vi } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openRabbitmqErasure } from "../../src/adapters/rabbitmq/erasure.ts";
import {
  type AcceptedEvent,
  decodeMessage,
  encodeRows,
  type Message,
  rowsOf,
} from "../../src/domain/envelope.ts";
import { countErased, ERASED_REASON } from "../../src/domain/erasure.ts";
import { type ProjectionName, projectionNames } from "../../src/domain/projection.ts";
import type { Broker, DeadLetter, Delivery, Outcome } from "../../src/ports/broker.ts";
import type { IsBegun, QueueErasure } from "../../src/ports/erasure.ts";
import { rubbish } from "../commands/work-off.ts";
import { rabbitmqBroker } from "../contract/rabbitmq.ts";

const brokerAt = inject("broker");
const NAME = "väl-of-the-erased";
const NOW = Date.now();
const event = (username: string, count = 1): AcceptedEvent => ({
  username,
  metric: "reads",
  count,
  atMs: NOW,
  id: undefined,
});
const messageOf = (...events: readonly AcceptedEvent[]): Message =>
  encodeRows(randomUUIDv7(), [rowsOf(events)]);
const poll = { timeout: 120_000, interval: 200 };
/** The tests' broker counts each second: see test/parts/rabbitmq.ts. */
const FIGURES_MS = 4000;
const never: IsBegun = async () => false;
async function listening(answer: RequestListener) {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe.skipIf(brokerAt === undefined)("the erasure of a user from RabbitMQ", { timeout: 600_000 }, () => {
  let world: Awaited<ReturnType<typeof rabbitmqBroker>>;
  let broker: Broker;
  let erasure: QueueErasure;
  /** What happens when a round has gone through the queues, before it asks for figures. */
  let whileItWaits: () => Promise<unknown>;
  beforeEach(async () => {
    if (brokerAt === undefined) throw new Error("skipped");
    whileItWaits = async () => {};
    world = await rabbitmqBroker(brokerAt);
    broker = await world.open();
    await vi.waitFor(() => broker.ready(), poll);
    erasure = openRabbitmqErasure(
      {
        brokerUrl: world.brokerUrl,
        brokerManagementUrl: brokerAt.managementUrl,
        confirmTimeoutMs: 60_000,
        figuresMs: FIGURES_MS,
      },
      {
        now: () => systemClock.now(),
        async sleep(ms, stop) {
          if (ms === FIGURES_MS) await whileItWaits();
          await systemClock.sleep(ms, stop);
        },
      },
    );
  });
  afterEach(async () => {
    await erasure[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  /** Settles so many deliveries of a queue, and resolves to them in their order. */
  async function deliver(
    queue: ProjectionName,
    deliveries: number,
    outcomeOf: (delivery: Delivery) => Outcome = () => ({ kind: "ack" }),
  ): Promise<readonly Delivery[]> {
    const stop = new AbortController();
    const taken: Delivery[] = [];
    if (deliveries === 0) return taken;
    await broker.consume({ queue, prefetch: 1, stop: stop.signal }, async (delivery) => {
      if (taken.length === deliveries) return;
      taken.push(delivery);
      await delivery.settle(outcomeOf(delivery));
      if (taken.length === deliveries) stop.abort();
    });
    return taken;
  }
  const eventsOf = (deliveries: readonly { readonly message: Message }[]) =>
    deliveries.map(({ message }) => [message.id, ...decodeMessage(message).events]);
  const letters = (queue: ProjectionName): Promise<readonly DeadLetter[]> =>
    Array.fromAsync(broker.deadLetters.list(queue));
  const round = (isBegun = never) => erasure.round(NAME, 10_000, isBegun);
  async function asking<T>(ask: (channel: Channel) => Promise<T>): Promise<T> {
    const model = await connect(world.brokerUrl);
    try {
      return await ask(await model.createChannel());
    } finally {
      await model.close();
    }
  }
  /** Publishes into one queue. Resolves to whether it has been taken. */
  async function takes(queue: string, { id: messageId, contentType, body }: Message): Promise<boolean> {
    const model = await connect(world.brokerUrl);
    try {
      const channel = await model.createConfirmChannel();
      const properties = { messageId, contentType, persistent: true };
      return await new Promise((resolve) => {
        channel.sendToQueue(queue, Buffer.from(body), properties, (error) => resolve(error === null));
      });
    } finally {
      await model.close();
    }
  }
  const depth = (queue: string): Promise<number> =>
    asking(async (channel) => (await channel.checkQueue(queue)).messageCount);
  const purge = (queue: string): Promise<unknown> => asking((channel) => channel.purgeQueue(queue));

  test("takes the user out of any messages, and leaves all others as they are, with their ids and as a first attempt", async () => {
    const user = fc.constantFrom("ann", "bob", NAME, `${NAME}r`);
    const some = fc.array(
      fc.tuple(user, fc.integer()).map(([username, count]) => event(username, count)),
      { minLength: 1, maxLength: 4 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(some, { minLength: 1, maxLength: 40 }), async (batches) => {
        for (const queue of projectionNames) await purge(queue);
        const messages = batches.map((events) => messageOf(...events));
        await Promise.all(messages.map((message) => broker.publish(message)));
        const { erased } = await round();
        const taken = batches.flat().filter(({ username }) => username === NAME).length;
        expect(erased).toMatchObject({ events: taken * projectionNames.length, unreadable: 0 });
        const left = messages
          .map((message, index) => [
            message.id,
            ...(batches[index] ?? []).filter(({ username }) => username !== NAME),
          ])
          .filter(({ length }) => length > 1);
        for (const queue of projectionNames) {
          await expect.poll(() => depth(queue), poll).toBe(left.length);
          const found = await deliver(queue, left.length);
          expect(eventsOf(found).toSorted(byId)).toEqual(left.toSorted(byId));
          expect(found.every(({ attempt }) => attempt === 1)).toBe(true);
        }
      }),
      { numRuns: 4, endOnFailure: true },
    );
  });
  const byId = (one: readonly unknown[], other: readonly unknown[]): number =>
    String(one[0]) < String(other[0]) ? -1 : 1;

  test("a retry keeps its attempts, and a dead letter its attempts, its time and a reason without the name", async () => {
    const retried = messageOf(event(NAME), event("ann"));
    const dead = messageOf(event(NAME, 2), event("bob"));
    const lost = messageOf(event(NAME, 3));
    for (const message of [retried, dead, lost]) await broker.publish(message);
    await broker.publish(rubbish(`text/csv; of=${NAME}`, "1"));
    await broker.publish(rubbish("text/csv", "bob,1"));
    await deliver("hourlyLog", 5, ({ message }) =>
      message.id === retried.id
        ? { kind: "retry", afterMs: 900 }
        : { kind: "deadLetter", reason: message.id === dead.id ? `no use for "${NAME}"` : "of no use" },
    );
    const before = await letters("hourlyLog");
    expect(before).toHaveLength(4);
    const first = await round();
    // Of the other two queues: 3 messages with an event, and one that nobody can read.
    expect(first.erased).toMatchObject({ events: 9, unreadable: 3, deadLetters: 2 });
    expect(await round()).toEqual({ erased: expect.anything(), inHand: 0, tooNew: 0 });
    expect(erasure.holding()).toEqual([]);
    const left = await letters("hourlyLog");
    expect(left.map(({ reason }) => reason)).toEqual([ERASED_REASON, "of no use"]);
    const [letter] = left;
    expect(letter).toMatchObject({ attempts: 1, deadAtMs: before[0]?.deadAtMs, id: dead.id });
    expect(eventsOf(left.slice(0, 1))).toEqual([[dead.id, event("bob")]]);
    const [again] = await deliver("hourlyLog", 1);
    expect(again?.attempt).toBe(2);
    expect(eventsOf(again === undefined ? [] : [again])).toEqual([[retried.id, event("ann")]]);
  });

  test("refuses to begin while a worker is at work, and changes nothing", async () => {
    await broker.publish(messageOf(event(NAME)));
    const stop = new AbortController();
    const consumed = broker.consume({ queue: "hourlyLog", prefetch: 1, stop: stop.signal }, async () => {});
    await expect.poll(() => depth("hourlyLog"), poll).toBe(0);
    await expect(erasure.round(NAME, 500, never)).rejects.toThrow(
      /a worker takes from the queue hourlyLog: stop all workers/,
    );
    expect(await depth("distinctName")).toBe(1);
    stop.abort();
    await consumed;
    // It waits for one that is about to end.
    expect((await round()).erased.events).toBe(3);
  });

  test.for(["no answer", "no statistics"])(
    "without a management API that tells what is in hand (%s) it ends before anything is changed",
    async (lack) => {
      const message = messageOf(event(NAME));
      await broker.publish(message);
      const queues = projectionNames.flatMap((name) => [{ name }, { name: `${name}.dead` }]);
      await using api = await listening((_, response) => {
        response.statusCode = lack === "no answer" ? 503 : 200;
        response.end(JSON.stringify(queues));
      });
      let now = 0;
      await using blind = openRabbitmqErasure(
        { brokerUrl: world.brokerUrl, brokerManagementUrl: api.url, confirmTimeoutMs: 60_000 },
        { now: () => now, sleep: async (ms) => void (now += ms) },
      );
      await expect(blind.round(NAME, 0, never)).rejects.toMatchObject({
        code: "BROKER_UNAVAILABLE",
        detail: expect.stringContaining("the management API"),
      });
      for (const queue of projectionNames)
        expect(eventsOf(await deliver(queue, 1))).toEqual([[message.id, event(NAME)]]);
    },
  );

  test("a dead letter that somebody looks at meanwhile is told to be in hand, and found once it is back", async () => {
    await broker.publish(messageOf(event(NAME)));
    await deliver("hourlyLog", 1, () => ({ kind: "deadLetter", reason: "of no use" }));
    await deliver("accountName", 1);
    await deliver("distinctName", 1);
    const looking = broker.deadLetters.list("hourlyLog")[Symbol.asyncIterator]();
    await looking.next();
    const during = await erasure.round(NAME, 0, never);
    expect(during.inHand).toBe(1);
    expect(countErased(during.erased)).toBe(0);
    whileItWaits = async () => looking.return?.();
    const after = await round();
    expect(after).toMatchObject({ inHand: 1, erased: { events: 1, deadLetters: 1 } });
    expect(await round()).toMatchObject({ inHand: 0, erased: { events: 0 } });
    expect(await letters("hourlyLog")).toEqual([]);
  });

  test("a message that a store holds a part of is left as it is, and told to be in hand", async () => {
    const begun = messageOf(event(NAME), event("ann"));
    await broker.publish(begun);
    const asked = new Map<string, unknown>();
    const isBegun: IsBegun = async (queue, message) => {
      asked.set(queue, message);
      return queue === "hourlyLog";
    };
    expect(await round(isBegun)).toMatchObject({ inHand: 1, erased: { events: 2 } });
    expect(asked).toEqual(new Map(projectionNames.map((queue) => [queue, { id: begun.id, events: 2 }])));
    expect(erasure.holding()).toEqual(["the queue hourlyLog"]);
    expect(eventsOf(await deliver("hourlyLog", 1))).toEqual([[begun.id, event(NAME), event("ann")]]);
  });

  test("at a queue's length limit it ends with an error that says so, and nothing is lost; it goes on afterwards", async () => {
    const { managementUrl = "" } = brokerAt ?? {};
    const api = new URL(managementUrl);
    const headers = {
      authorization: `Basic ${btoa(`${api.username}:${api.password}`)}`,
      "content-type": "application/json",
    };
    const vhost = new URL(world.brokerUrl).pathname.slice(1);
    const policy = `${api.origin}/api/policies/${vhost}/short`;
    // More than are out of the queue at a time: only what is in it counts towards its limit.
    const shared = Array.from({ length: 40 }, () => messageOf(event(NAME), event("ann")));
    for (const message of shared) await broker.publish(message);
    const others: Message[] = [];
    /** A policy is in force some time after it was put. */
    const accepts = async (): Promise<boolean> => {
      const message = messageOf(event("bob"));
      const isTaken = await takes("hourlyLog", message);
      if (isTaken) others.push(message);
      return isTaken;
    };
    await fetch(policy, {
      method: "PUT",
      headers,
      body: JSON.stringify({
        pattern: "^hourlyLog$",
        "apply-to": "queues",
        definition: { "max-length": 1, overflow: "reject-publish" },
      }),
    });
    await expect.poll(accepts, poll).toBe(false);
    await expect(round()).rejects.toMatchObject({ code: "BROKER_FULL" });
    await expect.poll(() => depth("hourlyLog"), poll).toBe(shared.length + others.length);
    await fetch(policy, { method: "DELETE", headers });
    await expect.poll(accepts, poll).toBe(true);
    await expect.poll(() => round().then(({ inHand }) => inHand, String), poll).toBe(0);
    const left = [
      ...shared.map(({ id }) => [id, event("ann")]),
      ...others.map(({ id }) => [id, event("bob")]),
    ];
    const found = eventsOf(await deliver("hourlyLog", left.length));
    expect(found.toSorted(byId)).toEqual(left.toSorted(byId));
    expect(await depth("hourlyLog")).toBe(0);
  });

  test("many more messages than are out of the queue at a time are gone through, while further ones come in", async () => {
    const held = 100;
    for (let index = 0; index < held; index += 1) await broker.publish(messageOf(event(NAME), event("ann")));
    const coming = new AbortController();
    let more = 0;
    const publishing = (async () => {
      for (; !coming.signal.aborted; more += 1) await broker.publish(messageOf(event("bob")));
    })();
    publishing.catch(() => {});
    const { erased } = await round();
    coming.abort();
    await publishing;
    await expect.poll(() => depth("hourlyLog"), poll).toBe(held + more);
    expect(erased.events).toBe(3 * held);
    const found = eventsOf(await deliver("hourlyLog", held + more)).map(([, one]) => one);
    const by = (username: string) => found.filter((one) => (one as AcceptedEvent).username === username);
    expect([by("ann").length, by("bob").length, by(NAME).length]).toEqual([held, more, 0]);
  });
});
