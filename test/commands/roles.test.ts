import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { childEnvironment, type Exit, millraceBin } from "../flow/standalone.ts";

/** A process of one role, and what it has said. */
interface RoleProcess {
  readonly exited: Promise<Exit>;
  /** All of its output so far. */
  log(): string;
  /** Resolves to the address that this role listens on, or "" where it does not; rejects if the process ends before. */
  started(role: string): Promise<string>;
  kill(signal: NodeJS.Signals): Promise<Exit>;
}

const workers = ["accountName", "distinctName", "hourlyLog"] as const;
const roles = ["collector", ...workers, "query", "sweeper"] as const;
type Role = (typeof roles)[number];
const isWorker = (role: Role): boolean => (workers as readonly string[]).includes(role);
const wordsOf = (role: Role): readonly string[] => (isWorker(role) ? ["worker", role] : [role]);

let dataDir: string;
let running: RoleProcess[];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "millrace-roles-"));
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((one) => one.kill("SIGKILL")));
  await rm(dataDir, { recursive: true, force: true });
});

/** Ports are any that are free; a process tells which in its log. */
function start(words: readonly string[], environment: Readonly<Record<string, string>> = {}): RoleProcess {
  const child = spawn(process.execPath, [millraceBin, ...words], {
    env: childEnvironment({
      MILLRACE_COLLECTOR_PORT: "0",
      MILLRACE_QUERY_PORT: "0",
      MILLRACE_ADMIN_PORT: "0",
      MILLRACE_DATA_DIR: dataDir,
      MILLRACE_SWEEP_INTERVAL_MS: "100",
      ...environment,
    }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      for (const listener of listeners) listener();
    });
  }
  const exited = once(child, "close").then(([code, signal]): Exit => ({ code, signal }));
  const log = () => lines.join("\n");
  const addressOf = (role: string): string | undefined => {
    for (const line of lines) {
      if (!line.startsWith("{")) continue;
      const fact = JSON.parse(line) as { msg: string; role?: string; address?: string };
      if (fact.msg === "started" && fact.role === role) return fact.address ?? "";
    }
    return undefined;
  };
  const one: RoleProcess = {
    exited,
    log,
    started: (role) =>
      new Promise((resolve, reject) => {
        const listener = () => {
          const address = addressOf(role);
          if (address !== undefined) resolve(address);
        };
        listeners.add(listener);
        listener();
        void exited.then((exit) => reject(new Error(`it ended with ${JSON.stringify(exit)}:\n${log()}`)));
      }),
    kill: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
  running.push(one);
  return one;
}
const startRole = async (role: Role): Promise<RoleProcess> => {
  const one = start(wordsOf(role));
  await one.started(role);
  return one;
};

interface Sent {
  readonly id: string;
  readonly username: string;
  readonly metric: string;
  readonly count: number;
}
const eventOf = (i: number): Sent => ({ id: `e${i}`, username: `user ${i % 5}`, metric: "reads", count: i });
const post = async (url: string, body: Sent | readonly Sent[]): Promise<number> => {
  const answer = await fetch(`${url}/event${Array.isArray(body) ? "s" : ""}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await answer.arrayBuffer();
  return answer.status;
};
const ask = async (queryUrl: string, path: string): Promise<unknown> =>
  (await fetch(`${queryUrl}${path}`)).json();
const countOf = (rows: unknown): number =>
  (rows as readonly { count: number }[]).reduce((sum, { count }) => sum + count, 0);
/** Events that each view of the query process has counted. */
const counted = async (queryUrl: string): Promise<{ hourly: number; daily: number; names: number }> => ({
  hourly: countOf(await ask(queryUrl, "/metrics/hourly_logs/total")),
  daily: countOf(await ask(queryUrl, "/metrics/distinct_names")),
  names: ((await ask(queryUrl, "/accounts")) as unknown[]).length,
});
/** Deliveries that a worker of the hourly log has acknowledged. */
const settledBy = async (worker: RoleProcess): Promise<number> => {
  const metrics = await (await fetch(`${await worker.started("admin")}/metrics`)).text();
  return Number(/deliveries_total\{queue="hourlyLog",outcome="ack"\} (\d+)/.exec(metrics)?.[1]);
};
/** Until it holds; what it says last is the failure. */
const eventually = (check: () => Promise<void>): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 50 });

/** One event after the other, each sent again under its id until it is taken. */
function startTraffic(collectorUrl: () => string) {
  const stop = new AbortController();
  let taken = 0;
  const ended = (async () => {
    while (!stop.signal.aborted) {
      const status = await post(collectorUrl(), eventOf(taken)).catch(() => 0);
      if (status === 200) taken += 1;
      else await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  return {
    get taken() {
      return taken;
    },
    /** Resolves once so many more were taken. */
    more: (count: number): Promise<void> => {
      const goal = taken + count;
      return vi.waitFor(() => expect(taken).toBeGreaterThanOrEqual(goal), { timeout: 20_000, interval: 5 });
    },
    async stop(): Promise<number> {
      stop.abort();
      await ended;
      return taken;
    },
  };
}

test("six processes started at once on a new data folder answer an event exactly once", async () => {
  const started = new Map(roles.map((role) => [role, start(wordsOf(role))]));
  await Promise.all(Array.from(started, ([role, one]) => one.started(role)));
  const collectorUrl = (await started.get("collector")?.started("collector")) ?? "";
  const queryUrl = (await started.get("query")?.started("query")) ?? "";
  expect(await post(collectorUrl, eventOf(1))).toBe(200);
  await eventually(async () => expect(await counted(queryUrl)).toEqual({ hourly: 1, daily: 1, names: 1 }));
  // The client's retry, and one more event to know when the retry has been worked off.
  expect(await post(collectorUrl, eventOf(1))).toBe(200);
  expect(await post(collectorUrl, eventOf(2))).toBe(200);
  await eventually(async () => expect(await counted(queryUrl)).toEqual({ hourly: 2, daily: 2, names: 2 }));
  expect(await ask(queryUrl, "/metrics/hourly_logs/total")).toEqual([
    { _id: "reads", minimum: 1, maximum: 2, average: 1.5, count: 2 },
  ]);
});

test("a worker killed while it works is followed by the one that waits, and nothing is lost or counted twice", async () => {
  const collector = await startRole("collector");
  const collectorUrl = await collector.started("collector");
  const query = await startRole("query");
  const queryUrl = await query.started("query");
  const first = await startRole("hourlyLog");
  const traffic = startTraffic(() => collectorUrl);
  await eventually(async () => expect(await settledBy(first)).toBeGreaterThan(0));
  const second = await startRole("hourlyLog");
  await traffic.more(50);
  expect(await settledBy(second)).toBe(0);
  expect((await first.kill("SIGKILL")).signal).toBe("SIGKILL");
  await eventually(async () => expect(await settledBy(second)).toBeGreaterThan(0));
  await traffic.more(50);
  const taken = await traffic.stop();
  await eventually(async () =>
    expect(countOf(await ask(queryUrl, "/metrics/hourly_logs/total"))).toBe(taken),
  );
  const [total] = (await ask(queryUrl, "/metrics/hourly_logs/total")) as { average: number }[];
  expect(total?.average).toBe((taken - 1) / 2);
});

test("each process ends with 0 when it is told to while it works, and nothing in hand is lost", async () => {
  const processes = new Map<Role, RoleProcess>();
  for (const role of roles) processes.set(role, await startRole(role));
  let collectorUrl = (await processes.get("collector")?.started("collector")) ?? "";
  let queryUrl = (await processes.get("query")?.started("query")) ?? "";
  const traffic = startTraffic(() => collectorUrl);
  for (const role of roles) {
    await traffic.more(20);
    const one = processes.get(role);
    const toldAt = performance.now();
    expect(await one?.kill("SIGTERM"), `${role}:\n${one?.log().slice(-2000)}`).toEqual({
      code: 0,
      signal: null,
    });
    // The drain timeout is 10 s by default; a process that overran it would have ended with 1.
    expect(performance.now() - toldAt).toBeLessThan(10_000);
    const next = await startRole(role);
    processes.set(role, next);
    if (role === "collector") collectorUrl = await next.started(role);
    if (role === "query") queryUrl = await next.started(role);
  }
  await traffic.more(20);
  const taken = await traffic.stop();
  await eventually(async () =>
    expect(await counted(queryUrl)).toEqual({ hourly: taken, daily: taken, names: 5 }),
  );
  for (const one of processes.values()) expect(await one.kill("SIGTERM")).toEqual({ code: 0, signal: null });
}, 90_000);

describe("a port that is taken", () => {
  test.for([
    ["collector", "collector", "MILLRACE_COLLECTOR_PORT"],
    ["query", "query", "MILLRACE_QUERY_PORT"],
    ["sweeper", "admin", "MILLRACE_ADMIN_PORT"],
    ["standalone", "query", "MILLRACE_QUERY_PORT"],
  ] as const)("ends %s with 1 and a message that names the port of its %s", async ([role, , variable]) => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as AddressInfo;
    const one = start([role], { [variable]: String(port) });
    expect(await one.exited).toEqual({ code: 1, signal: null });
    expect(one.log()).toMatch(new RegExp(`EADDRINUSE.*\\b${port}\\b`));
    await once(holder.close(), "close");
  });
});

describe("a data folder that cannot be opened", () => {
  test.for([...roles, "standalone"] as const)("ends %s with 1 and a message that names it", async (role) => {
    const path = join(dataDir, "in-the-way");
    await writeFile(path, "not a folder");
    const one = start(role === "standalone" ? [role] : wordsOf(role), { MILLRACE_DATA_DIR: path });
    const late = AbortSignal.timeout(8000);
    const exit = await Promise.race([one.exited, once(late, "abort").then(() => "still running")]);
    expect(exit).toEqual({ code: 1, signal: null });
    expect(one.log()).toContain("in-the-way");
  });
});
