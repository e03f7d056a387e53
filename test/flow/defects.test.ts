import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Projection } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Broker } from "../../src/ports/broker.ts";
import type { ChangeStore, Store } from "../../src/ports/store.ts";
import { runActors } from "../../src/run.ts";
import type { Emit } from "../../src/signals.ts";
import { sweep } from "../../src/sweeper/sweeper.ts";
import { runWorker } from "../../src/worker/worker.ts";
import { embeddedBroker, embeddedStore } from "../contract/embedded.ts";
import { type Standalone, startStandalone } from "./standalone.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const quiet: Emit = () => {};
const settings = { prefetch: 10, maxAttempts: 4, retryDelayMs: 20 };
const all = { limit: 1000, after: undefined };
const days = { granularity: "day", from: undefined, to: undefined, page: all } as const;
const event = (username: string, atMs: number, id?: string) => ({
  username,
  metric: "reads",
  count: 1,
  atMs,
  id,
});

/** A broker and a store with nothing in them, for one test. */
async function parts(use: (broker: Broker, store: Store) => Promise<void>): Promise<void> {
  await using brokerWorld = await embeddedBroker();
  await using storeWorld = await embeddedStore();
  await using broker = await brokerWorld.open();
  await using store = await storeWorld.open();
  await use(broker, store);
}

/** Runs a worker until `done` of its deliveries are settled for good, and answers how each ended. */
async function work(
  broker: Broker,
  store: ChangeStore,
  projection: Projection,
  done: number,
): Promise<string[]> {
  const stop = new AbortController();
  const ends: string[] = [];
  let settled = 0;
  const emit: Emit = (name, fact) => {
    if (name !== "delivery.settled" || !("outcome" in fact)) return;
    ends.push(fact.outcome);
    if (fact.outcome !== "retry" && (settled += 1) === done) stop.abort();
  };
  await runWorker({ consumer: broker, store, projection, clock: systemClock, emit }, settings, stop.signal);
  return ends;
}

