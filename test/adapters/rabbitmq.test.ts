import { connect } from "amqplib";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openRabbitmqBroker } from "../../src/adapters/rabbitmq/broker.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Broker, Delivery } from "../../src/ports/broker.ts";
import { type RabbitmqAt, rabbitmqBroker } from "../contract/rabbitmq.ts";
import { type BrokerPart, startBrokerPart } from "../parts/parts.ts";

const missing = inject("broker") === undefined;
/** A broker of this file's own: it is killed, and told that it is out of memory. */
let part: BrokerPart;
let at: RabbitmqAt & { readonly brokerUrl: string };
let world: Awaited<ReturnType<typeof rabbitmqBroker>>;
let broker: Broker;

beforeAll(async () => {
  if (!missing) part = await startBrokerPart();
}, 300_000);
afterAll(async () => {
  if (!missing) await part[Symbol.asyncDispose]();
});
beforeEach(async () => {
  if (missing) return;
  world = await rabbitmqBroker(part);
  at = { url: part.url, managementUrl: part.managementUrl, brokerUrl: world.brokerUrl };
  broker = await world.open();
});
afterEach(async () => {
  if (missing) return;
  await broker[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

let made = 0;
const message = () => {
  made += 1;
  const id = `m${made}`;
  return encodeRows(id, [
    rowsOf([{ username: "ann", metric: "reads", count: 1, atMs: made, id: undefined }]),
  ]);
};

/** Takes all that comes into a queue and acknowledges it. */
function drain(from: Broker) {
  const stop = new AbortController();
  const taken: Delivery[] = [];
  const ended = from.consume({ queue: "hourlyLog", prefetch: 16, stop: stop.signal }, async (delivery) => {
    await delivery.settle({ kind: "ack" });
    taken.push(delivery);
  });
  ended.catch(() => {});
  return {
    taken,
    ids: () => new Set(taken.map((delivery) => delivery.message.id)),
    async stop() {
      stop.abort();
      await ended;
    },
  };
}

/** Speaks to the broker as another program would. */
async function asStranger<T>(
  work: (channel: Awaited<ReturnType<typeof strangerChannel>>) => Promise<T>,
): Promise<T> {
  const channel = await strangerChannel();
  try {
    return await work(channel);
  } finally {
    await channel.close().catch(() => {});
    await stranger?.close();
  }
}
let stranger: Awaited<ReturnType<typeof connect>> | undefined;
async function strangerChannel() {
  stranger = await connect(at.brokerUrl);
  stranger.on("error", () => {});
  const channel = await stranger.createConfirmChannel();
  channel.on("error", () => {});
  return channel;
}

const open = (brokerUrl: string, confirmTimeoutMs = 5000) =>
  openRabbitmqBroker(
    { brokerUrl, brokerManagementUrl: at.managementUrl, confirmTimeoutMs },
    systemClock,
    () => {},
  );

test.skipIf(missing)(
  "a queue that is there and is different is told in words, and ends the broker",
  async () => {
    await asStranger(async (channel) => {
      await channel.deleteQueue("hourlyLog");
      await channel.assertQueue("hourlyLog", { durable: true, arguments: { "x-queue-type": "classic" } });
    });
    await using other = open(at.brokerUrl);
    const error = await other.ended.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "BROKER_MISMATCH" });
    expect(String(error)).toMatch(
      /queue 'hourlyLog' is there with x-[a-z-]+ none, where Millrace declares '[^']+': .*delete it/,
    );
    await expect(other.ready()).rejects.toMatchObject({ code: "BROKER_MISMATCH" });
    await expect(other.publish(message())).rejects.toBeInstanceOf(MillraceError);
  },
);

test.skipIf(missing)(
  "credentials that are refused are told without the password, and tried again",
  async () => {
    const url = new URL(at.brokerUrl);
    url.username = "nobody";
    url.password = "s3cr3t";
    await using other = open(url.href);
    const error = await other.ready().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE" });
    expect(String(error)).toMatch(/ACCESS_REFUSED|ACCESS-REFUSED/);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("s3cr3t");
  },
);

test.skipIf(missing)(
  "messages of other producers come as they are, and two without ids are two",
  async () => {
    const consumer = drain(broker);
    await expect.poll(() => broker.ready().then(() => true)).toBe(true);
    await asStranger(async (channel) => {
      const body = Buffer.from(
        '{"username":"ann","metric":"reads","count":1,"timestamp":"2026-11-24T10:00:00Z"}',
      );
      for (let i = 0; i < 2; i += 1) {
        channel.publish("metric-collector", "", body, { contentType: "application/json", persistent: true });
      }
      channel.publish("metric-collector", "", Buffer.alloc(0), { messageId: "named" });
      await channel.waitForConfirms();
    });
    await expect.poll(() => consumer.taken.length).toBe(3);
    const [first, second, third] = consumer.taken.map((delivery) => delivery.message);
    expect(first?.contentType).toBe("application/json");
    expect(first?.id).not.toBe("");
    expect(second?.id).not.toBe(first?.id);
    expect(third).toMatchObject({ id: "named", contentType: "" });
    await consumer.stop();
  },
);

