import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { certificate } from "./certificate.ts";
import { type Answering, json, managementApi, overview, queue } from "./management-api.ts";
import type { BrokerAddress, QueueId, Reading } from "../../operator/broker-figures.ts";
import { createBrokerFigures } from "../../operator/rabbitmq.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Emit, Signals } from "../../src/signals.ts";
import { freePorts, portOf } from "../parts/ports.ts";

/** Moved by hand. */
class HandClock implements Clock {
  nowMs = 1_000_000;
  now = (): number => this.nowMs;
  sleep = async (): Promise<void> => {};
}

const id = (name: string, vhost = "/"): QueueId => ({ vhost, name, deadLetterQueue: `${name}.dead` });
const at = (url: string, more: Partial<BrokerAddress> = {}): BrokerAddress => ({
  url,
  username: "ann",
  password: "s3cret",
  ca: undefined,
  ...more,
});

/** A broker with these queues. Where `all` says more than there are, they are asked for one by one. */
function broker(queues: readonly object[], all: number = queues.length): Answering {
  const named = queues as readonly { readonly vhost: string; readonly name: string }[];
  return (path, response) => {
    const [resource, vhost = "", name = ""] = path.split("/").map(decodeURIComponent);
    if (resource === "overview") return json(response, overview(all));
    if (resource === "exchanges") return json(response, {}, vhost === "/" ? 200 : 404);
    if (vhost === "") return json(response, queues);
    const found = named.find((one) => one.vhost === vhost && one.name === name);
    return found === undefined ? json(response, { error: "Object Not Found" }, 404) : json(response, found);
  };
}

interface World extends AsyncDisposable {
  readonly clock: HandClock;
  readonly api: Awaited<ReturnType<typeof managementApi>>;
  readonly told: readonly Signals["request.made"][];
  read(queue: QueueId, maxAgeMs?: number, more?: Partial<BrokerAddress>): Promise<Reading>;
}

