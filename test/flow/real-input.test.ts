import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RealEvent, type RealFile, type RealInput, writeRealInput } from "./real-input.ts";
import { childEnvironment, millraceBin, type Standalone, startStandalone } from "./standalone.ts";

const DAY_MS = 86_400_000;

let folder: string;
let startedMs: number;
let input: RealInput;
let millrace: Standalone;
const sent: { flights: Sent; strikes: Sent; strikesAgain: Sent } = {} as never;

interface Sent {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly rejects: readonly { readonly line: number; readonly reason: string }[];
}

async function sendFile(file: RealFile): Promise<Sent> {
  const rejects = join(folder, "rejects.ndjson");
  const child = spawn(
    process.execPath,
    [millraceBin, "send", file.path, "--url", millrace.collectorUrl, "--rejects", rejects],
    { env: childEnvironment(), stdio: ["ignore", "pipe", "pipe"] },
  );
  const code = new Promise<number | null>((done) => child.once("close", done));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const lines = readFileSync(rejects, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return {
    code: await code,
    stdout,
    stderr,
    rejects: lines.map((line) => JSON.parse(line) as Sent["rejects"][0]),
  };
}

/** Every row of all pages, by the Link header. */
async function pages(path: string): Promise<{ rows: Row[]; pages: number }> {
  const rows: Row[] = [];
  let next: string | undefined = new URL(path, millrace.queryUrl).href;
  for (let count = 1; ; count += 1) {
    const answer: Response = await fetch(next);
    const body: unknown = await answer.json();
    if (answer.status !== 200) throw new Error(`${next} answers ${answer.status}: ${JSON.stringify(body)}`);
    for (const { _id: id, ...row } of body as Record<string, unknown>[])
      rows.push({ ...row, ...namesOf(id) } as Partial<Row> as Row);
    const link = /<([^>]+)>\s*;\s*rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
    if (link === undefined) return { rows, pages: count };
    next = new URL(link, next).href;
  }
}
/** What every row may hold; the names of `_id` lie beside the figures. */
interface Row {
  readonly username: string;
  readonly metric: string;
  readonly day: string;
  readonly month: string;
  readonly firstSeen: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly average: number;
  readonly count: number;
}
function namesOf(id: unknown): object {
  return typeof id === "string" ? { metric: id } : { ...(id as object | undefined) };
}

/** Of the process that runs now. */
async function requestsSoFar(): Promise<number> {
  const answer = await fetch(new URL("/debug/vars", millrace.collectorUrl));
  const vars = (await answer.json()) as { serverMetrics: { requests: { total: number } } };
  return vars.serverMetrics.requests.total;
}

async function total(path: string): Promise<number> {
  return (await pages(path)).rows.reduce((sum, row) => sum + row.count, 0);
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`still not so: ${what}\n${millrace.log().slice(-4000)}`);
    await sleep(100);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "millrace-real-"));
  startedMs = Date.now();
  input = writeRealInput(folder, startedMs);
  millrace = await startStandalone({ environment: { MILLRACE_SWEEP_INTERVAL_MS: "500" } });
  const flights = sendFile(input.flights);
  for (let kills = 0; kills < 2; kills += 1) {
    await until("a part of the flights is taken", async () => (await requestsSoFar()) > 30);
    await millrace.kill("SIGKILL");
    await millrace.restart();
  }
  sent.flights = await flights;
  sent.strikes = await sendFile(input.strikes);
  sent.strikesAgain = await sendFile(input.strikes);
  const hourly = input.events.filter((event) => event.atMs > startedMs - 3_600_000).length;
  await until(
    "every event is in the hourly log",
    async () => (await total("/metrics/hourly_logs/total")) >= hourly,
  );
  await until(
    "every event is in the months",
    async () => (await total("/metrics/distinct_names?granularity=month&limit=1000")) >= input.events.length,
  );
}, 180_000);

