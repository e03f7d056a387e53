import { parseArgs } from "node:util";
import { startStandalone } from "../flow/standalone.ts";
import { cpuSeconds } from "./cpu.ts";
import { machineFacts } from "./facts.ts";
import { batchesOf, type Posts, singles, WARM_UP_SECONDS } from "./posts.ts";
import { startWatchers } from "./processes.ts";
import { eventsPerSecond, measured, median, type Progress, quantile } from "./rounds.ts";
import { drained } from "./settle.ts";
import { meets, type Row, tableOf } from "./table.ts";

// What watching costs: the same load on the same process, with and without open consoles and a Prometheus that scrapes each 5 s.

interface WatchingOptions {
  readonly rounds: number;
  /** Of a round, and of each of its two halves. */
  readonly seconds: number;
  readonly consoles: number;
}

/** Least share of the events that are still accepted, in percent. */
const TARGET_PERCENT = 97;

/** Accepted events a second, and events for each second that the server had on a core, until all were counted. */
interface Rates {
  readonly accepted: number;
  readonly forCpu: number;
}
interface Pair {
  readonly alone: Rates;
  readonly watched: Rates;
}
/** In percent. */
const shareOf = ({ alone, watched }: Pair): number => (100 * watched.accepted) / alone.accepted;

/** Each round has both, in turn the one and the other first, so that neither gains from what a machine does over time. */
async function watching(
  { name, unit, loadOf }: Posts,
  options: WatchingOptions,
  progress: Progress,
): Promise<readonly Row[]> {
  const { rounds, seconds, consoles } = options;
  await using standalone = await startStandalone();
  const { collectorUrl, queryUrl, adminUrl, pid } = standalone;
  const alone = async (round: string, forSeconds = seconds): Promise<Rates> => {
    const before = cpuSeconds([pid]);
    const result = await measured(loadOf(collectorUrl, forSeconds), round, progress);
    await drained(queryUrl, progress);
    return { accepted: eventsPerSecond(result), forCpu: result.events / (cpuSeconds([pid]) - before) };
  };
  const watched = async (round: string) => {
    using watchers = startWatchers({ queryUrl, adminUrl, consoles });
    await watchers.all();
    const rates = await alone(round);
    const { snapshots, answers, scrapes } = await watchers.seen();
    progress(`${round}: ${snapshots} snapshots, ${answers} tables and ${scrapes} scrapes were read`);
    return rates;
  };
  await alone("warm-up", WARM_UP_SECONDS);
  const pairs: Pair[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const turns = {
      alone: async () => alone(`round ${round}, unwatched`),
      watched: async () => watched(`round ${round}, watched`),
    };
    if (round % 2 === 0) {
      const first = await turns.watched();
      pairs.push({ alone: await turns.alone(), watched: first });
    } else {
      const first = await turns.alone();
      pairs.push({ alone: first, watched: await turns.watched() });
    }
  }
  const medianOf = (figure: (pair: Pair) => number) => median(pairs, figure);
  return [
    {
      name: `${name}, ${consoles} consoles and a scraper`,
      unit,
      millrace: medianOf(({ watched: { accepted } }) => accepted),
      base: { name: "unwatched", figure: medianOf(({ alone: { accepted } }) => accepted) },
    },
    {
      name: "  still accepted, by round",
      unit: "%",
      millrace: medianOf(shareOf),
      target: { figure: TARGET_PERCENT },
    },
    // Where these are far apart, the machine was too restless for the median to tell 3 %.
    { name: "  the lower quarter of rounds", unit: "%", millrace: quantile(pairs, 0.25, shareOf) },
    { name: "  the upper quarter", unit: "%", millrace: quantile(pairs, 0.75, shareOf) },
    // The server's own part of it: the watchers and the load generator use cores, too.
    {
      name: "  counted in a second of the server's CPU",
      unit: "events",
      millrace: medianOf(({ watched: { forCpu } }) => forCpu),
      base: { name: "unwatched", figure: medianOf(({ alone: { forCpu } }) => forCpu) },
    },
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "9" },
      seconds: { type: "string", default: "6" },
      consoles: { type: "string", default: "10" },
    },
  });
  const options: WatchingOptions = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    consoles: Number(values.consoles),
  };
  if (!Object.values(options).every((value) => value > 0)) throw new Error("options are numbers above 0");
  const begun = Date.now();
  const progress: Progress = (text) => {
    process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
  };
  const facts = `${machineFacts()}; medians of ${options.rounds} rounds of twice ${options.seconds} s`;
  const rows: Row[] = [];
  for (const posts of [singles, batchesOf(100)]) rows.push(...(await watching(posts, options, progress)));
  process.stdout.write(
    `${facts}\nThe load generator and the watchers share these cores with the server.\n\n${tableOf(rows)}\n`,
  );
  process.exitCode = rows.every(meets) ? 0 : 1;
}

if (import.meta.main) await main();