describe("defects of the original system", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    millrace = await startStandalone({ environment: { MILLRACE_REQUEST_TIMEOUT_MS: "1000" } });
  });
  afterAll(() => millrace[Symbol.asyncDispose]());

  const post = (body: string) =>
    fetch(`${millrace.collectorUrl}/event`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  const answer = async <T>(path: string): Promise<T> =>
    (await fetch(`${millrace.queryUrl}${path}`)).json() as T;
  const total = async (metric: string): Promise<number> => {
    const rows = await answer<{ _id: string; count: number }[]>("/metrics/hourly_logs/total");
    return rows.find(({ _id: name }) => name === metric)?.count ?? 0;
  };
  const untilTotal = (metric: string, count: number) =>
    expect.poll(() => total(metric), { timeout: 10_000 }).toBe(count);

  test("no confirm and transient messages: an event is durable when its 200 arrives, whatever is killed then", async () => {
    for (let round = 1; round <= 3; round += 1) {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          post(JSON.stringify({ username: `user ${i}`, metric: "durable", count: round })),
        ),
      );
      await millrace.kill("SIGKILL");
      expect(answers.map((one) => one.status)).toEqual(answers.map(() => 200));
      await millrace.restart();
      await untilTotal("durable", round * 20);
    }
  });

  test("a worker that outlives its channel: one whose broker is gone ends with an error, and takes the process along", async () => {
    await parts(async (broker, store) => {
      const worker = { consumer: broker, store, projection: hourlyLog, clock: systemClock, emit: quiet };
      const stop = new AbortController();
      const idle = {
        name: "idle",
        run: (signal: AbortSignal) => once(signal, "abort").then(() => undefined),
      };
      const process = runActors(
        [{ name: "hourlyLog", run: (signal) => runWorker(worker, settings, signal) }, idle],
        stop,
        5000,
      );
      const ended = process.catch((error: unknown) => error);
      await broker[Symbol.asyncDispose]();
      expect(await ended).toMatchObject({ code: "BROKER_UNAVAILABLE" });
      expect(stop.signal.aborted).toBe(true);
    });
  });

  test("a reused event object: nothing of one event shows in the next", async () => {
    const old = new Date(Date.now() - 40 * 60_000).toISOString();
    await post(JSON.stringify({ username: "first", metric: "leak", count: 5, id: "leak-1", timestamp: old }));
    for (let i = 0; i < 2; i += 1) {
      // Had the id leaked these would be taken for duplicates, and had the timestamp leaked they would be old.
      const before = Date.now();
      await post(JSON.stringify({ username: `second ${i}`, metric: "leak", count: 7 }));
      await expect
        .poll(async () => answer<{ firstSeen?: string }>(`/accounts/second%20${i}`), { timeout: 10_000 })
        .toMatchObject({ firstSeen: expect.any(String) });
      const { firstSeen } = await answer<{ firstSeen: string }>(`/accounts/second%20${i}`);
      expect(Date.parse(firstSeen)).toBeGreaterThanOrEqual(before);
    }
    await untilTotal("leak", 3);
  });

  test.each(["username", "metric", "count"])(
    "required fields unchecked: an event without %s is refused",
    async (field) => {
      const { [field]: _, ...rest } = { username: "ann", metric: "unchecked", count: 1 } as Record<
        string,
        unknown
      >;
      const refused = await post(JSON.stringify(rest));
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ errors: [{ pointer: `/${field}` }] });
      expect(await total("unchecked")).toBe(0);
    },
  );

  test("a clean-up cutoff frozen at start: each sweep takes its cutoffs from the clock", async () => {
    await parts(async (_broker, store) => {
      const start = Date.parse("2026-11-24T12:00:00Z");
      let nowMs = start;
      const clock = { ...systemClock, now: () => nowMs };
      const swept: number[] = [];
      const emit: Emit = (name, fact) => {
        if (name === "sweep.finished" && "expired" in fact) swept.push(fact.expired);
      };
      const cutoffs = { sweepIntervalMs: 1000, dedupWindowMs: DAY, keepDays: 30, keepMonths: 0 };
      const sweeper = { store, clock, holder: "a", emit };
      for (let hour = 0; hour < 3; hour += 1) {
        nowMs = start + hour * HOUR;
        await store.apply(hourlyLog.fold({ id: `m${hour}`, events: [event("ann", nowMs)] }), nowMs);
        await sweep(sweeper, cutoffs, new AbortController().signal);
      }
      expect(swept).toEqual([0, 1, 1]);
    });
  });

  test("a month merge that never starts on a missing key: the first day of a metric makes its month", async () => {
    await parts(async (_broker, store) => {
      const atMs = Date.parse("2026-03-05T00:00:00Z");
      await store.apply(distinctName.fold({ id: "m1", events: [event("ann", atMs)] }), Date.now());
      expect(await store.mergeMonths("2026-11-01", Date.now())).toBe(1);
      expect(await store.distinctNames(days)).toEqual([]);
      expect(await store.distinctNames({ ...days, granularity: "month" })).toEqual([
        { period: "2026-03", metric: "reads", count: 1 },
      ]);
    });
  });

  test("redelivery counted twice: a message that comes again changes nothing", async () => {
    await parts(async (broker, store) => {
      const message = encodeRows("m1", [rowsOf([event("ann", Date.now()), event("bob", Date.now(), "e1")])]);
      for (let i = 0; i < 3; i += 1) await broker.publish(message);
      expect(await work(broker, store, hourlyLog, 3)).toEqual(["ack", "ack", "ack"]);
      expect((await store.hourlyTotals({ limit: 1000, after: undefined }, Date.now()))[0]?.count).toBe(2);
    });
  });

  test("redelivery in a hot loop: a failing delivery waits between its attempts and ends as a dead letter", async () => {
    await parts(async (broker, store) => {
      const tries: number[] = [];
      const failing: ChangeStore = {
        claim: (claim, nowMs) => store.claim(claim, nowMs),
        erasures: () => store.erasures(),
        apply: () => {
          tries.push(performance.now());
          return Promise.reject(new MillraceError("INTERNAL", "as the test wants it"));
        },
      };
      await broker.publish(encodeRows("m1", [rowsOf([event("ann", Date.now())])]));
      expect(await work(broker, failing, accountName, 1)).toEqual(["retry", "retry", "retry", "deadLetter"]);
      const waits = tries.slice(1).map((at, i) => at - (tries[i] ?? 0));
      // Lower bounds, less the millisecond that a timer may be early: 20 ms, doubled each time.
      expect(waits.map((wait, i) => wait >= 20 * 2 ** i - 1)).toEqual([true, true, true]);
      const [letter] = await Array.fromAsync(broker.deadLetters.list("accountName"));
      expect(letter?.reason).toContain("as the test wants it");
    });
  });

  test("a TTL that drops unprocessed work: an event that waited past the hour still counts for its user and its day", async () => {
    await parts(async (broker, store) => {
      const atMs = Date.now() - 2 * HOUR;
      await broker.publish(encodeRows("m1", [rowsOf([event("ann", atMs)])]));
      for (const projection of [accountName, distinctName, hourlyLog]) {
        expect(await work(broker, store, projection, 1)).toEqual(["ack"]);
      }
      expect(await store.account("ann")).toEqual({ username: "ann", firstSeenMs: atMs });
      expect(await store.distinctNames(days)).toMatchObject([{ metric: "reads", count: 1 }]);
      expect(await store.hourlyTotals({ limit: 1000, after: undefined }, Date.now())).toEqual([]);
    });
  });

  test("no prefetch: a worker holds no more deliveries than it is told", async () => {
    await parts(async (broker, store) => {
      for (let i = 0; i < 20; i += 1)
        await broker.publish(encodeRows(`m${i}`, [rowsOf([event("ann", Date.now())])]));
      let held = 0;
      let most = 0;
      const slow: ChangeStore = {
        claim: (claim, nowMs) => store.claim(claim, nowMs),
        erasures: () => store.erasures(),
        async apply(change, nowMs) {
          held += 1;
          most = Math.max(most, held);
          await systemClock.sleep(5);
          await store.apply(change, nowMs);
          held -= 1;
        },
      };
      await work(broker, slow, hourlyLog, 20);
      expect(most).toBeGreaterThan(1);
      expect(most).toBeLessThanOrEqual(settings.prefetch);
    });
  });

  test("no body limit: a body over the limit is refused and its connection closed", async () => {
    const refused = await post(JSON.stringify({ username: "ann", metric: "x".repeat(70_000), count: 1 }));
    expect(refused.status).toBe(413);
  });

  test("no time-out: a request that does not end is ended", async () => {
    const { hostname, port } = new URL(millrace.collectorUrl);
    const socket = connect(Number(port), hostname);
    socket.write(
      "POST /event HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    );
    let heard = "";
    socket.setEncoding("utf8").on("data", (text) => (heard += text));
    await once(socket, "close");
    expect(heard).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("no auth: with a write key, nobody else may write", async () => {
    const hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"; // of "foo"
    await using locked = await startStandalone({ environment: { MILLRACE_WRITE_KEY_HASHES: hash } });
    const statusWith = async (authorization?: string) => {
      const { status } = await fetch(`${locked.collectorUrl}/event`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(authorization === undefined ? {} : { authorization }),
        },
        body: JSON.stringify({ username: "ann", metric: "locked", count: 1 }),
      });
      return status;
    };
    expect([await statusWith(), await statusWith("Bearer bar"), await statusWith("Bearer foo")]).toEqual([
      401, 403, 200,
    ]);
  });

  test("/debug/vars not being valid JSON: it is, before the first request and after the last", async () => {
    const vars = async () => JSON.parse(await (await fetch(`${millrace.collectorUrl}/debug/vars`)).text());
    await millrace.kill("SIGKILL");
    await millrace.restart();
    expect(await vars()).toEqual({
      serverMetrics: {
        requests: { total: 0, failed: 0, successfull: 0 },
        responseTimes: { minimum: 0, maximum: 0, average: 0 },
      },
    });
    await post(JSON.stringify({ username: "ann", metric: "vars", count: 1 }));
    await post("{}");
    expect(await vars()).toMatchObject({
      serverMetrics: { requests: { total: 2, failed: 1, successfull: 1 } },
    });
  });

  test("no graceful stop: SIGTERM answers what is in hand, ends with 0, and loses nothing", async () => {
    const posts = Array.from({ length: 50 }, () =>
      post(JSON.stringify({ username: "ann", metric: "stop", count: 1 })),
    );
    const first = await posts[0];
    const exit = millrace.kill("SIGTERM");
    const answers = await Promise.allSettled(posts);
    expect(await exit).toEqual({ code: 0, signal: null });
    const taken = answers.filter((one) => one.status === "fulfilled" && one.value.status === 200).length;
    expect(first?.status).toBe(200);
    await millrace.restart();
    // One that was taken is there; one whose answer the stop cut off may be.
    await expect.poll(() => total("stop"), { timeout: 10_000 }).toBeGreaterThanOrEqual(taken);
    expect(await total("stop")).toBeLessThanOrEqual(posts.length);
  });
});