test.skipIf(missing)(
  "large messages come one at a time, and small ones again as many as are wanted",
  async () => {
    const body = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 40; i += 1) await broker.publish({ ...message(), body });
    for (let i = 0; i < 200; i += 1) await broker.publish(message());
    const inHand = { now: 0, large: 0, most: 0, taken: 0 };
    const stop = new AbortController();
    const consumed = broker.consume(
      { queue: "hourlyLog", prefetch: 32, stop: stop.signal },
      async (delivery) => {
        inHand.now += 1;
        inHand.most = Math.max(inHand.most, inHand.now);
        if (delivery.message.body.byteLength === body.byteLength)
          inHand.large = Math.max(inHand.large, inHand.now);
        await sleep(5);
        await delivery.settle({ kind: "ack" });
        inHand.now -= 1;
        inHand.taken += 1;
      },
    );
    await expect.poll(() => inHand.taken, { timeout: 30_000 }).toBe(240);
    expect(inHand).toEqual({ now: 0, large: 1, most: 32, taken: 240 });
    stop.abort();
    await consumed;
    await expect
      .poll(() => broker.backlog("hourlyLog"), { timeout: 20_000 })
      .toEqual({ ready: 0, unsettled: 0, deadLetters: 0 });
  },
);

test.skipIf(missing)("a message that no queue would get is not confirmed", async () => {
  await broker.ready();
  await asStranger(async (channel) => {
    for (const queue of ["accountName", "distinctName", "hourlyLog"]) {
      await channel.unbindQueue(queue, "metric-collector", "");
    }
  });
  await expect(broker.publish(message())).rejects.toMatchObject({
    code: "BROKER_UNAVAILABLE",
    detail: "no queue takes the message",
  });
});

test.skipIf(missing)(
  "a queue that is at its limit refuses, and the publisher is told that it is full",
  async () => {
    await broker.ready();
    await part.ctl(
      "set_policy",
      "-p",
      new URL(at.brokerUrl).pathname.slice(1),
      "cap",
      "^hourlyLog$",
      '{"max-length":5}',
    );
    const outcomes: string[] = [];
    // The limit is soft: the broker notices it some messages late.
    for (let i = 0; i < 200 && !outcomes.includes("BROKER_FULL"); i += 1) {
      outcomes.push(
        await broker.publish(message()).then(
          () => "confirmed",
          (error: MillraceError) => error.code,
        ),
      );
    }
    expect(outcomes).toContain("BROKER_FULL");
  },
);

test.skipIf(missing)("a queue deleted under its consumer is made anew, and messages come again", async () => {
  const consumer = drain(broker);
  await broker.publish(message());
  await expect.poll(() => consumer.taken.length).toBe(1);
  await asStranger((channel) => channel.deleteQueue("hourlyLog"));
  await expect.poll(() => broker.ready().then(() => true, String), { timeout: 20_000 }).toBe(true);
  await sleep(1);
  await expect
    .poll(
      async () => {
        await broker.publish(message()).catch(() => {});
        return consumer.taken.length;
      },
      { timeout: 20_000 },
    )
    .toBeGreaterThan(1);
  await consumer.stop();
});

test.skipIf(missing)(
  "an alarm is told at once, also to what was on its way, and passes by itself",
  async () => {
    const consumer = drain(broker);
    const before = message();
    await broker.publish(before);
    await part.ctl("set_vm_memory_high_watermark", "absolute", "1");
    try {
      const failure = async () => {
        const startedAt = performance.now();
        const error = await broker.publish(message()).catch((thrown: unknown) => thrown);
        return { error, ms: performance.now() - startedAt };
      };
      await expect
        .poll(async () => String((await failure()).error), { timeout: 10_000 })
        .toMatch(/takes no messages now/);
      const { error, ms } = await failure();
      expect(error).toMatchObject({ code: "BROKER_UNAVAILABLE" });
      // Far below the confirm time-out of ten seconds: it was not waited for.
      expect(ms).toBeLessThan(5000);
      await expect(broker.ready()).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
    } finally {
      await part.ctl("set_vm_memory_high_watermark", "0.6");
    }
    await expect
      .poll(() => broker.publish(message()).then(() => "confirmed", String), { timeout: 20_000 })
      .toBe("confirmed");
    await broker.ready();
    expect(consumer.ids()).toContain(before.id);
    await consumer.stop();
  },
);

