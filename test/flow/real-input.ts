import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/**
 * Events made of real records: the flight delays of the U.S. Bureau of Transportation Statistics and the bird strikes
 * of the FAA, as the npm package vega-datasets ships them. Nothing here is random: the same instant gives the same files.
 */
export interface RealInput {
  /** Every good event of the two files, each once. */
  readonly events: readonly RealEvent[];
  /** 220,000 flights, and among them lines that are no good: one delay event a record. */
  readonly flights: RealFile;
  /** 10,000 bird strikes with ids and their own dates; where the record has no speed, there is no count. */
  readonly strikes: RealFile;
}
export interface RealEvent {
  readonly username: string;
  readonly metric: string;
  readonly count: number;
  readonly atMs: number;
}
export interface RealFile {
  readonly path: string;
  readonly good: number;
  /** Numbers of the lines that must be rejected, ascending. */
  readonly badLines: readonly number[];
}

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** Writes `flights.ndjson` and `strikes.csv` into a folder. */
export function writeRealInput(folder: string, nowMs: number): RealInput {
  const flights = [...recentFlights(nowMs), ...datedFlights(nowMs)];
  const strikes = readStrikes();
  return {
    events: [...flights, ...strikes.filter((strike) => strike.count !== undefined)] as RealEvent[],
    flights: writeFlights(join(folder, "flights.ndjson"), flights),
    strikes: writeStrikes(join(folder, "strikes.csv"), strikes),
  };
}

function dataset(name: string): string {
  const main = createRequire(import.meta.url).resolve("vega-datasets");
  return readFileSync(join(dirname(main), "..", "data", name), "utf8");
}

/** 200,000 flights with their time of day, of which the day is squeezed into half an hour that ends a minute ago. */
function recentFlights(nowMs: number): RealEvent[] {
  const records = JSON.parse(dataset("flights-200k.json")) as {
    delay: number;
    distance: number;
    time: number;
  }[];
  const startMs = nowMs - 31 * MINUTE_MS;
  return records.map(({ delay, distance, time }) => ({
    username: `${distance} miles`,
    metric: `delay at ${Math.floor(time)}h`,
    count: delay,
    atMs: startMs + Math.floor((time / 24) * 30 * MINUTE_MS),
  }));
}

/** 20,000 flights of three months in 2001, moved by whole days so that the last of them was the day before yesterday. */
function datedFlights(nowMs: number): RealEvent[] {
  const records = JSON.parse(dataset("flights-20k.json")) as {
    readonly date: string;
    readonly delay: number;
    readonly origin: string;
    readonly destination: string;
  }[];
  const times = records.map(({ date }) => Date.parse(`${date.replaceAll("/", "-").replace(" ", "T")}:00Z`));
  const lastDay = Math.floor(times.reduce((a, b) => Math.max(a, b)) / DAY_MS);
  const shiftMs = (Math.floor(nowMs / DAY_MS) - 2 - lastDay) * DAY_MS;
  return records.map(({ delay, origin, destination }, index) => ({
    username: origin,
    metric: `delay to ${destination}`,
    count: delay,
    atMs: (times[index] as number) + shiftMs,
  }));
}

type Strike = Omit<RealEvent, "count"> & { readonly count: number | undefined };

/** Bird strikes of 1990 to 2002: airport, phase of flight and species, speed in knots. */
function readStrikes(): Strike[] {
  const [header = "", ...lines] = dataset("birdstrikes.csv").trimEnd().split(/\r?\n/);
  if (header.includes('"') || lines.some((line) => line.includes('"')))
    throw new Error("the CSV has quotes now");
  const at = (name: string): number => header.split(",").indexOf(name);
  const columns = [
    "Airport Name",
    "Phase of flight",
    "Wildlife Species",
    "Flight Date",
    "Speed IAS in knots",
  ].map(at);
  return lines.map((line) => {
    const fields = line.split(",");
    const [airport = "", phase = "", species = "", date = "", speed = ""] = columns.map(
      (column) => fields[column],
    );
    return {
      username: airport,
      // A metric with a comma, a quote and a line break, so that the CSV needs all of its rules.
      metric: `"${phase}",\n${species}`,
      count: speed === "" ? undefined : Number(speed),
      atMs: Date.parse(`${date}T00:00:00Z`),
    };
  });
}

/** What a careless producer writes; each must be rejected, and none may harm its neighbours. */
const rubbish: readonly ((event: RealEvent) => string)[] = [
  (event) => JSON.stringify(event).slice(0, 40),
  ({ metric, count }) => JSON.stringify({ metric, count }),
  ({ username, metric, count }) => JSON.stringify({ username, metric, count: count + 0.5 }),
  ({ username, metric, count }) => JSON.stringify({ username, metric, count: String(count) }),
  ({ username, metric, count }) => JSON.stringify({ username, metric, count, tail: "N123" }),
  ({ username, metric, count }) => JSON.stringify({ username, metric, count, timestamp: "2001/01/01 00:47" }),
  ({ username, metric, count }) => JSON.stringify([username, metric, count]),
  ({ metric, count }) => JSON.stringify({ username: "", metric, count }),
  ({ username, count }) => JSON.stringify({ username, metric: "m".repeat(257), count }),
  () => "time,delay,distance",
];
const RUBBISH_EVERY = 5000;

function writeFlights(path: string, events: readonly RealEvent[]): RealFile {
  const lines: string[] = [];
  const badLines: number[] = [];
  for (const [index, event] of events.entries()) {
    if (index % RUBBISH_EVERY === 17) {
      const spoil = rubbish[badLines.length % rubbish.length] as (typeof rubbish)[number];
      badLines.push(lines.push(spoil(event)));
    }
    // A blank line counts as a line and is no event.
    if (index % 10_000 === 0) lines.push("");
    const { username, metric, count, atMs } = event;
    const timestamp = index % 2 === 0 ? atMs : new Date(atMs).toISOString();
    lines.push(JSON.stringify({ username, metric, count, timestamp }));
  }
  writeFileSync(path, `${lines.join("\n")}\n`);
  return { path, good: events.length, badLines };
}

function writeStrikes(path: string, strikes: readonly Strike[]): RealFile {
  const records = ["timestamp,username,metric,id,count"];
  const badLines: number[] = [];
  let line = 2;
  for (const [index, { username, metric, count, atMs }] of strikes.entries()) {
    if (count === undefined) badLines.push(line);
    const date = new Date(atMs).toISOString();
    records.push([date, quoted(username), quoted(metric), `strike-${index}`, count ?? ""].join(","));
    line += 2;
  }
  writeFileSync(path, `${records.join("\r\n")}\r\n`);
  return { path, good: strikes.length - badLines.length, badLines };
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
