import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { ClusterError } from "../../operator/cluster.ts";
import { type LeaderSettings, type LeaseStore, runAsLeader } from "../../operator/leader.ts";
import { HandClock, skewed } from "./hand-clock.ts";
import { type Fate, MemoryLeases } from "./memory-leases.ts";

const TIMES = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2000 };
const settingsOf = (identity: string): LeaderSettings => ({ identity, ...TIMES });
/** A lease that ran out just after a look, and the longest time until the next look. */
const TAKEOVER_MS = TIMES.leaseDurationMs + TIMES.retryPeriodMs * 2.2;

let clock: HandClock;
let leases: MemoryLeases;
/** Who leads, in the order that they began to. */
let leading: string[];
beforeEach(() => {
  clock = new HandClock();
  leases = new MemoryLeases(clock);
  leading = [];
});

const aborted = (stop: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });

interface Candidate {
  readonly stop: () => void;
  /** Undefined until it ends: then how. */
  ended: "stopped" | Error | undefined;
}

/** Leads until it is told to stop; from that moment on it leads no more. */
function start(identity: string, store: LeaseStore = leases.by(), skewMs = 0): Candidate {
  const stop = new AbortController();
  const candidate: Candidate = { stop: () => stop.abort(), ended: undefined };
  const lead = async (over: AbortSignal): Promise<void> => {
    leading.push(identity);
    await aborted(over);
    leading.splice(leading.indexOf(identity), 1);
  };
  runAsLeader(store, settingsOf(identity), skewed(clock, skewMs), lead, stop.signal).then(
    () => {
      candidate.ended = "stopped";
    },
    (error: Error) => {
      candidate.ended = error;
    },
  );
  return candidate;
}

/** A network that can be cut: then each request comes to nothing after a while. */
function cuttable(): { readonly store: LeaseStore; cut: boolean } {
  const network = { cut: false };
  const fate = (): Fate =>
    network.cut
      ? { thereMs: 10_000, backMs: 0, outcome: "lostRequest" }
      : { thereMs: 0, backMs: 0, outcome: "answered" };
  return Object.assign(network, { store: leases.by(fate) });
}

describe("one candidate", () => {
  test("creates the lease, leads, and renews it for as long as it leads", async () => {
    start("a");
    await clock.pass(0);
    expect(leading).toEqual(["a"]);
    expect(leases.lease).toMatchObject({ holder: "a", durationMs: 15_000, transitions: 0 });
    const first = leases.lease?.renewedAtMs ?? 0;
    await clock.pass(60_000);
    expect(leading).toEqual(["a"]);
    expect((leases.lease?.renewedAtMs ?? 0) - first).toBeGreaterThanOrEqual(58_000);
    expect(leases.lease?.transitions).toBe(0);
  });

  test("leads through an outage that is shorter than the deadline, although a request hangs", async () => {
    const network = cuttable();
    const a = start("a", network.store);
    await clock.pass(2000);
    network.cut = true;
    await clock.pass(7000);
    network.cut = false;
    await clock.pass(60_000);
    expect([leading, a.ended]).toEqual([["a"], undefined]);
  });

  test("leads no more once it could not renew until the deadline, although its request hangs", async () => {
    const network = cuttable();
    const a = start("a", network.store);
    await clock.pass(2000);
    network.cut = true;
    await clock.pass(7999);
    expect(leading).toEqual(["a"]);
    await clock.pass(2001);
    expect(leading).toEqual([]);
    expect(a.ended).toMatchObject({
      message: expect.stringContaining("could not be renewed within 10 seconds"),
    });
  });

  test("leads no more once another has taken the lease", async () => {
    const a = start("a");
    await clock.pass(0);
    await leases
      .by()
      .write({ ...leases.lease, holder: "b", durationMs: 15_000, renewedAtMs: 0, transitions: 1 });
    await clock.pass(2000);
    expect([leading, String(a.ended)]).toEqual([
      [],
      "Error: this operator leads no more: b has taken the lease",
    ]);
    expect(leases.lease?.holder).toBe("b");
  });

  test("goes on where the answer to a renewal was lost", async () => {
    let lose = false;
    const store = leases.by(() => ({ thereMs: 0, backMs: 0, outcome: lose ? "lostAnswer" : "answered" }));
    const a = start("a", store);
    await clock.pass(0);
    lose = true;
    await clock.pass(2000);
    lose = false;
    await clock.pass(30_000);
    expect([leading, a.ended]).toEqual([["a"], undefined]);
  });

  test("does not begin where the lease was granted so late that it may be another's by now", async () => {
    let slow = true;
    const store = leases.by(() => ({ thereMs: 0, backMs: slow ? 12_000 : 0, outcome: "answered" }));
    start("a", store);
    await clock.pass(24_000);
    expect([leases.lease?.holder, leading]).toEqual(["a", []]);
    slow = false;
    await clock.pass(20_000);
    expect(leading).toEqual(["a"]);
  });

  test("that is told to stop while it waits for the lease ends without having led", async () => {
    start("a");
    await clock.pass(0);
    const b = start("b");
    await clock.pass(1000);
    b.stop();
    await clock.pass(0);
    expect([b.ended, leading]).toEqual(["stopped", ["a"]]);
  });

  test("that may not have a lease says so instead of waiting for ever", async () => {
    const refuse = async () => {
      throw new ClusterError("Forbidden", "this operator may not get leases");
    };
    const a = start("a", { read: refuse, write: refuse });
    await clock.pass(0);
    expect(a.ended).toMatchObject({ message: "this operator may not get leases" });
  });

  test("whose work fails gives the lease up and passes the failure on", async () => {
    const failing = runAsLeader(
      leases.by(),
      settingsOf("a"),
      clock,
      async () => {
        await clock.sleep(5000);
        throw new Error("a defect");
      },
      new AbortController().signal,
    );
    const failure = failing.then(
      () => undefined,
      (error: Error) => error.message,
    );
    await clock.pass(6000);
    expect(await failure).toBe("a defect");
    expect(leases.lease?.holder).toBe("");
  });
});

