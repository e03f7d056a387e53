import { parseArgs } from "node:util";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { usualShape } from "./bodies.ts";
import { folderBytes, machineFacts } from "./facts.ts";
import type { LoadOptions, LoadResult } from "./load.ts";
import { type Bare, runLoad, startBare } from "./processes.ts";
import { drained, settled } from "./settle.ts";
import { meets, type Row, tableOf } from "./table.ts";

interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  /** Events that are sent for the settled rate. */
  readonly events: number;
}
type Progress = (line: string) => void;

const SINGLE_CONNECTIONS = 100;
const BATCH_CONNECTIONS = 16;
const WARM_UP_SECONDS = 3;

async function bench(options: BenchOptions, progress: Progress): Promise<readonly Row[]> {
  using bare = await startBare();
  return [
    ...(await singles(options, bare, progress)),
    ...(await batches(options, bare, progress)),
    ...(await settling(options, progress)),
  ];
}

/** (a) and (b): one event a request. */
async function singles(options: BenchOptions, bare: Bare, progress: Progress): Promise<readonly Row[]> {
  await using standalone = await startStandalone();
  const pair = await alternate(options, { bare, standalone, progress }, (baseUrl, seconds) => ({
    kind: "single",
    url: `${baseUrl}/event`,
    connections: SINGLE_CONNECTIONS,
    seconds,
  }));
  const name = `POST /event, ${SINGLE_CONNECTIONS} connections`;
  return [
    { name, unit: "requests/s", ...perSecond(pair, "requests"), target: { of: "ratio", least: 0.6 } },
    ...latencies(pair),
  ];
}

/** (c): many events a request, against the same body on the bare server. */
async function batches(options: BenchOptions, bare: Bare, progress: Progress): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const batch of [100, 1000]) {
    await using standalone = await startStandalone();
    const pair = await alternate(options, { bare, standalone, progress }, (baseUrl, seconds) => ({
      kind: "batch",
      url: `${baseUrl}/events`,
      connections: BATCH_CONNECTIONS,
      batch,
      until: { seconds },
    }));
    const figures = { unit: "events/s", ...perSecond(pair, "events") };
    const name = `POST /events of ${batch}, ${BATCH_CONNECTIONS} connections`;
    rows.push(
      batch === 1000 ? { name, ...figures, target: { of: "figure", least: 150_000 } } : { name, ...figures },
      ...latencies(pair),
    );
  }
  return rows;
}

/** (d) and (e): until all three views have everything, and what that takes on disk. */
async function settling({ events }: BenchOptions, progress: Progress): Promise<readonly Row[]> {
  await using standalone = await startStandalone();
  const begunMs = performance.now();
  const load = await runLoad({
    kind: "batch",
    url: `${standalone.collectorUrl}/events`,
    connections: BATCH_CONNECTIONS,
    batch: 1000,
    until: { events },
  });
  progress(
    `sent ${load.events} events in ${load.seconds.toFixed(1)} s; refusals ${JSON.stringify(load.refusals)}`,
  );
  const wanted = { events: load.events, usernames: usualShape.usernames };
  const { atMs, distinctName } = await settled(standalone.queryUrl, wanted, progress);
  const seconds = (atMs - begunMs) / 1000;
  progress(`settled after ${seconds.toFixed(1)} s`);
  if (distinctName !== load.events)
    throw new Error(`${load.events} were accepted, and ${distinctName} counted`);
  const settledBytes = await folderBytes(standalone.dataDir);
  await standalone.stop();
  const stoppedBytes = await folderBytes(standalone.dataDir);
  return [
    {
      name: `all three views have ${load.events.toLocaleString("en-US")} events`,
      unit: "events/s",
      millrace: load.events / seconds,
      target: { of: "figure", least: 40_000 },
    },
    { name: "  from the last answer", unit: "s", millrace: Math.max(0, seconds - load.seconds) },
    { name: "  on disk, settled", unit: "bytes/event", millrace: settledBytes / load.events },
    { name: "  on disk, stopped", unit: "bytes/event", millrace: stoppedBytes / load.events },
  ];
}

interface Pair {
  readonly bare: LoadResult;
  readonly millrace: LoadResult;
}

/** The median round of each, after a warm-up of both; neither has leftover work while the other is measured. */
async function alternate(
  { rounds, seconds }: BenchOptions,
  parts: { readonly bare: Bare; readonly standalone: Standalone; readonly progress: Progress },
  loadOf: (baseUrl: string, forSeconds: number) => LoadOptions,
): Promise<Pair> {
  const { bare, standalone, progress } = parts;
  const results = { bare: [] as LoadResult[], millrace: [] as LoadResult[] };
  for (let round = 0; round <= rounds; round += 1) {
    const forSeconds = round === 0 ? WARM_UP_SECONDS : seconds;
    for (const name of ["bare", "millrace"] as const) {
      const load = loadOf(name === "bare" ? bare.url : standalone.collectorUrl, forSeconds);
      const result = await runLoad(load);
      if (round > 0) results[name].push(result);
      progress(`${round === 0 ? "warm-up" : `round ${round}`}, ${name}: ${lineOf(load, result)}`);
      if (result.requests === 0) throw new Error(`${name} took nothing at all`);
    }
    await drained(standalone.queryUrl, progress);
  }
  return { bare: median(results.bare), millrace: median(results.millrace) };
}

function median(results: readonly LoadResult[]): LoadResult {
  const sorted = results.toSorted((a, b) => a.events / a.seconds - b.events / b.seconds);
  return sorted[Math.floor(sorted.length / 2)] as LoadResult;
}

function perSecond(
  { bare, millrace }: Pair,
  what: "requests" | "events",
): { readonly bare: number; readonly millrace: number } {
  return { bare: bare[what] / bare.seconds, millrace: millrace[what] / millrace.seconds };
}

function latencies({ bare, millrace }: Pair): readonly Row[] {
  return [
    { name: "  p50", unit: "ms", millrace: millrace.p50Ms, bare: bare.p50Ms },
    { name: "  p99", unit: "ms", millrace: millrace.p99Ms, bare: bare.p99Ms },
  ];
}

function lineOf(load: LoadOptions, result: LoadResult): string {
  const rate = Math.round(result.events / result.seconds).toLocaleString("en-US");
  const refusals =
    Object.keys(result.refusals).length > 0 ? `, refusals ${JSON.stringify(result.refusals)}` : "";
  return `${load.kind}${load.kind === "batch" ? ` of ${load.batch}` : ""} ${rate} events/s, p99 ${result.p99Ms.toFixed(1)} ms${refusals}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "8" },
      events: { type: "string", default: "1000000" },
      json: { type: "boolean", default: false },
    },
  });
  const options: BenchOptions = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    events: Number(values.events),
  };
  if (!Object.values(options).every((value) => value > 0)) throw new Error("options are numbers above 0");
  const begun = Date.now();
  const rows = await bench(options, (text) => {
    process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
  });
  const facts = `${machineFacts()}; medians of ${options.rounds} rounds of ${options.seconds} s`;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ facts, rows }, null, 2)}\n`
      : `${facts}\nThe load generator shares these cores with the server.\n\n${tableOf(rows)}\n`,
  );
  process.exitCode = rows.every(meets) ? 0 : 1;
}

if (import.meta.main) await main();
