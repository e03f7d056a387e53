import { randomUUIDv7 } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Message } from "../../src/domain/envelope.ts";
import { type ProjectionName, projectionNames } from "../../src/domain/projection.ts";
import type { Backlog, Broker, DeadLetter, Delivery, Outcome } from "../../src/ports/broker.ts";

/** A broker's world: what outlives the connection. */
export interface BrokerWorld extends AsyncDisposable {
  /** Opens another connection to the same queues; the caller closes it. */
  open(): Promise<Broker>;
}

const messageOf = (text: string): Message => ({
  id: randomUUIDv7(),
  contentType: "application/x-test",
  body: Buffer.from(text),
});
const textOf = (delivery: Delivery): string => Buffer.from(delivery.message.body).toString();
const ack: Outcome = { kind: "ack" };

/** A consumer that answers each delivery with what `answer` gives, or leaves it unsettled. */
function startConsumer(
  broker: Broker,
  queue: ProjectionName,
  prefetch: number,
  answer: (delivery: Delivery) => Outcome | undefined,
) {
  const stop = new AbortController();
  const taken: Delivery[] = [];
  const waiters: { readonly count: number; readonly resolve: (taken: readonly Delivery[]) => void }[] = [];
  const ended = broker.consume({ queue, prefetch, stop: stop.signal }, async (delivery) => {
    const outcome = answer(delivery);
    if (outcome !== undefined) await delivery.settle(outcome);
    taken.push(delivery);
    for (const waiter of waiters) if (taken.length >= waiter.count) waiter.resolve(taken);
  });
  ended.catch(() => {});
  return {
    taken,
    ended,
    /** Resolves once so many deliveries were taken. */
    async took(count: number): Promise<readonly Delivery[]> {
      if (taken.length >= count) return taken;
      const reached = new Promise<readonly Delivery[]>((resolve) => waiters.push({ count, resolve }));
      return Promise.race([reached, ended.then(() => taken)]);
    },
    async stop(): Promise<void> {
      stop.abort();
      await ended;
    },
  };
}

