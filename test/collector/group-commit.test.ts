import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { GroupCommit } from "../../src/collector/group-commit.ts";
import { decodeMessage, encodeRows, type Message, rowsOf } from "../../src/domain/envelope.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Publisher } from "../../src/ports/broker.ts";
import type { Emit, SignalName, Signals } from "../../src/signals.ts";
import { embeddedBroker } from "../contract/embedded.ts";

/** The remote side: a broker that confirms or refuses each message when the test says so. */
class HeldPublisher implements Publisher {
  readonly messages: Message[] = [];
  readonly #confirms: PromiseWithResolvers<void>[] = [];
  #waiters: { readonly count: number; readonly resolve: () => void }[] = [];

  publish(message: Message): Promise<void> {
    this.messages.push(message);
    const confirm = Promise.withResolvers<void>();
    this.#confirms.push(confirm);
    for (const waiter of this.#waiters) if (this.messages.length >= waiter.count) waiter.resolve();
    return confirm.promise;
  }
  /** Resolves once so many messages were published. */
  async published(count: number): Promise<void> {
    if (this.messages.length >= count) return;
    await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }));
  }
  confirm(index: number): void {
    this.#confirms[index]?.resolve();
  }
  refuse(index: number, error: Error): void {
    this.#confirms[index]?.reject(error);
  }
  /** The usernames in each message. */
  get groups(): readonly (readonly string[])[] {
    return this.messages.map((message) => decodeMessage(message).events.map((event) => event.username));
  }
}

function groupCommit(publisher: Publisher, maxEvents = 100) {
  const told: { readonly name: SignalName; readonly fact: unknown }[] = [];
  const emit: Emit = (name, fact) => void told.push({ name, fact });
  let ids = 0;
  const encode = (rows: readonly string[]) => encodeRows(`m${(ids += 1)}`, rows);
  const group = new GroupCommit({ publisher, encode, emit }, maxEvents);
  return {
    /** A request of one event for each username. */
    add: (...usernames: readonly string[]): Promise<void> =>
      group.add({
        rows: rowsOf(
          usernames.map((username) => ({ username, metric: "reads", count: 1, atMs: 0, id: undefined })),
        ),
        events: usernames.length,
      }),
    all: <K extends SignalName>(name: K) =>
      told.filter((one) => one.name === name).map((one) => one.fact as Signals[K]),
  };
}

/** What has become of promises by the end of this turn. */
async function statesOf(promises: readonly Promise<void>[]): Promise<readonly string[]> {
  const states = promises.map(() => "waiting");
  promises.forEach((promise, i) => {
    promise.then(
      () => (states[i] = "confirmed"),
      () => (states[i] = "refused"),
    );
  });
  await setImmediate();
  return states;
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe("a request alone", () => {
  test("goes at once, as a message of its own", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher);
    const request = add("ann");
    await setImmediate();
    expect(publisher.groups).toEqual([["ann"]]);
    publisher.confirm(0);
    await request;
  });

  test("is confirmed by the broker, and not before", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher);
    const request = add("ann");
    await publisher.published(1);
    expect(await statesOf([request])).toEqual(["waiting"]);
    publisher.confirm(0);
    expect(await statesOf([request])).toEqual(["confirmed"]);
  });

  test("after another that is confirmed has a message of its own too", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher);
    for (const [i, name] of ["ann", "bob"].entries()) {
      const request = add(name);
      await publisher.published(i + 1);
      publisher.confirm(i);
      await request;
    }
    expect(publisher.groups).toEqual([["ann"], ["bob"]]);
    expect(publisher.messages.map(({ id }) => id)).toEqual(["m1", "m2"]);
  });
});

describe("requests that arrive", () => {
  test("in one turn go together", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher);
    const requests = [add("ann"), add("bob", "cid"), add("dee")];
    await publisher.published(1);
    expect(publisher.groups).toEqual([["ann", "bob", "cid", "dee"]]);
    publisher.confirm(0);
    await Promise.all(requests);
  });

  test("while a publish is unconfirmed wait for it, and go together in the next", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher);
    const requests = [add("ann")];
    await publisher.published(1);
    for (const name of ["bob", "cid", "dee"]) {
      requests.push(add(name));
      await setImmediate();
    }
    expect(publisher.groups).toEqual([["ann"]]);
    publisher.confirm(0);
    await publisher.published(2);
    expect(publisher.groups).toEqual([["ann"], ["bob", "cid", "dee"]]);
    expect(await statesOf(requests)).toEqual(["confirmed", "waiting", "waiting", "waiting"]);
    publisher.confirm(1);
    await Promise.all(requests);
  });

  test("as one are never split over two messages, however many events they have", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher, 4);
    const large = named("a", 11);
    const requests = [add("ann"), add(...large), add("bob")];
    await publisher.published(1);
    publisher.confirm(0);
    await publisher.published(2);
    publisher.confirm(1);
    await Promise.all(requests);
    expect(publisher.groups).toEqual([["ann", ...large], ["bob"]]);
  });
});