async function world(answer: Answering, timeoutMs = 5000): Promise<World> {
  const clock = new HandClock();
  const told: Signals["request.made"][] = [];
  const emit: Emit = (name, fact) => {
    if (name === "request.made") told.push(fact as Signals["request.made"]);
  };
  const api = await managementApi(answer);
  const figures = createBrokerFigures({ clock, emit, timeoutMs });
  return {
    clock,
    api,
    told,
    read: (of, maxAgeMs = 1800, more = {}) => figures.read(at(api.url, more), of, maxAgeMs),
    async [Symbol.asyncDispose]() {
      figures[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

const figuresIn = (reading: Reading) => (reading.ok ? reading.figures : reading);
const pathsOf = ({ api }: World) => api.requests.map((one) => one.replace(/\?.*/, ""));
const OVERVIEW = "GET /api/overview";
const LIST = "GET /api/queues";

describe("the questions", () => {
  test("five hundred scalers that ask at once share one list, over one connection", async () => {
    const names = Array.from({ length: 500 }, (_, i) => `q${i}`);
    await using w = await world(broker(names.map((name, i) => queue(name, { messages_ready: i }))));
    const readings = await Promise.all(names.map((name) => w.read(id(name))));
    expect(readings.map((one) => one.ok && one.figures.ready)).toEqual(names.map((_, i) => i));
    expect(pathsOf(w)).toEqual([OVERVIEW, LIST]);
    expect(w.api.connections()).toBe(1);
  });

  test("an answer is shared until it is older than the least that somebody asks for", async () => {
    await using w = await world(broker([queue("a"), queue("b")]));
    await w.read(id("a"), 1800);
    w.clock.nowMs += 1800;
    await w.read(id("b"), 1800);
    await w.read(id("a"), 60_000);
    expect(pathsOf(w)).toEqual([OVERVIEW, LIST]);
    w.clock.nowMs += 1;
    await w.read(id("a"), 60_000);
    await w.read(id("b"), 1800);
    expect(pathsOf(w)).toEqual([OVERVIEW, LIST, LIST]);
  });

  test("after the clock was set back, no old answer passes for a fresh one", async () => {
    await using w = await world(broker([queue("a")]));
    await w.read(id("a"), 1800);
    w.clock.nowMs -= 3_600_000;
    await w.read(id("a"), 1800);
    expect(pathsOf(w).filter((path) => path === LIST)).toHaveLength(2);
  });

  test("few queues of a big broker are asked for one by one, with their names encoded", async () => {
    const odd = queue("a/b?c d#é", { vhost: "shop/eu", messages_ready: 7 });
    await using w = await world(broker([odd], 2000));
    const reading = await w.read(id("a/b?c d#é", "shop/eu"));
    expect(figuresIn(reading)).toMatchObject({ ready: 7, deadLetters: undefined });
    expect(pathsOf(w)).toEqual([
      OVERVIEW,
      "GET /api/queues/shop%2Feu/a%2Fb%3Fc%20d%23%C3%A9",
      "GET /api/queues/shop%2Feu/a%2Fb%3Fc%20d%23%C3%A9.dead",
    ]);
  });

  test.for([
    ["..", "/"],
    [".", "/"],
    ["a", ".."],
  ] as const)(
    "a queue %s of %s, which no URL can name, is looked for in the list, and hinders no other",
    async ([name, vhost]) => {
      const there = [queue("b", { messages_ready: 3 }), queue(name, { vhost, messages_ready: 7 })];
      await using w = await world(broker(there, 2000));
      expect(figuresIn(await w.read(id(name, vhost)))).toMatchObject({ ready: 7 });
      expect(figuresIn(await w.read(id("b"), 0))).toMatchObject({ ready: 3 });
      expect(pathsOf(w).filter((path) => path !== OVERVIEW && path !== LIST)).toEqual([]);
    },
  );

  test("every request is told of, and none with a secret", async () => {
    await using w = await world(broker([queue("a")]));
    await w.read(id("a"));
    await w.read(id("none", "other"));
    expect(w.told.map(({ verb, resource, outcome }) => `${verb} ${resource} ${outcome}`)).toEqual([
      "get overview 200",
      "list queues 200",
      "list queues 200",
      "get exchanges 404",
    ]);
    expect(JSON.stringify([w.told, w.api.requests])).not.toContain("s3cret");
  });

  test("another password is another broker, and the old one's answers are not given for it", async () => {
    await using w = await world(broker([queue("a")]));
    await w.read(id("a"));
    await w.read(id("a"), 60_000, { password: "new" });
    expect(pathsOf(w)).toEqual([OVERVIEW, LIST, OVERVIEW, LIST]);
  });

  test("a broker that nobody has asked about for minutes is forgotten, and its connection closed", async () => {
    await using w = await world(broker([queue("a")]));
    const closed = Promise.withResolvers<void>();
    await using other = await managementApi((path, response) => {
      response.socket?.once("close", () => closed.resolve());
      broker([queue("a")])(path, response, new URLSearchParams());
    });
    await w.read(id("a"), 1800, { url: other.url });
    w.clock.nowMs += 6 * 60_000;
    await w.read(id("a"));
    await closed.promise;
    await w.read(id("a"), 3_600_000, { url: other.url });
    expect(other.requests.filter((one) => one.startsWith(OVERVIEW))).toHaveLength(2);
  });
});

describe("the figures", () => {
  test("are what RabbitMQ says, with those of the queue of dead letters", async () => {
    const stats = { publish: 90, deliver_get: 80, ack: 70, redeliver: 6 };
    const full = queue("a", {
      messages_ready: 5,
      messages_unacknowledged: 4,
      consumers: 3,
      message_stats: stats,
    });
    const dead = queue("a.dead", { messages_ready: 2, messages_unacknowledged: 1 });
    await using w = await world(broker([full, dead]));
    expect(await w.read(id("a"))).toEqual({
      ok: true,
      at: 1_000_000,
      figures: {
        sampledAtMs: 1_000_000,
        ready: 5,
        unacknowledged: 4,
        consumers: 3,
        published: 90,
        delivered: 80,
        acknowledged: 70,
        redelivered: 6,
        deadLetters: 3,
      },
    });
  });

  test.for([
    ["without totals, on a broker that counts", {}, {}, 0],
    ["with an empty list for its totals, as Erlang writes nothing", { message_stats: [] }, {}, 0],
    ["with some of its totals", { message_stats: { ack: 1 } }, {}, 0],
    ["without totals, on a broker that does not count", {}, { rates_mode: "none" }, undefined],
  ] as const)("a queue %s has published %j", async ([, row, more, published]) => {
    await using w = await world((path, response, query) =>
      path === "overview"
        ? json(response, overview(1, more))
        : broker([queue("a", row)])(path, response, query),
    );
    expect(figuresIn(await w.read(id("a")))).toMatchObject({ published });
  });

  test("without statistics, the length is asked for itself, and nothing else is said", async () => {
    const bare = { vhost: "/", name: "a", messages_ready: 4, messages_unacknowledged: 2 };
    await using w = await world((path, response, query) => {
      if (path === "overview") return json(response, overview(1, { disable_stats: true }));
      return json(
        response,
        query.get("enable_queue_totals") === "true" ? [bare] : [{ vhost: "/", name: "a" }],
      );
    });
    expect(figuresIn(await w.read(id("a")))).toEqual({
      sampledAtMs: 1_000_000,
      ready: 4,
      unacknowledged: 2,
      consumers: undefined,
      published: undefined,
      delivered: undefined,
      acknowledged: undefined,
      redelivered: undefined,
      deadLetters: undefined,
    });
    expect(pathsOf(w)).toEqual([OVERVIEW, LIST]);
  });

  test.for([1, 2000])("of %i queues, one that has no statistics yet is asked for its length", async (all) => {
    const made = { vhost: "/", name: "new" };
    await using w = await world((path, response, query) => {
      const length = query.get("enable_queue_totals") === "true";
      const row = length ? { ...made, messages_ready: 4, messages_unacknowledged: 0 } : made;
      broker([row], all)(path, response, query);
    });
    expect(figuresIn(await w.read(id("new")))).toMatchObject({ ready: 4, unacknowledged: 0, published: 0 });
  });

  test("a queue that does not tell its length in any way is a fault of its own", async () => {
    await using w = await world(broker([{ vhost: "/", name: "down" }, queue("up")]));
    expect(await w.read(id("down"))).toMatchObject({
      ok: false,
      fault: "NotUnderstood",
      message:
        "RabbitMQ does not tell how long queue down is: it was just made, its node is down, or it is a stream",
    });
    expect(await w.read(id("up"))).toMatchObject({ ok: true });
  });

  test("what is not a number is not told", async () => {
    const wrong = { messages_ready: "3", messages_unacknowledged: -1, consumers: null };
    await using w = await world(broker([queue("a", wrong)]));
    expect(await w.read(id("a"))).toMatchObject({ ok: false, fault: "NotUnderstood" });
  });

  test("a queue that is both a scaler's own and another's queue of dead letters serves both", async () => {
    await using w = await world(broker([queue("a"), queue("a.dead", { messages_ready: 9 })]));
    expect(figuresIn(await w.read(id("a.dead")))).toMatchObject({ ready: 9 });
    expect(figuresIn(await w.read(id("a")))).toMatchObject({ deadLetters: 9 });
    expect(figuresIn(await w.read(id("a.dead")))).toMatchObject({ ready: 9 });
  });
});

describe("a fault", () => {
  const page: Answering = (_, response) => void response.end("<html>Welcome</html>");
  const redirect: Answering = (_, response) =>
    void response.writeHead(302, { location: "http://other/" }).end();
  test.for([
    [
      "a page that is not JSON",
      page,
      "NotUnderstood",
      "answers with what is not JSON: is RabbitMQ's management there?",
    ],
    [
      "JSON of something else",
      (_, response) => json(response, { hello: 1 }),
      "NotUnderstood",
      "does not answer as RabbitMQ's management does",
    ],
    [
      "a redirection",
      redirect,
      "NotUnderstood",
      "answers 302: it redirects, and that is not followed; name the address itself",
    ],
    [
      "a failure",
      (_, response) => json(response, {}, 503),
      "Unreachable",
      "answers 503: RabbitMQ's log says why",
    ],
    [
      "no such page",
      (_, response) => json(response, {}, 404),
      "NotUnderstood",
      "does not answer as RabbitMQ's management does",
    ],
    [
      "a refusal",
      (_, response) => json(response, { reason: "Not_Authorized" }, 401),
      "Unauthorized",
      "refuses user ann (Not_Authorized): are user and password those of RabbitMQ, and has the user the tag management?",
    ],
    [
      "a list that is none",
      (path, response) => json(response, path === "overview" ? overview(1) : { queues: [] }),
      "NotUnderstood",
      "does not answer with a list of queues",
    ],
  ] as const satisfies readonly (readonly [string, Answering, string, string])[])(
    "%s is told of as what it is",
    async ([, answer, fault, message]) => {
      await using w = await world(answer);
      expect(await w.read(id("a"))).toEqual({
        ok: false,
        at: 1_000_000,
        fault,
        message: `the management API at ${w.api.url} ${message}`,
      });
    },
  );

  test("an answer without an end is cut off, and its connection closed", async () => {
    const closed = Promise.withResolvers<void>();
    const block = Buffer.alloc(1024 * 1024, " ");
    await using w = await world((path, response) => {
      if (path === "overview") return json(response, overview(1));
      response.once("close", closed.resolve).writeHead(200);
      const more = (): void => void (response.destroyed || response.write(block, more));
      return more();
    }, 60_000);
    expect(await w.read(id("a"))).toMatchObject({
      fault: "NotUnderstood",
      message: expect.stringContaining("64 MiB"),
    });
    await closed.promise;
  });

  test("silence ends at the bound, before the answer and in the middle of it", async () => {
    await using w = await world((path, response) => void (path === "overview" || json(response, [])), 50);
    const bound = "has not answered within 0.05 seconds";
    expect(await w.read(id("a"))).toMatchObject({
      fault: "Unreachable",
      message: expect.stringContaining(bound),
    });
    await using half = await world((_, response) => void response.writeHead(200).write("["), 50);
    expect(await half.read(id("a"))).toMatchObject({ message: expect.stringContaining(bound) });
  });

  test.for(["http", "https"])("nobody who speaks %s there is told of as that", async (protocol) => {
    await using parts = new AsyncDisposableStack();
    const other = createServer((socket) => void socket.on("error", () => {}).end("AMQP\0\0\u0009\u0001"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    parts.defer(() => void other.close());
    const figures = parts.use(createBrokerFigures({ clock: new HandClock(), emit: () => {} }));
    const reading = await figures.read(at(`${protocol}://127.0.0.1:${portOf(other)}/`), id("a"), 0);
    expect(reading).toMatchObject({
      fault: "Unreachable",
      message: expect.stringContaining("is the port right"),
    });
  });

  test("nobody there is told of as that", async () => {
    const [port = 0] = await freePorts(1);
    using figures = createBrokerFigures({ clock: new HandClock(), emit: () => {} });
    const url = `http://127.0.0.1:${port}/`;
    expect(await figures.read(at(url), id("a"), 0)).toMatchObject({
      fault: "Unreachable",
      message: `the management API at ${url} cannot be reached (ECONNREFUSED): is it running, and may this pod connect to it?`,
    });
  });

  test("a certificate counts where the Secret vouches for it, and the fault says so where it does not", async () => {
    const [own, foreign] = await Promise.all([certificate(), certificate()]);
    await using api = await managementApi(broker([queue("a")]), own);
    using figures = createBrokerFigures({ clock: new HandClock(), emit: () => {} });
    const fault = {
      fault: "Unreachable",
      message: expect.stringContaining("certificate that is not trusted"),
    };
    expect(await figures.read(at(api.url, { ca: own.pem }), id("a"), 0)).toMatchObject({ ok: true });
    expect(await figures.read(at(api.url, { ca: foreign.pem }), id("a"), 0)).toMatchObject(fault);
    expect(await figures.read(at(api.url), id("a"), 0)).toMatchObject(fault);
  });

  test("is shared by all who ask, tried again after a wait that grows, and over once the broker answers", async () => {
    let up = false;
    await using w = await world((path, response, query) =>
      up ? broker([queue("a"), queue("b")])(path, response, query) : json(response, {}, 503),
    );
    const all = await Promise.all(Array.from({ length: 500 }, (_, i) => w.read(id(`q${i}`))));
    expect(all.every((one) => !one.ok && one.fault === "Unreachable")).toBe(true);
    expect(w.api.requests).toHaveLength(1);
    const waitsMs: number[] = [];
    for (let tries = 1; tries < 8; tries += 1) {
      const sinceMs = w.clock.nowMs;
      while (w.api.requests.length === tries) {
        w.clock.nowMs += 50;
        expect(await w.read(id("a"))).toMatchObject({ fault: "Unreachable" });
        // One of those who ask has begun another try: wait for it.
        while (w.told.length < w.api.requests.length) await new Promise(setImmediate);
        await new Promise(setImmediate);
      }
      waitsMs.push(w.clock.nowMs - sinceMs);
    }
    for (const [i, waitMs] of waitsMs.entries()) {
      const longestMs = Math.min(10_000, 1000 * 2 ** i);
      expect(waitMs).toBeGreaterThanOrEqual(longestMs / 2);
      expect(waitMs).toBeLessThanOrEqual(longestMs + 200);
    }
    up = true;
    await expect
      .poll(async () => {
        w.clock.nowMs += 1000;
        return (await w.read(id("b"))).ok;
      })
      .toBe(true);
  });

  test("of one virtual host does not concern the queues of another", async () => {
    await using w = await world((path, response, query) => {
      if (path.startsWith("queues/closed") || path.startsWith("exchanges/closed")) {
        return json(response, { reason: "User not authorised to access virtual host" }, 401);
      }
      return broker([queue("a")], 2000)(path, response, query);
    });
    const [open, closed, missing, none] = await Promise.all([
      w.read(id("a")),
      w.read(id("a", "closed")),
      w.read(id("b")),
      w.read(id("a", "none")),
    ]);
    expect(open).toMatchObject({ ok: true });
    expect(closed).toMatchObject({
      fault: "Unauthorized",
      message: expect.stringContaining("give the user a permission in virtual host closed"),
    });
    expect(missing).toMatchObject({
      fault: "QueueNotFound",
      message: "there is no queue b in virtual host /",
    });
    expect(none).toMatchObject({ fault: "VhostNotFound" });
  });
});