describe("a successor", () => {
  test("takes over within the next try after a leader that stops, which ends its work first", async () => {
    const a = start("a");
    await clock.pass(0);
    start("b");
    await clock.pass(10_000);
    expect(leading).toEqual(["a"]);
    a.stop();
    await clock.pass(0);
    expect([a.ended, leading, leases.lease?.holder]).toEqual(["stopped", [], ""]);
    await clock.pass(TIMES.retryPeriodMs * 2.2);
    expect([leading, leases.lease?.holder, leases.lease?.transitions]).toEqual([["b"], "b", 1]);
  });

  test.for([0, -3_600_000, 3_600_000])(
    "takes over from a leader that is gone once the lease has run out, by a clock that is wrong by %d ms",
    async (skewMs) => {
      const network = cuttable();
      start("a", network.store);
      await clock.pass(0);
      start("b", leases.by(), skewMs);
      await clock.pass(20_000);
      network.cut = true;
      const renewedAtMs = leases.lease?.renewedAtMs ?? 0;
      await clock.pass(renewedAtMs + TIMES.leaseDurationMs - 1 - clock.now());
      expect(leading).toEqual([]);
      await clock.pass(TAKEOVER_MS - TIMES.leaseDurationMs + TIMES.retryPeriodMs * 2.2);
      expect(leading).toEqual(["b"]);
    },
  );

  test("waits for a lease that somebody has deleted as long as it would have held", async () => {
    const network = cuttable();
    start("a", network.store);
    await clock.pass(0);
    start("b");
    await clock.pass(10_000);
    network.cut = true;
    leases.lease = undefined;
    await clock.pass(5000);
    expect(leading).toEqual(["a"]);
    await clock.pass(TAKEOVER_MS);
    expect(leading).toEqual(["b"]);
  });

  test("does not take a lease whose holder renews it, however wrong the holder's clock is", async () => {
    start("a", leases.by(), -86_400_000);
    await clock.pass(0);
    start("b");
    await clock.pass(120_000);
    expect(leading).toEqual(["a"]);
  });
});

describe("under any network", () => {
  /** What the network of one candidate is like, for a time. */
  const weather = fc.record({
    forMs: fc.nat(40_000),
    thereMs: fc.oneof(fc.constant(0), fc.nat(12_000)),
    backMs: fc.oneof(fc.constant(0), fc.nat(12_000)),
    outcome: fc.constantFrom("answered", "lostRequest", "lostAnswer"),
  });
  const candidates = fc.array(
    fc.record({
      skewMs: fc.integer({ min: -600_000, max: 600_000 }),
      startsAfterMs: fc.nat(20_000),
      stopsAfterMs: fc.option(fc.integer({ min: 20_000, max: 120_000 }), { nil: undefined }),
      weathers: fc.array(weather, { maxLength: 8 }),
    }),
    { minLength: 2, maxLength: 3 },
  );

  /** Lets them run for two minutes, each begun anew when it lost; then for as long as a takeover takes, all undisturbed. */
  async function most(these: typeof candidates extends fc.Arbitrary<infer T> ? T : never) {
    clock = new HandClock();
    leases = new MemoryLeases(clock);
    leading = [];
    let mostAtATime = 0;
    let calm = false;
    const over = new AbortController();
    const run = async (one: (typeof these)[number], at: number): Promise<void> => {
      await clock.sleep(one.startsAfterMs);
      const stop = new AbortController();
      over.signal.addEventListener("abort", () => stop.abort());
      const { stopsAfterMs } = one;
      if (stopsAfterMs !== undefined) void clock.sleep(stopsAfterMs).then(() => stop.abort());
      const begunMs = clock.now();
      const store = leases.by(() => {
        let untilMs = begunMs;
        const now = one.weathers.find((next) => clock.now() < (untilMs += next.forMs));
        return calm || now === undefined ? { thereMs: 0, backMs: 0, outcome: "answered" } : now;
      });
      for (let life = 1; !stop.signal.aborted; life += 1) {
        const identity = `${at}.${life}`;
        const lead = async (end: AbortSignal): Promise<void> => {
          leading.push(identity);
          mostAtATime = Math.max(mostAtATime, leading.length);
          await aborted(end);
          leading.splice(leading.indexOf(identity), 1);
        };
        await runAsLeader(store, settingsOf(identity), skewed(clock, one.skewMs), lead, stop.signal).catch(
          () => clock.sleep(1000),
        );
      }
    };
    const all = Promise.all(
      [...these, { skewMs: 0, startsAfterMs: 120_000, stopsAfterMs: undefined, weathers: [] }].map(run),
    );
    await clock.pass(120_000);
    calm = true;
    // What was on its way when it became calm arrives.
    await clock.pass(24_000);
    await clock.pass(2 * TAKEOVER_MS);
    const atTheEnd = leading.length;
    over.abort();
    await clock.pass(60_000);
    await all;
    return { mostAtATime, atTheEnd };
  }

  test("there are never two leaders, and once it is calm there is one", async () => {
    await fc.assert(
      fc.asyncProperty(candidates, async (these) => {
        expect(await most(these)).toEqual({ mostAtATime: 1, atTheEnd: 1 });
      }),
      { numRuns: 150 },
    );
  });
});