describe("a full group", () => {
  test("does not wait for the publish before it", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher, 4);
    const requests = [add("ann")];
    await publisher.published(1);
    requests.push(add("b0", "b1", "b2"));
    await setImmediate();
    expect(publisher.groups).toHaveLength(1);
    requests.push(add("b3"));
    await publisher.published(2);
    expect(publisher.groups).toEqual([["ann"], ["b0", "b1", "b2", "b3"]]);
    publisher.confirm(1);
    expect(await statesOf(requests)).toEqual(["waiting", "confirmed", "confirmed"]);
    publisher.confirm(0);
    await Promise.all(requests);
  });

  test("waits when eight messages are on their way, and goes when one of them is confirmed", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher, 2);
    const requests = Array.from({ length: 20 }, (_, i) => add(...named(`${i}-`, 2)));
    await publisher.published(8);
    await setImmediate();
    expect(publisher.messages).toHaveLength(8);
    for (let confirmed = 0; confirmed < 20; confirmed += 1) {
      publisher.confirm(confirmed);
      await requests[confirmed];
      await setImmediate();
      expect(publisher.messages).toHaveLength(Math.min(20, 9 + confirmed));
    }
    expect(publisher.groups.flat()).toEqual(Array.from({ length: 20 }, (_, i) => named(`${i}-`, 2)).flat());
  });

  test("leaves the requests behind it together for the next", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher, 3);
    const requests = named("a", 8).map((name) => add(name));
    await publisher.published(2);
    expect(publisher.groups).toEqual([
      ["a0", "a1", "a2"],
      ["a3", "a4", "a5"],
    ]);
    publisher.confirm(0);
    await requests[0];
    await setImmediate();
    // Not full, and one is still on its way.
    expect(publisher.messages).toHaveLength(2);
    publisher.confirm(1);
    await publisher.published(3);
    expect(publisher.groups[2]).toEqual(["a6", "a7"]);
    publisher.confirm(2);
    await Promise.all(requests);
  });
});

describe("a publish that failed", () => {
  test("rejects all the requests of its message, and only those", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher);
    const requests = [add("ann")];
    await publisher.published(1);
    requests.push(add("bob"), add("cid"));
    publisher.confirm(0);
    await publisher.published(2);
    requests.push(add("dee"));
    const error = new MillraceError("BROKER_FULL", "no room");
    publisher.refuse(1, error);
    await publisher.published(3);
    publisher.confirm(2);
    const results = await Promise.allSettled(requests);
    expect(results).toEqual(
      [
        { status: "fulfilled" },
        { status: "rejected", reason: error },
        { status: "rejected", reason: error },
        { status: "fulfilled" },
      ].map((result) => expect.objectContaining(result)),
    );
    expect(publisher.groups).toEqual([["ann"], ["bob", "cid"], ["dee"]]);
  });

  test("makes room for the next as one that was confirmed does", async () => {
    const publisher = new HeldPublisher();
    const { add } = groupCommit(publisher, 1);
    const requests = named("a", 30).map((name) => add(name));
    const settled = Promise.allSettled(requests);
    for (let i = 0; i < 30; i += 1) {
      await publisher.published(i + 1);
      publisher.refuse(i, new Error("cut"));
    }
    expect((await settled).every(({ status }) => status === "rejected")).toBe(true);
    const after = add("bob");
    await publisher.published(31);
    publisher.confirm(30);
    await after;
  });

  test("for a reason that nobody foresaw is told as BROKER_UNAVAILABLE", async () => {
    const publisher = new HeldPublisher();
    const { add, all } = groupCommit(publisher);
    const request = add("ann");
    await publisher.published(1);
    publisher.refuse(0, new Error("cut"));
    await expect(request).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE", detail: "cut" });
    expect(all("publish.failed")).toMatchObject([{ events: 1, code: "BROKER_UNAVAILABLE" }]);
  });

  test("because it threw at once rejects its request", async () => {
    const { add } = groupCommit({
      publish: () => {
        throw new MillraceError("BROKER_FULL", "no room");
      },
    });
    await expect(add("ann")).rejects.toMatchObject({ code: "BROKER_FULL" });
    await expect(add("bob")).rejects.toMatchObject({ code: "BROKER_FULL" });
  });
});

test("what was published and what failed is told, once a message", async () => {
  const publisher = new HeldPublisher();
  const { add, all } = groupCommit(publisher);
  const requests = [add("ann", "bob"), add("cid")];
  await publisher.published(1);
  requests.push(add("dee", "eve"), add("fay"));
  publisher.confirm(0);
  await publisher.published(2);
  const error = new MillraceError("PUBLISH_UNCONFIRMED", "within 5000 ms");
  publisher.refuse(1, error);
  await Promise.allSettled(requests);
  const bytes = publisher.messages[0]?.body.byteLength;
  expect(all("message.published")).toEqual([
    { events: 3, bytes, seconds: expect.any(Number), waitSeconds: expect.any(Number) },
  ]);
  expect(all("message.published")[0]?.seconds).toBeGreaterThanOrEqual(0);
  expect(all("message.published")[0]?.waitSeconds).toBeGreaterThanOrEqual(0);
  expect(all("publish.failed")).toEqual([{ events: 3, code: "PUBLISH_UNCONFIRMED", error }]);
});

test("through a real broker every request's events arrive whole and once", async () => {
  await using world = await embeddedBroker();
  await using broker = await world.open();
  const { add, all } = groupCommit(broker, 10);
  const sizes = Array.from({ length: 300 }, (_, i) => 1 + (i % 7));
  await Promise.all(sizes.map((size, i) => add(...named(`${i}-`, size))));
  const stop = new AbortController();
  const seen: string[][] = [];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  await broker.consume({ queue: "hourlyLog", prefetch: 16, stop: stop.signal }, async (delivery) => {
    seen.push(decodeMessage(delivery.message).events.map((event) => event.username));
    await delivery.settle({ kind: "ack" });
    if (seen.flat().length >= total) stop.abort();
  });
  expect(seen.flat().toSorted()).toEqual(sizes.flatMap((size, i) => named(`${i}-`, size)).toSorted());
  for (const [i, size] of sizes.entries()) {
    const homes = seen.filter((usernames) => usernames.includes(`${i}-0`));
    expect(homes).toHaveLength(1);
    expect(homes[0]).toEqual(expect.arrayContaining(named(`${i}-`, size)));
  }
  expect(all("message.published").reduce((sum, { events }) => sum + events, 0)).toBe(total);
});