/** What every broker adapter must do. `make` is called once a test; undefined where there is no such broker here, which skips all. */
export function brokerContract(name: string, make: (() => Promise<BrokerWorld>) | undefined): void {
  describe.skipIf(make === undefined)(`the broker contract on ${name}`, () => {
    let world: BrokerWorld;
    let broker: Broker;
    beforeEach(async () => {
      if (make === undefined) throw new Error("skipped");
      world = await make();
      broker = await world.open();
    });
    afterEach(async () => {
      await broker[Symbol.asyncDispose]();
      await world[Symbol.asyncDispose]();
    });
    const reopen = async () => {
      await broker[Symbol.asyncDispose]();
      broker = await world.open();
    };
    /** A broker may tell its figures some seconds late. */
    const backlogIs = (queue: ProjectionName, expected: Backlog) =>
      expect.poll(() => broker.backlog(queue), { timeout: 20_000 }).toEqual(expected);
    const deadLettersOf = (queue: ProjectionName) => Array.fromAsync(broker.deadLetters.list(queue));

    test("a published message reaches every queue as it was, as attempt 1", async () => {
      const body = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));
      const message = { ...messageOf(""), body };
      await broker.publish(message);
      for (const queue of projectionNames) {
        const consumer = startConsumer(broker, queue, 10, () => ack);
        const [delivery] = await consumer.took(1);
        expect(delivery?.attempt).toBe(1);
        expect(delivery?.message.id).toBe(message.id);
        expect(delivery?.message.contentType).toBe(message.contentType);
        expect(Buffer.compare(Buffer.from(delivery?.message.body ?? []), body)).toBe(0);
        await consumer.stop();
      }
    });

    test("messages published before and after a consumer started come oldest first", async () => {
      for (const text of ["a", "b"]) await broker.publish(messageOf(text));
      const consumer = startConsumer(broker, "hourlyLog", 10, () => ack);
      await consumer.took(2);
      for (const text of ["c", "d"]) await broker.publish(messageOf(text));
      expect((await consumer.took(4)).map(textOf)).toEqual(["a", "b", "c", "d"]);
      await consumer.stop();
    });

    test("a message of five mebibytes arrives whole", async () => {
      const body = Buffer.alloc(5 * 1024 * 1024, "millrace ");
      await broker.publish({ ...messageOf(""), body });
      const consumer = startConsumer(broker, "accountName", 10, () => ack);
      const [delivery] = await consumer.took(1);
      expect(Buffer.compare(Buffer.from(delivery?.message.body ?? []), body)).toBe(0);
      await consumer.stop();
    });

    test("no more than prefetch deliveries are unsettled, and each settlement brings the next", async () => {
      for (let i = 0; i < 5; i += 1) await broker.publish(messageOf(String(i)));
      const consumer = startConsumer(broker, "hourlyLog", 2, () => undefined);
      await consumer.took(2);
      await backlogIs("hourlyLog", { ready: 3, unsettled: 2, deadLetters: 0 });
      expect(consumer.taken.length).toBe(2);
      await consumer.taken[0]?.settle(ack);
      await consumer.took(3);
      await backlogIs("hourlyLog", { ready: 2, unsettled: 2, deadLetters: 0 });
      expect(consumer.taken.map(textOf)).toEqual(["0", "1", "2"]);
      await consumer.stop();
    });

    test("a confirmed message and its place in the queues survive a restart of the broker", async () => {
      for (const text of ["a", "b", "c"]) await broker.publish(messageOf(text));
      const before = startConsumer(broker, "hourlyLog", 1, (delivery) =>
        textOf(delivery) === "a" ? ack : undefined,
      );
      await before.took(2);
      await before.stop();
      await reopen();
      const hourly = startConsumer(broker, "hourlyLog", 10, () => ack);
      const accounts = startConsumer(broker, "accountName", 10, () => ack);
      expect((await hourly.took(2)).map((delivery) => [textOf(delivery), delivery.attempt])).toEqual([
        ["b", 2],
        ["c", 1],
      ]);
      expect((await accounts.took(3)).map(textOf)).toEqual(["a", "b", "c"]);
      await Promise.all([hourly.stop(), accounts.stop()]);
    });

    test("an acknowledged delivery never comes again", async () => {
      for (let i = 0; i < 20; i += 1) await broker.publish(messageOf(String(i)));
      const first = startConsumer(broker, "distinctName", 4, () => ack);
      await first.took(20);
      await first.stop();
      await reopen();
      await backlogIs("distinctName", { ready: 0, unsettled: 0, deadLetters: 0 });
      await broker.publish(messageOf("last"));
      const second = startConsumer(broker, "distinctName", 4, () => ack);
      expect((await second.took(1)).map(textOf)).toEqual(["last"]);
      await second.stop();
    });

    test("a delivery left unsettled comes again once its consumer has ended, as attempt 2", async () => {
      await broker.publish(messageOf("a"));
      const first = startConsumer(broker, "hourlyLog", 1, () => undefined);
      await first.took(1);
      await first.stop();
      const second = startConsumer(broker, "hourlyLog", 1, () => ack);
      const [again] = await second.took(1);
      expect([again && textOf(again), again?.attempt]).toEqual(["a", 2]);
      await second.stop();
    });

    test("a retried delivery waits its delay, counts its attempt and holds up nobody", async () => {
      await broker.publish(messageOf("bad"));
      await broker.publish(messageOf("good"));
      const settledAt = { retry: 0, again: 0 };
      const consumer = startConsumer(broker, "hourlyLog", 1, (delivery) => {
        if (textOf(delivery) === "good") return ack;
        if (delivery.attempt > 1) {
          settledAt.again = performance.now();
          return ack;
        }
        settledAt.retry = performance.now();
        return { kind: "retry", afterMs: 300 };
      });
      const order = (await consumer.took(3)).map((delivery) => `${textOf(delivery)} ${delivery.attempt}`);
      expect(order).toEqual(["bad 1", "good 1", "bad 2"]);
      // Not a speed: the delay is a lower bound, whatever the machine does (timers may fire a millisecond early).
      expect(settledAt.again - settledAt.retry).toBeGreaterThanOrEqual(295);
      await consumer.stop();
    });

    test("the attempt count survives a restart of the broker", async () => {
      await broker.publish(messageOf("a"));
      const first = startConsumer(broker, "hourlyLog", 1, () => ({ kind: "retry", afterMs: 1 }));
      await first.took(3);
      await first.stop();
      const reached = first.taken.at(-1)?.attempt ?? 0;
      await reopen();
      const second = startConsumer(broker, "hourlyLog", 1, () => ack);
      const [delivery] = await second.took(1);
      expect(delivery?.attempt).toBe(reached + 1);
      await second.stop();
    });

    test("a dead letter keeps its message, reason and attempts, and leaves the other queues alone", async () => {
      const message = messageOf("poison");
      await broker.publish(message);
      const consumer = startConsumer(broker, "hourlyLog", 1, ({ attempt }) =>
        attempt < 3 ? { kind: "retry", afterMs: 1 } : { kind: "deadLetter", reason: "it is bad" },
      );
      await consumer.took(3);
      await consumer.stop();
      await reopen();
      const letters = await deadLettersOf("hourlyLog");
      expect(letters).toHaveLength(1);
      expect(letters[0]).toMatchObject({ queue: "hourlyLog", reason: "it is bad", attempts: 3 });
      expect(letters[0]?.message.id).toBe(message.id);
      expect(Buffer.from(letters[0]?.message.body ?? []).toString()).toBe("poison");
      await backlogIs("hourlyLog", { ready: 0, unsettled: 0, deadLetters: 1 });
      await backlogIs("accountName", { ready: 1, unsettled: 0, deadLetters: 0 });
    });

    test("dead letters are listed oldest first and left where they are, replayed as attempt 1 and dropped for good", async () => {
      for (const text of ["a", "b", "c"]) await broker.publish(messageOf(text));
      const bury = startConsumer(broker, "hourlyLog", 1, () => ({ kind: "deadLetter", reason: "why" }));
      await bury.took(3);
      await bury.stop();
      for (let times = 1; times <= 3; times += 1) {
        const listed = await deadLettersOf("hourlyLog");
        expect(listed.map((letter) => Buffer.from(letter.message.body).toString())).toEqual(["a", "b", "c"]);
      }
      const [a, b, c] = await deadLettersOf("hourlyLog");
      for await (const first of broker.deadLetters.list("hourlyLog")) {
        expect(first.id).toBe(a?.id);
        break;
      }
      const asItWas = (letter: DeadLetter | undefined) => ({ id: letter?.id ?? "", repaired: undefined });
      const drop = (letter: DeadLetter | undefined, laterMs = 0) => ({
        id: letter?.id ?? "",
        deadAtMs: (letter?.deadAtMs ?? 0) + laterMs,
      });
      // As if that one had been replayed and had died again since it was listed.
      expect(await broker.deadLetters.drop("hourlyLog", [drop(b, -1), drop(b, 1)])).toBe(0);
      const gone = { id: "424242", deadAtMs: drop(b).deadAtMs };
      expect(await broker.deadLetters.drop("hourlyLog", [drop(b), gone, drop(b)])).toBe(1);
      const consumer = startConsumer(broker, "hourlyLog", 5, () => ack);
      expect(await broker.deadLetters.replay("hourlyLog", [asItWas(a), asItWas(c), asItWas(b)])).toBe(2);
      const replayed = await consumer.took(2);
      expect(replayed.map((delivery) => `${textOf(delivery)} ${delivery.attempt}`).toSorted()).toEqual([
        "a 1",
        "c 1",
      ]);
      await consumer.stop();
      await backlogIs("hourlyLog", { ready: 0, unsettled: 0, deadLetters: 0 });
    });

    test("a dead letter can be replayed repaired, under the id of its message, in its own queue alone", async () => {
      const message = messageOf("broken");
      await broker.publish(message);
      for (const queue of ["hourlyLog", "accountName"] as const) {
        const bury = startConsumer(broker, queue, 1, () => ({ kind: "deadLetter", reason: "why" }));
        await bury.took(1);
        await bury.stop();
      }
      const [letter] = await deadLettersOf("hourlyLog");
      const repaired = { contentType: "application/x-repaired", body: Buffer.from("mended") };
      expect(await broker.deadLetters.replay("hourlyLog", [{ id: letter?.id ?? "", repaired }])).toBe(1);
      const consumer = startConsumer(broker, "hourlyLog", 1, () => ack);
      const [delivery] = await consumer.took(1);
      expect(delivery && textOf(delivery)).toBe("mended");
      expect(delivery?.message).toMatchObject({ id: message.id, contentType: "application/x-repaired" });
      expect(delivery?.attempt).toBe(1);
      await consumer.stop();
      const [untouched] = await deadLettersOf("accountName");
      expect(Buffer.from(untouched?.message.body ?? []).toString()).toBe("broken");
    });

    test("a message keeps its trace over a retry, a dead letter and a replay, as it was or repaired", async () => {
      const trace = {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate: "vendor=of its own,other=2",
      };
      await broker.publish({ ...messageOf("a"), trace });
      await broker.publish({ ...messageOf("b"), trace });
      const bury = startConsumer(broker, "hourlyLog", 1, ({ attempt }) =>
        attempt < 2 ? { kind: "retry", afterMs: 1 } : { kind: "deadLetter", reason: "why" },
      );
      await bury.took(4);
      await bury.stop();
      expect(bury.taken.map(({ attempt, message }) => [attempt, message.trace])).toEqual([
        [1, trace],
        [1, trace],
        [2, trace],
        [2, trace],
      ]);
      await reopen();
      const [a, b] = await deadLettersOf("hourlyLog");
      expect([a?.message.trace, b?.message.trace]).toEqual([trace, trace]);
      const repaired = { contentType: "application/x-repaired", body: Buffer.from("mended") };
      const letters = [
        { id: a?.id ?? "", repaired: undefined },
        { id: b?.id ?? "", repaired },
      ];
      expect(await broker.deadLetters.replay("hourlyLog", letters)).toBe(2);
      const consumer = startConsumer(broker, "hourlyLog", 2, () => ack);
      await consumer.took(2);
      await consumer.stop();
      expect(Object.fromEntries(consumer.taken.map((one) => [textOf(one), one.message.trace]))).toEqual({
        a: trace,
        mended: trace,
      });
    });

    test("a message without a trace has none, and one without a vendor's state has none of that", async () => {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
      await broker.publish(messageOf("a"));
      await broker.publish({ ...messageOf("b"), trace: { traceparent, tracestate: undefined } });
      for (const queue of projectionNames) {
        const consumer = startConsumer(broker, queue, 2, () => ack);
        await consumer.took(2);
        await consumer.stop();
        expect(consumer.taken.map(({ message }) => message.trace)).toEqual([
          undefined,
          { traceparent, tracestate: undefined },
        ]);
      }
    });

    test("a second consumer of a queue gets what the first leaves when it ends", async () => {
      const first = startConsumer(broker, "hourlyLog", 1, () => undefined);
      await broker.publish(messageOf("a"));
      await first.took(1);
      const second = startConsumer(broker, "hourlyLog", 1, () => ack);
      await first.stop();
      const [delivery] = await second.took(1);
      expect(delivery && textOf(delivery)).toBe("a");
      await second.stop();
    });

    test("a message published over one connection reaches a consumer on another", async () => {
      await using other = await world.open();
      const consumer = startConsumer(broker, "hourlyLog", 1, () => ack);
      await other.publish(messageOf("a"));
      const [delivery] = await consumer.took(1);
      expect(delivery && textOf(delivery)).toBe("a");
      await consumer.stop();
    });

    test("consume ends only when the deliveries in hand have been dealt with", async () => {
      await broker.publish(messageOf("a"));
      const stop = new AbortController();
      const hands = Promise.withResolvers<void>();
      const taken = Promise.withResolvers<void>();
      let settled = false;
      const ended = broker.consume(
        { queue: "hourlyLog", prefetch: 1, stop: stop.signal },
        async (delivery) => {
          taken.resolve();
          await hands.promise;
          await delivery.settle(ack);
          settled = true;
        },
      );
      await taken.promise;
      stop.abort();
      hands.resolve();
      await ended;
      expect(settled).toBe(true);
      await backlogIs("hourlyLog", { ready: 0, unsettled: 0, deadLetters: 0 });
    });

    test("consume rejects when a delivery cannot be dealt with, and the delivery comes again", async () => {
      await broker.publish(messageOf("a"));
      const broken = broker.consume(
        { queue: "hourlyLog", prefetch: 1, stop: new AbortController().signal },
        () => Promise.reject(new Error("no hands")),
      );
      await expect(broken).rejects.toThrow("no hands");
      const consumer = startConsumer(broker, "hourlyLog", 1, () => ack);
      const [delivery] = await consumer.took(1);
      expect(delivery?.attempt).toBe(2);
      await consumer.stop();
    });

    test("many publishers at once lose nothing and keep each message whole", async () => {
      const texts = Array.from({ length: 500 }, (_, i) => `message ${i}`);
      const consumer = startConsumer(broker, "hourlyLog", 32, () => ack);
      await Promise.all(texts.map((text) => broker.publish(messageOf(text))));
      const seen = (await consumer.took(texts.length)).map(textOf);
      expect(seen.toSorted()).toEqual(texts.toSorted());
      await consumer.stop();
    });

    test("a broker that is closed refuses, with a code", async () => {
      const other = await world.open();
      await other[Symbol.asyncDispose]();
      await expect(other.publish(messageOf("a"))).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
      await expect(other.ready()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
      await expect(broker.ready()).resolves.toBeUndefined();
    });
  });
}
