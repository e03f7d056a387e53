import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDecisions } from "../../operator/decisions.ts";
import { samplesIn } from "../../src/console/prometheus-text.ts";
import type { Read } from "../../src/console/reading.ts";
import { openBare } from "./admin-ports.ts";
import { type ConsoleOptions, openConsole, type ServedConsole } from "./serve.ts";
import { openStream, type Stream } from "./stream.ts";

describe("the stream of the live page", () => {
  let parts: AsyncDisposableStack;
  let reads = 0;
  const read: Read = async () => {
    reads += 1;
    const text = `process_start_time_seconds 1\nmillrace_events_total{outcome="accepted"} ${reads * 10}\n`;
    const names = new Set(["process_start_time_seconds", "millrace_events_total"]);
    return { samples: samplesIn(text, names), decisions: undefined };
  };
  beforeEach(() => {
    parts = new AsyncDisposableStack();
    reads = 0;
  });
  afterEach(() => parts.disposeAsync());
  const served = async (options: ConsoleOptions = { read }) => parts.use(await openConsole(options));
  const watching = async ({ url }: ServedConsole): Promise<Stream> => parts.use(await openStream(url));

  test("is of server-sent events that no cache keeps and no proxy gathers", async () => {
    const stream = await watching(await served());
    expect(stream.status).toBe(200);
    expect(Object.fromEntries(stream.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": expect.stringContaining("no-store"),
      "x-accel-buffering": "no",
      "content-security-policy": expect.stringContaining("default-src 'self'"),
    });
    expect(stream.headers.has("content-encoding")).toBe(false);
    await stream.next("snapshot");
    expect(stream.text).toMatch(/^retry: 2000\n\nevent: history\ndata: \[\]\n\n/);
  });

  test("tells a snapshot a second, with rates from the second on", async () => {
    const stream = await watching(await served());
    const first = await stream.next("snapshot");
    expect(first.events).toMatchObject({ acceptedPerSecond: null, acceptedTotal: 10 });
    expect(await stream.next("decisions")).toEqual({ operator: "none", scalers: [], changes: [] });
    const second = await stream.next("snapshot");
    expect(second.events.acceptedTotal).toBe(20);
    expect(second.events.acceptedPerSecond).toBeGreaterThan(5);
    expect(second.events.acceptedPerSecond).toBeLessThan(20);
    expect(second.atMs - first.atMs).toBeGreaterThan(700);
  });

  test("begins with what others have seen, and costs no further reading", async () => {
    const console = await served();
    const first = await watching(console);
    const seen = [await first.next("snapshot"), await first.next("snapshot")];
    const second = await watching(console);
    expect(await second.next("history")).toEqual(seen);
    expect(await second.next("decisions")).toMatchObject({ operator: "none" });
    const [one, other] = await Promise.all([first.next("snapshot"), second.next("snapshot")]);
    expect(other).toEqual(one);
    expect(reads).toBe(3);
  });

  test("rests while nobody watches, and then forgets what was", async () => {
    const console = await served();
    {
      await using stream = await openStream(console.url);
      await stream.next("snapshot");
    }
    const after = reads;
    // Longer than a period: there is no signal of what does not happen.
    await wait(1500);
    expect(reads - after).toBeLessThanOrEqual(1);
    const again = await watching(console);
    expect(await again.next("history")).toEqual([]);
    expect((await again.next("snapshot")).events.acceptedPerSecond).toBeNull();
  });

  test("is refused to more pages than a hundred, and is there again when one is closed", async () => {
    const console = await served();
    const streams = await Promise.all(Array.from({ length: 100 }, () => watching(console)));
    const refused = await fetch(`${console.url}/console/live`);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await refused.json()).toMatchObject({ code: "OVERLOADED" });
    await streams[0]?.[Symbol.asyncDispose]();
    await expect.poll(async () => (await watching(console)).status).toBe(200);
  });

  test("is not counted as a request, which would be a very slow one", async () => {
    const console = await served();
    {
      await using stream = await openStream(console.url);
      await stream.next("snapshot");
    }
    await fetch(`${console.url}/console/setup`);
    await expect.poll(() => console.counted).toEqual(["/console/setup"]);
  });

  test.for(["HEAD", "POST"])("has no answer to %s", async (method) => {
    const console = await served();
    const answer = await fetch(`${console.url}/console/live`, { method });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET"]);
  });

  /** Asks and then reads nothing more. */
  async function deaf({ url }: ServedConsole) {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    parts.defer(() => void socket.destroy());
    await once(socket, "connect");
    socket.write("GET /console/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await once(socket, "data");
    return socket.pause();
  }
  const notFound = Object.assign(new Error("not found"), { code: "ENOTFOUND" });
  /** Long names of what is not there make a snapshot of a megabyte and a half. */
  const large = (): ConsoleOptions => ({
    read,
    sources: Array.from({ length: 150 }, (_, at) => `collector=${"absent.".repeat(700)}${at}:9090`),
    lookup: () => Promise.reject(notFound),
  });

  test("that is not read loses snapshots: what waits for the reader does not grow", async () => {
    const console = await served(large());
    await deaf(console);
    const waiting = () => console.connections[0]?.writableLength ?? 0;
    await expect.poll(waiting, { timeout: 20_000 }).toBeGreaterThan(0);
    await expect.poll(() => reads, { timeout: 20_000 }).toBeGreaterThan(reads + 2);
    const before = waiting();
    expect(before).toBeLessThan(3_500_000);
    await expect.poll(() => reads, { timeout: 20_000 }).toBeGreaterThan(reads + 3);
    expect(waiting()).toBe(before);
  });

  test("ends at once when the server closes, read or not", async () => {
    const console = await served(large());
    const socket = await deaf(console);
    await expect.poll(() => console.connections[0]?.writableLength, { timeout: 20_000 }).toBeGreaterThan(0);
    const stream = await watching(console);
    await stream.next("history");
    const begunMs = performance.now();
    await console.close();
    await stream.ended;
    // Far less than the ten seconds that a process has.
    expect(performance.now() - begunMs).toBeLessThan(5000);
    socket.resume();
    await once(socket, "close");
  });

  test("tells the operator's decisions at first and whenever they change", async () => {
    let nowMs = 1000;
    const decisions = createDecisions({ now: () => nowMs, sleep: async () => {} });
    const port = parts.use(
      await openBare((request, response) => {
        response.end(
          request.url === "/decisions" ? JSON.stringify(decisions.now()) : "millrace_operator_leading 1\n",
        );
      }),
    );
    const stream = await watching(await served({ sources: [`operator=127.0.0.1:${port.port}`] }));
    expect(await stream.next("decisions")).toMatchObject({ operator: "unreachable" });
    decisions.emit("leader.changed", { leading: true, identity: "a" });
    expect(await stream.next("decisions")).toEqual({ operator: "leading", scalers: [], changes: [] });
    nowMs = 2000;
    const change = { namespace: "a", scaler: "b", from: 1, to: 2, reason: "AboveTarget", message: "more" };
    decisions.emit("replicas.changed", { ...change, target: "b" });
    expect(await stream.next("decisions")).toMatchObject({ changes: [{ ...change, atMs: 2000 }] });
  });
});
