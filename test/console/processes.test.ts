import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { snapshotOf } from "../../src/console/figures.ts";
import { Processes } from "../../src/console/processes.ts";
import { readAdmin } from "../../src/console/reading.ts";
import { Addresses, type Lookup, sourceOf } from "../../src/console/sources.ts";
import { deadPort, openAdmin, openBare } from "./admin-ports.ts";

const message = { bytes: 1, seconds: 0, waitSeconds: 0 };
const notFound = Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" });

describe("processes", () => {
  let parts: AsyncDisposableStack;
  let stop: AbortController;
  beforeEach(() => {
    parts = new AsyncDisposableStack();
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await parts.disposeAsync();
  });

  function reading(sources: readonly string[], lookup: Lookup = async (host) => [host]) {
    const processes = new Processes({
      addresses: new Addresses(sources.map(sourceOf), lookup),
      readOf: ({ address, role }) => readAdmin(address, role),
      own: undefined,
    });
    return {
      observe: async () => {
        const begunMs = performance.now();
        const observed = await processes.observe(stop.signal);
        return { observed, ms: performance.now() - begunMs };
      },
      faults: async () =>
        (await processes.observe(stop.signal)).map(({ role, fault }) => [role, fault] as const),
    };
  }

  test("of a host with several addresses are each read, and told by their own address", async () => {
    const first = parts.use(await openAdmin("collector"));
    const second = parts.use(await openAdmin("collector", "127.0.0.2", first.port));
    first.emit("message.published", { ...message, events: 4 });
    second.emit("message.published", { ...message, events: 5 });
    const { observe } = reading([`collector=mill-collector-admin:${first.port}`], async () => [
      "127.0.0.1",
      "127.0.0.2",
    ]);
    const { observed } = await observe();
    const { events, processes } = snapshotOf(0, observed);
    expect(events.acceptedTotal).toBe(9);
    expect(processes).toEqual([
      { role: "collector", address: `127.0.0.1:${first.port}`, fault: null },
      { role: "collector", address: `127.0.0.2:${first.port}`, fault: null },
    ]);
    first.emit("message.published", { ...message, events: 1 });
    const again = await observe();
    expect(snapshotOf(0, again.observed).events.acceptedPerSecond).toBeGreaterThan(0);
  });

  test("that are dead or silent get a fault, and hold nobody up", async () => {
    const well = parts.use(await openAdmin("hourlyLog"));
    const silent = parts.use(await openBare(() => {}));
    const { observe, faults } = reading([
      `hourlyLog=127.0.0.1:${well.port}`,
      `collector=127.0.0.1:${silent.port}`,
      `query=127.0.0.1:${await deadPort()}`,
    ]);
    const first = await observe();
    expect(first.ms).toBeLessThan(1000);
    expect(first.observed.find(({ role }) => role === "hourlyLog")?.reading).toBeDefined();
    expect(first.observed.find(({ role }) => role === "collector")?.fault).toBe("it has not answered yet");
    await expect.poll(faults, { timeout: 5000 }).toEqual([
      ["hourlyLog", undefined],
      ["collector", "no answer within 2000 ms"],
      ["query", expect.stringContaining("ECONNREFUSED")],
    ]);
    // Nobody waits for one that was at fault.
    expect((await observe()).ms).toBeLessThan(200);
  });

  test("that answer again are well again", async () => {
    let isIll = true;
    const port = parts.use(
      await openBare((_request, response) => {
        response.statusCode = isIll ? 500 : 200;
        response.end('millrace_events_total{outcome="accepted"} 3\n');
      }),
    );
    const { faults } = reading([`collector=127.0.0.1:${port.port}`]);
    expect(await faults()).toEqual([["collector", "/metrics answers 500"]]);
    isIll = false;
    await expect.poll(faults, { timeout: 10_000 }).toEqual([["collector", undefined]]);
  });

  test("that answer without an end are given up", async () => {
    const endless = parts.use(
      await openBare((_request, response) => {
        const more = () => {
          while (!response.destroyed && response.write("a".repeat(65_536)));
        };
        response.on("drain", more);
        more();
      }),
    );
    const { faults } = reading([`collector=127.0.0.1:${endless.port}`]);
    await expect
      .poll(faults, { timeout: 5000 })
      .toEqual([["collector", expect.stringMatching(/more than \d+ bytes|no answer within/)]]);
  });

  test("that are many are read a few at a time", async () => {
    let [inHand, most] = [0, 0];
    const port = parts.use(
      await openBare((_request, response) => {
        inHand += 1;
        most = Math.max(most, inHand);
        setTimeout(() => {
          inHand -= 1;
          response.end();
        }, 20);
      }),
    );
    const addresses = Array.from({ length: 60 }, (_, at) => `127.0.1.${at + 1}`);
    const { observe } = reading([`collector=collectors:${port.port}`], async () => addresses);
    const { observed } = await observe();
    expect(observed.filter(({ reading: told }) => told !== undefined)).toHaveLength(60);
    expect(most).toBeLessThanOrEqual(16);
    expect(most).toBeGreaterThan(1);
  });

  test("whose host is not there are missed, but for workers, which may all have been taken away", async () => {
    const { faults } = reading(["collector=gone:9090", "hourlyLog=away:9090"], () =>
      Promise.reject(notFound),
    );
    expect(await faults()).toEqual([["collector", "there is no process at gone, or no such name"]]);
  });

  test("stay known while names cannot be looked up, and are gone once they have no address", async () => {
    const well = parts.use(await openAdmin("hourlyLog"));
    let answer: () => Promise<readonly string[]> = async () => ["127.0.0.1"];
    let asked = 0;
    const { faults } = reading([`hourlyLog=workers:${well.port}`], () => {
      asked += 1;
      return answer();
    });
    expect(await faults()).toEqual([["hourlyLog", undefined]]);
    answer = () => Promise.reject(Object.assign(new Error("try again"), { code: "EAI_AGAIN" }));
    await expect.poll(async () => (await faults(), asked), { timeout: 6000 }).toBeGreaterThan(1);
    expect(await faults()).toEqual([["hourlyLog", undefined]]);
    answer = () => Promise.reject(notFound);
    await expect.poll(faults, { timeout: 6000 }).toEqual([]);
  });

  test("whose names take long to look up hold nobody up", async () => {
    const well = parts.use(await openAdmin("query"));
    const { observe } = reading([`query=127.0.0.1:${well.port}`, "collector=slow:9090"], (host) =>
      host === "slow" ? new Promise(() => {}) : Promise.resolve([host]),
    );
    const { observed, ms } = await observe();
    expect(ms).toBeLessThan(1500);
    expect(observed.map(({ role, fault }) => [role, fault])).toEqual([
      ["query", undefined],
      ["collector", "its address is not known yet"],
    ]);
  });

  test.for([
    ["no JSON", "decisions!", /JSON/],
    ["something else", '{"leading":"yes"}', /something else/],
  ] as const)("that are operators and answer %s for decisions have a fault", async ([, body, fault]) => {
    const port = parts.use(
      await openBare((request, response) => {
        response.end(request.url === "/decisions" ? body : "millrace_operator_leading 1\n");
      }),
    );
    const { faults } = reading([`operator=127.0.0.1:${port.port}`]);
    expect(await faults()).toEqual([["operator", expect.stringMatching(fault)]]);
  });

  test("are not asked any more once that is not wanted", async () => {
    const silent = parts.use(await openBare(() => {}));
    const { observe } = reading([`collector=127.0.0.1:${silent.port}`]);
    const observing = observe();
    stop.abort();
    expect((await observing).ms).toBeLessThan(400);
    await expect
      .poll(() => new Promise((done) => silent.server.getConnections((_error, open) => done(open))))
      .toBe(0);
  });
});
