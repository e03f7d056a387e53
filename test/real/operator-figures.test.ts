import { type Channel, type ConfirmChannel, connect, type ConsumeMessage } from "amqplib";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { brokerAddress } from "../../operator/broker-address.ts";
import type { BrokerAddress, QueueId, Reading } from "../../operator/broker-figures.ts";
import type { QueueFigures } from "../../operator/decide.ts";
import { createBrokerFigures } from "../../operator/rabbitmq.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import type { Emit, Signals } from "../../src/signals.ts";
import { certificate } from "../operator/certificate.ts";
import { type BrokerPart, startBrokerPart } from "../parts/parts.ts";

const shared = inject("broker");
const SLOW = { timeout: 60_000, interval: 200 };

interface At {
  readonly url: string;
  readonly managementUrl: string;
}

/** As an operator asks, of a Secret with these two URLs. */
function addressOf({ url, managementUrl }: At, more: Partial<BrokerAddress> = {}): BrokerAddress {
  const keys = {
    urlKey: "url",
    managementUrlKey: "managementUrl",
    usernameKey: "user",
    passwordKey: "password",
  };
  const found = brokerAddress(
    { secret: { name: "broker", caKey: "ca.crt", ...keys } },
    { url, managementUrl },
  );
  if (typeof found === "string") throw new Error(found);
  return { ...found, ...more };
}

const figures = createBrokerFigures({ clock: systemClock, emit: () => {} });
afterAll(() => figures[Symbol.dispose]());

