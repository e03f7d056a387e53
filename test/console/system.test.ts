import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { send } from "../collector/client.ts";
import { childEnvironment, millraceBin, type Standalone, startStandalone } from "../flow/standalone.ts";
import { deadPort } from "./admin-ports.ts";
import { openStream } from "./stream.ts";

const readyTimeoutMs = 50_000;
const batch = JSON.stringify(Array.from({ length: 50 }, () => ({ username: "u", metric: "m", count: 1 })));
const post = (collectorUrl: string) =>
  send("POST", `${collectorUrl}/events`, { body: batch, headers: { "content-type": "application/json" } });

describe("the figures of a standalone process", { timeout: 90_000 }, () => {
  let millrace: Standalone;
  beforeEach(async () => {
    millrace = await startStandalone({ readyTimeoutMs });
  });
  afterEach(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  test("move under load, and come to rest after it", async () => {
    await using stream = await openStream(millrace.queryUrl);
    const before = await stream.next("snapshot");
    expect(before).toMatchObject({
      events: { acceptedTotal: 0 },
      queues: { hourlyLog: { ready: 0, deadLetters: 0, workers: 1, objectiveSeconds: 30, scaler: null } },
      processes: [{ role: "standalone", address: new URL(millrace.adminUrl).host, fault: null }],
    });
    for (let times = 0; times < 4; times += 1) expect((await post(millrace.collectorUrl)).status).toBe(200);
    let { events, queues } = before;
    const rates = new Set<string>();
    while (events.acceptedTotal !== 200 || queues.hourlyLog.storedPerSecond !== 0 || rates.size < 4) {
      ({ events, queues } = await stream.next("snapshot"));
      if ((events.acceptedPerSecond ?? 0) > 0) rates.add("accepted");
      for (const [queue, { storedPerSecond }] of Object.entries(queues)) {
        if ((storedPerSecond ?? 0) > 0) rates.add(queue);
      }
    }
    expect(rates).toEqual(new Set(["accepted", "accountName", "distinctName", "hourlyLog"]));
    expect(queues.hourlyLog).toMatchObject({ ready: 0, unsettled: 0, oldestWaitSeconds: 0 });
  });

  test("do not keep it from ending: an open page is told goodbye", async () => {
    await using stream = await openStream(millrace.queryUrl);
    await stream.next("snapshot");
    const exit = await millrace.stop();
    await stream.ended;
    expect(exit).toEqual({ code: 0, signal: null });
    expect(millrace.log()).not.toContain("not drained");
  });
});

test("a query API in a process of its own tells of the processes that its sources name", {
  timeout: 120_000,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "millrace-console-"));
  parts.defer(() => rm(dataDir, { recursive: true, force: true }));
  /** Starts one and resolves to where its servers listen, by their role. */
  async function start(
    words: readonly string[],
    servers: number,
    more: Readonly<Record<string, string>> = {},
  ) {
    const any = { MILLRACE_COLLECTOR_PORT: "0", MILLRACE_QUERY_PORT: "0", MILLRACE_ADMIN_PORT: "0" };
    const env = childEnvironment({
      ...any,
      MILLRACE_DATA_DIR: dataDir,
      MILLRACE_LOG_FORMAT: "json",
      ...more,
    });
    const child = spawn(process.execPath, [millraceBin, ...words], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "close");
    parts.defer(async () => {
      child.kill("SIGTERM");
      await ended;
    });
    const addresses: Record<string, string> = {};
    for await (const line of createInterface({ input: child.stdout })) {
      const { role, address } = JSON.parse(line) as { role?: string; address?: string };
      if (role !== undefined && address !== undefined) addresses[role] = address;
      if (Object.keys(addresses).length === servers) break;
    }
    child.stdout.resume();
    return addresses;
  }

  const [collector, worker] = await Promise.all([start(["collector"], 2), start(["worker", "hourlyLog"], 1)]);
  const at = (addresses: Readonly<Record<string, string>>) => new URL(addresses["admin"] ?? "").host;
  const operator = `127.0.0.1:${await deadPort()}`;
  const query = await start(["query"], 2, {
    MILLRACE_CONSOLE_SOURCES: `collector=${at(collector)},hourlyLog=${at(worker)},operator=${operator}`,
    MILLRACE_COLLECTOR_URL: collector["collector"] ?? "",
  });
  const url = query["query"] ?? "";
  expect((await send("GET", `${url}/console/setup`)).body).toMatchObject({ canSend: true, canReplay: false });

  await using stream = await openStream(url);
  const event = {
    body: JSON.stringify({ username: "u", metric: "m", count: 1 }),
    headers: { "content-type": "application/json" },
  };
  expect((await send("POST", `${url}/console/event`, event)).status).toBe(200);
  let snapshot = await stream.next("snapshot");
  while (
    snapshot.events.acceptedTotal !== 1 ||
    snapshot.processes[2]?.fault?.includes("ECONNREFUSED") !== true
  ) {
    snapshot = await stream.next("snapshot");
  }
  expect(snapshot).toMatchObject({
    queues: {
      hourlyLog: { workers: 1, objectiveSeconds: 30 },
      accountName: { workers: 0, objectiveSeconds: null },
    },
    processes: [
      { role: "collector", address: at(collector), fault: null },
      { role: "hourlyLog", address: at(worker), fault: null },
      { role: "operator", address: operator },
    ],
  });
  expect(await stream.next("decisions")).toMatchObject({ operator: "unreachable" });
});
