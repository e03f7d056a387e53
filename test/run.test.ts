import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import fastify from "fastify";
import { describe, expect, test } from "vitest";
import { type Actor, runActors, serverActor } from "../src/run.ts";
import type { SignalName } from "../src/signals.ts";

/** Ends when it is told to stop. */
const patient = (name: string, ended: string[] = []): Actor => ({
  name,
  async run(stop) {
    if (!stop.aborted) await once(stop, "abort");
    ended.push(name);
  },
});
const ending = (name: string): Actor => ({ name, run: () => Promise.resolve() });
const failing = (name: string, message: string): Actor => ({
  name,
  run: () => Promise.reject(new Error(message)),
});
/** Never ends, whatever it is told. */
const deaf = (name: string): Actor => ({ name, run: () => Promise.withResolvers<void>().promise });
/** Longer than any test: only what should end a run ends it. */
const NEVER_MS = 3_600_000;

describe("actors that run together", () => {
  test("all end when told to stop", async () => {
    const stop = new AbortController();
    const ended: string[] = [];
    const run = runActors([patient("a", ended), patient("b", ended)], stop, NEVER_MS);
    stop.abort();
    await run;
    expect(ended.toSorted()).toEqual(["a", "b"]);
  });

  test("all end when they had been told to stop before they started", async () => {
    const stop = new AbortController();
    stop.abort();
    const ended: string[] = [];
    await runActors([patient("a", ended)], stop, NEVER_MS);
    expect(ended).toEqual(["a"]);
  });

  test("are stopped by the first of them to end", async () => {
    const stop = new AbortController();
    const ended: string[] = [];
    await runActors([patient("a", ended), ending("b"), patient("c", ended)], stop, NEVER_MS);
    expect(ended.toSorted()).toEqual(["a", "c"]);
    expect(stop.signal.aborted).toBe(true);
  });

  test("are stopped by the first of them to fail, and the failure is thrown once all have ended", async () => {
    const ended: string[] = [];
    const run = runActors([patient("a", ended), failing("b", "no port")], new AbortController(), NEVER_MS);
    await expect(run).rejects.toThrow("no port");
    expect(ended).toEqual(["a"]);
  });

  test("tell the first of several failures", async () => {
    const late: Actor = {
      name: "late",
      async run(stop) {
        await once(stop, "abort");
        throw new Error("second");
      },
    };
    const run = runActors([late, failing("b", "first")], new AbortController(), NEVER_MS);
    await expect(run).rejects.toThrow("first");
  });

  test("fail where one fails only while it stops", async () => {
    const stop = new AbortController();
    const late: Actor = {
      name: "late",
      async run(signal) {
        await once(signal, "abort");
        throw new Error("not settled");
      },
    };
    const run = runActors([late, patient("b")], stop, NEVER_MS);
    stop.abort();
    await expect(run).rejects.toThrow("not settled");
  });

  test("fail at the deadline, which names all that have not ended and none that have", async () => {
    const stop = new AbortController();
    const run = runActors([patient("a"), deaf("b"), deaf("c")], stop, 20);
    stop.abort();
    await expect(run).rejects.toThrow(/^not drained within 20 ms: b, c$/);
  });

  test("fail with the failure that stopped them, though the deadline passes too", async () => {
    const run = runActors([failing("a", "no port"), deaf("b")], new AbortController(), 20);
    await expect(run).rejects.toThrow("no port");
  });

  test("have all of the deadline to end in", async () => {
    const stop = new AbortController();
    const hands = Promise.withResolvers<void>();
    const slow: Actor = { name: "slow", run: () => hands.promise };
    const run = runActors([patient("a"), slow], stop, NEVER_MS);
    let over = false;
    void run.then(() => (over = true));
    stop.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(over).toBe(false);
    hands.resolve();
    await run;
  });
});

describe("a server as an actor", () => {
  test("listens, answers what is in hand when it is told to stop, and takes no more", async () => {
    const arrived = Promise.withResolvers<void>();
    const hands = Promise.withResolvers<void>();
    const server = fastify();
    server.get("/", async () => {
      arrived.resolve();
      await hands.promise;
      return "done";
    });
    const started = Promise.withResolvers<string>();
    const told: SignalName[] = [];
    const actor = serverActor("a", server, { host: "127.0.0.1", port: 0 }, (name, fact) => {
      told.push(name);
      if ("address" in fact && fact.address !== undefined) started.resolve(fact.address);
    });
    const stop = new AbortController();
    const run = runActors([actor], stop, NEVER_MS);
    const url = await started.promise;
    const answer = fetch(url);
    await arrived.promise;
    stop.abort();
    hands.resolve();
    expect(await (await answer).text()).toBe("done");
    await run;
    await expect(fetch(url)).rejects.toThrow("fetch failed");
    expect(told).toEqual(["role.started", "role.stopped"]);
  });

  test("fails where its port is taken, and stops the others", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as AddressInfo;
    const ended: string[] = [];
    const actor = serverActor("a", fastify(), { host: "127.0.0.1", port }, () => {});
    const run = runActors([actor, patient("b", ended)], new AbortController(), NEVER_MS);
    await expect(run).rejects.toThrow(String(port));
    expect(ended).toEqual(["b"]);
    await once(holder.close(), "close");
  });
});