afterAll(async () => {
  await millrace?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** What the counts come to, by a key; the sum is exact. */
interface Figures {
  minimum: number;
  maximum: number;
  sum: bigint;
  count: number;
}
function figuresBy(keyOf: (event: RealEvent) => string): Map<string, Figures> {
  const groups = new Map<string, Figures>();
  for (const event of input.events) {
    if (event.atMs <= startedMs - 3_600_000) continue;
    const key = keyOf(event);
    const group = groups.get(key);
    if (group === undefined) {
      groups.set(key, { minimum: event.count, maximum: event.count, sum: BigInt(event.count), count: 1 });
      continue;
    }
    if (event.count < group.minimum) group.minimum = event.count;
    if (event.count > group.maximum) group.maximum = event.count;
    group.sum += BigInt(event.count);
    group.count += 1;
  }
  return groups;
}

/** In what the rows differ from the figures. Two correct roundings of an average may differ in the last bit. */
function differences(
  rows: readonly Row[],
  keyOf: (one: Named) => string,
  expected: Map<string, Figures>,
): string[] {
  const differing: string[] = [];
  const unseen = new Map(expected);
  for (const row of rows) {
    const key = keyOf(row);
    const figures = unseen.get(key);
    if (!unseen.delete(key) || figures === undefined) {
      differing.push(`${key} is there twice, or should not be`);
      continue;
    }
    const average = Number(figures.sum) / figures.count;
    if (
      row.minimum !== figures.minimum ||
      row.maximum !== figures.maximum ||
      row.count !== figures.count ||
      !(Math.abs(row.average - average) <= Math.abs(average) * 1e-15)
    ) {
      differing.push(
        `${key}: ${JSON.stringify(row)}, not ${JSON.stringify({ ...figures, sum: 0, average })}`,
      );
    }
  }
  return [...differing, ...Array.from(unseen.keys(), (key) => `${key} is missing`)];
}
type Named = Pick<RealEvent, "username" | "metric">;
const byMetric = (one: Named): string => one.metric;
const byUserAndMetric = (one: Named): string => `${one.username}|${one.metric}`;

function countBy(keyOf: (event: RealEvent) => string | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  for (const event of input.events) {
    const key = keyOf(event);
    if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
/** The rows in the form of `sorted(countBy(...))`; a key that came twice stays twice. */
function countsOf(rows: readonly Row[], period: "day" | "month"): [string, number][] {
  return sorted(rows.map((row) => [`${row[period]} ${row.metric}`, row.count]));
}
function sorted(counts: Iterable<[string, number]>): [string, number][] {
  return [...counts].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
const dayOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);

describe("230,000 real records, sent by the command to a standalone Millrace that is killed twice", () => {
  test("the input is as large as it claims, and about as bad", () => {
    expect(input.flights.good).toBe(220_000);
    expect(input.strikes.good + input.strikes.badLines.length).toBe(10_000);
    expect(input.flights.badLines.length).toBeGreaterThan(40);
    expect(input.strikes.badLines.length).toBeGreaterThan(2000);
  });

  test("the command tried again what the kills cut off", () => {
    expect(sent.flights.stdout).toMatch(/^retried requests +[1-9]/m);
  });

  for (const name of ["flights", "strikes"] as const) {
    test(`every bad line of ${name} is told by its number, and nothing else is`, () => {
      const { code, stdout, stderr, rejects } = sent[name];
      const { good, badLines } = input[name];
      expect(stderr).toBe("");
      expect(code).toBe(1);
      expect(stdout).toMatch(new RegExp(`^accepted +${good}$`, "m"));
      expect(stdout).toMatch(new RegExp(`^rejected +${badLines.length}$`, "m"));
      expect(stdout).toMatch(/^failed +0$/m);
      expect(rejects.map(({ line }) => line).toSorted((a, b) => a - b)).toEqual(badLines);
      for (const { reason } of rejects) expect(reason.length).toBeGreaterThan(10);
      for (const line of badLines.slice(0, 20)) expect(stdout).toMatch(new RegExp(`^line ${line}: `, "m"));
    });
  }

  test("hourly_logs/total is the minimum, maximum, average and count of every metric", async () => {
    const { rows } = await pages("/metrics/hourly_logs/total");
    expect(differences(rows, byMetric, figuresBy(byMetric))).toEqual([]);
  });

  test("hourly_logs/per_user is the same for every user, over all pages", async () => {
    const { rows, pages: count } = await pages("/metrics/hourly_logs/per_user?limit=1000");
    expect(count).toBeGreaterThan(10);
    expect(differences(rows, byUserAndMetric, figuresBy(byUserAndMetric))).toEqual([]);
  });

  test("hourly_logs/per_user narrows to a user and to a metric", async () => {
    const { username, metric } = input.events[0] as RealEvent;
    const all = [...figuresBy(byUserAndMetric)];
    const ofUser = await pages(
      `/metrics/hourly_logs/per_user?username=${encodeURIComponent(username)}&limit=7`,
    );
    const userFigures = new Map(all.filter(([key]) => key.startsWith(`${username}|`)));
    expect(userFigures.size).toBeGreaterThan(7);
    expect(differences(ofUser.rows, byUserAndMetric, userFigures)).toEqual([]);
    const ofMetric = await pages(
      `/metrics/hourly_logs/per_user?metric=${encodeURIComponent(metric)}&limit=100`,
    );
    const metricFigures = new Map(all.filter(([key]) => key.endsWith(`|${metric}`)));
    expect(metricFigures.size).toBeGreaterThan(100);
    expect(differences(ofMetric.rows, byUserAndMetric, metricFigures)).toEqual([]);
  });

  test("distinct_names by month counts every event once, merged or not, though a file was sent twice", async () => {
    expect(sent.strikesAgain.stdout).toMatch(new RegExp(`^accepted +${input.strikes.good}$`, "m"));
    const { rows } = await pages("/metrics/distinct_names?granularity=month&limit=1000");
    const expected = countBy((event) => `${dayOf(event.atMs).slice(0, 7)} ${event.metric}`);
    expect(countsOf(rows, "month")).toEqual(sorted(expected));
  });

  test("distinct_names by month narrows to the months asked for", async () => {
    const { rows } = await pages(
      "/metrics/distinct_names?granularity=month&from=1995-03&to=1996-07&limit=100",
    );
    const expected = countBy((event) => {
      const month = dayOf(event.atMs).slice(0, 7);
      return month >= "1995-03" && month <= "1996-07" ? `${month} ${event.metric}` : undefined;
    });
    expect(expected.size).toBeGreaterThan(100);
    expect(countsOf(rows, "month")).toEqual(sorted(expected));
  });

  test("every account has the time of its first event, in order of first sight, alone and in pages", async () => {
    const firstSeen = new Map<string, number>();
    for (const { username, atMs } of input.events) {
      firstSeen.set(username, Math.min(firstSeen.get(username) ?? Number.POSITIVE_INFINITY, atMs));
    }
    const accounts = async (): Promise<Row[]> => (await pages("/accounts?limit=100")).rows;
    await until("every account is known", async () => (await accounts()).length >= firstSeen.size);
    const rows = await accounts();
    expect(new Map(rows.map((row) => [row.username, Date.parse(row.firstSeen)]))).toEqual(firstSeen);
    expect(rows.length).toBe(firstSeen.size);
    const times = rows.map((row) => row.firstSeen);
    expect(times).toEqual(times.toSorted());

    for (const row of rows.filter((_, index) => index % 97 === 0)) {
      const answer = await fetch(`${millrace.queryUrl}/accounts/${encodeURIComponent(row.username)}`);
      expect(await answer.json()).toEqual(row);
    }
    expect((await fetch(`${millrace.queryUrl}/accounts/nobody`)).status).toBe(404);
    const since = times[Math.floor(times.length / 2)] as string;
    const later = await pages(`/accounts?since=${encodeURIComponent(since)}&limit=100`);
    expect(later.rows).toEqual(rows.filter((row) => row.firstSeen >= since));
  }, 90_000);

  test("distinct_names by day counts the last thirty days, and older ones are gone", async () => {
    const [oldest, from] = [dayOf(startedMs - 30 * DAY_MS), dayOf(startedMs - 29 * DAY_MS)];
    // A sweeper that was killed holds its lease for half a minute more.
    await until("older days are merged", async () => {
      const { rows } = await pages("/metrics/distinct_names?granularity=day&limit=1000");
      return rows.every((row) => row.day >= oldest);
    });
    const { rows } = await pages(`/metrics/distinct_names?granularity=day&from=${from}&limit=1000`);
    const expected = countBy((event) => {
      const day = dayOf(event.atMs);
      return day >= from ? `${day} ${event.metric}` : undefined;
    });
    expect(expected.size).toBeGreaterThan(1000);
    expect(countsOf(rows, "day")).toEqual(sorted(expected));
  }, 90_000);
});