test.skipIf(missing)(
  "of dead letters with the same bytes and no message id those are dropped that died at the time given, and no more",
  async () => {
    const [old, young] = [Date.parse("2026-08-01T00:00:00Z"), Date.parse("2026-11-01T00:00:00Z")];
    await broker.ready();
    const model = await connect(at.brokerUrl);
    const channel = await model.createConfirmChannel();
    for (const deadAtMs of [old, old, young])
      channel.sendToQueue("hourlyLog.dead", Buffer.from("same"), {
        headers: { "x-millrace-dead-at": deadAtMs },
      });
    await channel.waitForConfirms();
    await model.close();
    const times = async () =>
      (await Array.fromAsync(broker.deadLetters.list("hourlyLog"))).map(({ deadAtMs }) => deadAtMs);
    await expect.poll(times, { timeout: 10_000 }).toEqual([old, old, young]);
    const [first, second] = await Array.fromAsync(broker.deadLetters.list("hourlyLog"));
    if (first === undefined || second === undefined) throw new Error("they are gone");
    expect(first.id).toBe(second.id);
    expect(await broker.deadLetters.drop("hourlyLog", [first])).toBe(1);
    await expect.poll(times, { timeout: 10_000 }).toEqual([old, young]);
    expect(await broker.deadLetters.drop("hourlyLog", [first, second])).toBe(1);
    await expect.poll(times, { timeout: 10_000 }).toEqual([young]);
  },
);

test.skipIf(missing)(
  "a dead letter that cannot be published is told, kept, and published when the alarm is over",
  async () => {
    const told: string[] = [];
    await using other = openRabbitmqBroker(
      { brokerUrl: at.brokerUrl, brokerManagementUrl: at.managementUrl, confirmTimeoutMs: 5000 },
      systemClock,
      (name) => void told.push(name),
    );
    const letter = message();
    await other.publish(letter);
    await part.ctl("set_vm_memory_high_watermark", "absolute", "1");
    const stop = new AbortController();
    let consumed: Promise<void> = Promise.resolve();
    try {
      // So that it knows of the alarm before there is something to settle.
      await expect
        .poll(() => other.publish(message()).then(() => "confirmed", String), { timeout: 10_000 })
        .toMatch(/takes no messages now/);
      consumed = other.consume({ queue: "hourlyLog", prefetch: 1, stop: stop.signal }, (delivery) =>
        delivery.settle({ kind: "deadLetter", reason: "it is bad" }),
      );
      await expect
        .poll(() => told.filter((name) => name === "settlement.waiting").length, { timeout: 10_000 })
        .toBeGreaterThan(1);
      expect(await Array.fromAsync(broker.deadLetters.list("hourlyLog"))).toEqual([]);
    } finally {
      await part.ctl("set_vm_memory_high_watermark", "0.6");
    }
    const ids = async () => (await Array.fromAsync(broker.deadLetters.list("hourlyLog"))).map(({ id }) => id);
    await expect.poll(ids, { timeout: 20_000, interval: 500 }).toContain(letter.id);
    stop.abort();
    await consumed;
  },
);

test.skipIf(missing)(
  "a broker that is killed loses nothing that it confirmed, and all goes on by itself",
  async () => {
    const consumer = drain(broker);
    const confirmed: string[] = [];
    const codes = new Set<string>();
    const stop = new AbortController();
    const publishing = (async () => {
      while (!stop.signal.aborted) {
        const one = message();
        await broker.publish(one).then(
          () => confirmed.push(one.id),
          (error: MillraceError) => codes.add(error.code),
        );
        await sleep(2);
      }
    })();
    for (let kills = 0; kills < 2; kills += 1) {
      const sofar = confirmed.length;
      await expect.poll(() => confirmed.length, { timeout: 30_000 }).toBeGreaterThan(sofar + 100);
      await part.kill();
      await expect.poll(() => codes.size, { timeout: 10_000 }).toBeGreaterThan(0);
      await part.start();
    }
    const sofar = confirmed.length;
    await expect.poll(() => confirmed.length, { timeout: 30_000 }).toBeGreaterThan(sofar + 100);
    stop.abort();
    await publishing;
    expect(
      Array.from(codes)
        .toSorted()
        .filter((code) => code !== "PUBLISH_UNCONFIRMED"),
    ).toEqual(["BROKER_UNAVAILABLE"]);
    await expect
      .poll(() => confirmed.filter((id) => !consumer.ids().has(id)), { timeout: 30_000 })
      .toEqual([]);
    await consumer.stop();
  },
  180_000,
);