/** Asks the management API for what an operator does not. */
async function administer(
  { managementUrl }: At,
  method: "GET" | "PUT" | "DELETE",
  path: string,
  body: object = {},
): Promise<string> {
  const { origin, username, password } = new URL(managementUrl);
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const headers = { authorization, "content-type": "application/json" };
  const sent = method === "GET" ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${origin}/api/${path}`, { method, headers, ...sent });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text;
}

/** How many queues named `many-` have statistics. */
async function withStatistics(at: At, { name }: Vhost): Promise<number> {
  const text = await administer(at, "GET", `queues/${encodeURIComponent(name)}?columns=name,messages_ready`);
  const queues = JSON.parse(text) as readonly { readonly name: string; readonly messages_ready?: number }[];
  return queues.filter((one) => one.name.startsWith("many-") && one.messages_ready !== undefined).length;
}

/** A virtual host of its own, with a slash in its name, and a channel into it. */
interface Vhost {
  readonly name: string;
  readonly channel: ConfirmChannel;
  openChannel(): Promise<Channel>;
  id(queue: string): QueueId;
  /** Of a quorum queue that it makes. */
  declare(queue: string, more?: object): Promise<QueueId>;
  publish(queue: string, count: number, options?: object): Promise<void>;
}

async function openVhost(at: At, parts: AsyncDisposableStack): Promise<Vhost> {
  const name = `operator/${randomUUID()}`;
  const path = `vhosts/${encodeURIComponent(name)}`;
  await administer(at, "PUT", path);
  parts.defer(async () => void (await administer(at, "DELETE", path)));
  const url = new URL(at.url);
  url.pathname = `/${encodeURIComponent(name)}`;
  const connection = await connect(url.href);
  connection.on("error", () => {});
  parts.defer(() => connection.close());
  const channel = await connection.createConfirmChannel();
  const id = (queue: string) => ({ vhost: name, name: queue, deadLetterQueue: `${queue}.dead` });
  return {
    name,
    channel,
    openChannel: () => connection.createChannel(),
    id,
    async declare(queue, more = {}) {
      await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum", ...more } });
      return id(queue);
    },
    async publish(queue, count, options = {}) {
      for (let i = 0; i < count; i += 1)
        channel.sendToQueue(queue, Buffer.from("x"), { persistent: true, ...options });
      await channel.waitForConfirms();
    },
  };
}

/** Consumes so many, and keeps them until they are settled. */
async function take(channel: Channel, queue: string, count: number): Promise<readonly ConsumeMessage[]> {
  await channel.prefetch(count);
  const taken: ConsumeMessage[] = [];
  const full = Promise.withResolvers<void>();
  await channel.consume(queue, (message) => {
    if (message !== null) taken.push(message);
    if (taken.length === count) full.resolve();
  });
  await full.promise;
  return taken;
}

const figuresIn = (reading: Reading): QueueFigures => {
  if (!reading.ok) throw new Error(`${reading.fault}: ${reading.message}`);
  return reading.figures;
};
const depthOf = ({ ready, unacknowledged }: QueueFigures) => ready + unacknowledged;

describe.skipIf(shared === undefined)("the figures of a real RabbitMQ", { timeout: 180_000 }, () => {
  const at = shared ?? { url: "", managementUrl: "" };
  const parts = new AsyncDisposableStack();
  let vhost: Vhost;
  let address: BrokerAddress;
  beforeAll(async () => {
    vhost = await openVhost(at, parts);
    address = addressOf(at);
  });
  afterAll(() => parts.disposeAsync());
  const read = (id: QueueId) => figures.read(address, id, 0);

  test("a queue that was just made is empty at once, and its totals are zero", async () => {
    const id = await vhost.declare("new");
    expect(figuresIn(await read(id))).toMatchObject({
      ready: 0,
      unacknowledged: 0,
      published: 0,
      acknowledged: 0,
    });
  });

  test("tell what is ready, what is in hand, who consumes, and what has moved since", async () => {
    const id = await vhost.declare("moved");
    await vhost.declare("moved.dead");
    await vhost.publish("moved", 10);
    await vhost.publish("moved.dead", 3);
    await expect
      .poll(() => read(id).then(figuresIn), SLOW)
      .toMatchObject({
        ready: 10,
        unacknowledged: 0,
        consumers: 0,
        published: 10,
        delivered: 0,
        acknowledged: 0,
        deadLetters: 3,
      });
    const channel = await vhost.openChannel();
    const taken = await take(channel, "moved", 4);
    await expect
      .poll(() => read(id).then(figuresIn), SLOW)
      .toMatchObject({
        ready: 6,
        unacknowledged: 4,
        consumers: 1,
        delivered: 4,
      });
    for (const message of taken) channel.ack(message);
    await vhost.publish("moved", 5);
    await expect
      .poll(() => read(id).then(figuresIn), SLOW)
      .toMatchObject({
        ready: 7,
        unacknowledged: 4,
        published: 15,
        delivered: 8,
        acknowledged: 4,
      });
    await channel.close();
    await expect
      .poll(() => read(id).then(figuresIn), SLOW)
      .toMatchObject({ ready: 11, unacknowledged: 0, consumers: 0 });
  });

  test.for(["quorum", "classic"])(
    "a %s queue counts what is published and acknowledged, and not what is lost",
    async (type) => {
      const queue = `lost-${type}`;
      const dead = await vhost.declare(`${queue}.dead`);
      const id = await vhost.declare(queue, {
        "x-queue-type": type,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead.name,
      });
      /** Waits for the depth, then for the totals, which each channel tells of in its own time. */
      const becomes = (expected: object) =>
        expect
          .poll(async () => {
            const now = figuresIn(await read(id));
            return {
              depth: depthOf(now),
              published: now.published,
              acknowledged: now.acknowledged,
              deadLetters: now.deadLetters,
            };
          }, SLOW)
          .toMatchObject(expected);
      await vhost.publish(queue, 30);
      await becomes({ depth: 30, published: 30, acknowledged: 0 });
      const channel = await vhost.openChannel();
      const taken = await take(channel, queue, 5);
      for (const message of taken) channel.nack(message, false, false);
      await channel.close();
      // The change of the depth and the acknowledged say 5 fewer than were published.
      await becomes({ depth: 25, published: 30, acknowledged: 0, deadLetters: 5 });
      await vhost.publish(queue, 10, { expiration: "100" });
      await vhost.channel.purgeQueue(queue);
      // And here 35 fewer: those that were purged, with those that have expired or were purged, too.
      await becomes({ depth: 0, published: 40, acknowledged: 0 });
    },
  );

  test("what another queue sends on as dead letters is in the depth, and not among the published", async () => {
    const id = await vhost.declare("again");
    await vhost.declare("waiting", {
      "x-message-ttl": 100,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": "again",
    });
    await vhost.publish("waiting", 8);
    await expect.poll(() => read(id).then(figuresIn).then(depthOf), SLOW).toBe(8);
    expect(figuresIn(await read(id)).published).toBe(0);
  });

  test("a queue with odd characters in its name is found", async () => {
    const id = await vhost.declare("a/b?c=%2F d#é&+");
    expect(await read(id)).toMatchObject({ ok: true });
  });

  test("what is missing is named: the queue, or its virtual host", async () => {
    expect(await read(vhost.id("none"))).toMatchObject({
      fault: "QueueNotFound",
      message: `there is no queue none in virtual host ${vhost.name}`,
    });
    const id = { vhost: "no such", name: "none", deadLetterQueue: "none.dead" };
    expect(await read(id)).toMatchObject({ fault: "VhostNotFound" });
  });

  test("a user is refused for its password, for its tag, and for its virtual host", async () => {
    const id = await vhost.declare("guarded");
    const { username } = address;
    expect(await figures.read({ ...address, password: "wrong" }, id, 0)).toMatchObject({
      fault: "Unauthorized",
      message: expect.stringContaining(`refuses user ${username}`),
    });
    const name = `user-${randomUUID()}`;
    const as = { ...address, username: name, password: "p" };
    await administer(at, "PUT", `users/${name}`, { password: "p", tags: "" });
    await using own = new AsyncDisposableStack();
    own.defer(async () => void (await administer(at, "DELETE", `users/${name}`)));
    expect(await figures.read(as, id, 0)).toMatchObject({
      fault: "Unauthorized",
      message: expect.stringContaining("Not management user"),
    });
    await administer(at, "PUT", `users/${name}`, { password: "p", tags: "management" });
    // RabbitMQ 4.3 says of it that there is no such virtual host.
    await expect
      .poll(() => figures.read(as, id, 0), SLOW)
      .toMatchObject({
        fault: expect.stringMatching(/^(Unauthorized|VhostNotFound)$/),
        message: expect.stringContaining(vhost.name),
      });
    const none = { configure: "^$", write: "^$", read: "^$" };
    await administer(at, "PUT", `permissions/${encodeURIComponent(vhost.name)}/${name}`, none);
    expect(await figures.read(as, id, 0)).toMatchObject({ ok: true });
  });

  test("more queues than RabbitMQ puts on a page come in one answer, for all who ask", async () => {
    const names = Array.from({ length: 550 }, (_, i) => `many-${String(i).padStart(4, "0")}`);
    for (const name of names) await vhost.declare(name, { "x-queue-type": "classic" });
    // All have statistics by then, so that none is asked for its length.
    await expect.poll(() => withStatistics(at, vhost), SLOW).toBe(names.length);
    const asked: string[] = [];
    const emit: Emit = (name, fact) => {
      if (name !== "request.made") return;
      const { verb, resource } = fact as Signals["request.made"];
      asked.push(`${verb} ${resource}`);
    };
    using own = createBrokerFigures({ clock: systemClock, emit });
    const readings = await Promise.all(names.map((name) => own.read(address, vhost.id(name), 0)));
    expect(readings.filter((one) => one.ok)).toHaveLength(550);
    expect(asked).toEqual(["get overview", "list queues"]);
  });
});

describe.skipIf(inject("ownPartsMissing") !== undefined)(
  "a RabbitMQ of its own",
  { timeout: 180_000 },
  () => {
    const parts = new AsyncDisposableStack();
    let part: BrokerPart;
    beforeAll(async () => {
      part = parts.use(await startBrokerPart());
    });
    afterAll(() => parts.disposeAsync());

    test("that is stopped is unreachable, and is read again once it has started", async () => {
      await using own = new AsyncDisposableStack();
      const vhost = await openVhost(part, own);
      const id = await vhost.declare("kept");
      await vhost.publish("kept", 6);
      const address = addressOf(part);
      const read = () => figures.read(address, id, 0);
      await expect.poll(() => read().then(figuresIn), SLOW).toMatchObject({ ready: 6, published: 6 });
      await part.stop();
      expect(await read()).toMatchObject({
        fault: "Unreachable",
        message: expect.stringContaining("cannot be reached"),
      });
      await part.start();
      await expect.poll(async () => (await read()).ok, SLOW).toBe(true);
      // The totals start anew, and are not told before there is one.
      await expect
        .poll(() => read().then(figuresIn), SLOW)
        .toMatchObject({ ready: 6, unacknowledged: 0, published: undefined, acknowledged: undefined });
      await administer(part, "DELETE", `vhosts/${encodeURIComponent(vhost.name)}`);
      own.move();
    });

    test("without statistics tells how long a queue is, and nothing else", async () => {
      await using silent = await startBrokerPart({
        configuration: ["management_agent.disable_metrics_collector = true"],
      });
      await using own = new AsyncDisposableStack();
      const vhost = await openVhost(silent, own);
      const id = await vhost.declare("silent");
      await vhost.publish("silent", 6);
      await take(vhost.channel, "silent", 2);
      // A quorum queue tells its length with its next tick.
      await expect
        .poll(() => figures.read(addressOf(silent), id, 0).then(figuresIn), SLOW)
        .toMatchObject({
          ready: 4,
          unacknowledged: 2,
          consumers: undefined,
          published: undefined,
        });
    });

    test("with TLS is believed where the Secret has its certificate", async () => {
      const { pem, key } = await certificate();
      await part.ctl("eval", managementWithTls(pem, key));
      const url = addressOf(part).url.replace("http:", "https:");
      const id = { vhost: "/", name: "none", deadLetterQueue: "none.dead" };
      const missing = { fault: "QueueNotFound" };
      const read = (ca: string | undefined) => figures.read(addressOf(part, { url, ca }), id, 0);
      expect(await read(pem)).toMatchObject(missing);
      expect(await read(undefined)).toMatchObject({
        fault: "Unreachable",
        message: expect.stringContaining("certificate that is not trusted"),
      });
    });
  },
);

/** In Erlang: the management is to listen with TLS where it has listened without. */
const managementWithTls = (pem: string, key: string): string => `
  Put = fun(Name, Text) -> Path = filename:join(os:getenv("HOME"), Name), ok = file:write_file(Path, Text), Path end,
  Files = [{certfile, Put("certificate.pem", <<"${pem}">>)}, {keyfile, Put("key.pem", <<"${key}">>)}],
  Plain = application:get_env(rabbitmq_management, tcp_config, [{port, 15672}]),
  ok = application:set_env(rabbitmq_management, ssl_config, Plain ++ Files),
  ok = application:unset_env(rabbitmq_management, tcp_config),
  ok = application:stop(rabbitmq_management),
  ok = application:start(rabbitmq_management).`;
