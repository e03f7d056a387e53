import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { namedBroker, namedStore } from "../parts/named.ts";
import { startBrokerPart, startStorePart } from "../parts/parts.ts";
import { machineFacts } from "./facts.ts";
import type { Progress } from "./rounds.ts";
import { atWork, type RoundOptions } from "./sizing/at-work.ts";
import { openEmbeddedKept, openEmbeddedWaiting, startEmbedded } from "./sizing/embedded.ts";
import { type Figure, sizingTable } from "./sizing/figure.ts";
import { keptBytes, waitingBytes, wireBytes } from "./sizing/kept.ts";
import { openMongodbKept, openRabbitmqWaiting, rabbitmqFolder, startReal } from "./sizing/real.ts";

// What docs/sizing.md reckons with: processor, memory and disk for each event, username and metric.

interface Report {
  readonly what: string;
  readonly figures: readonly Figure[];
}
interface SizingOptions extends RoundOptions {
  /** Bytes do not depend on how busy a machine is, and take less time to measure. */
  readonly only: "bytes" | "work" | undefined;
}

async function standaloneReport(options: SizingOptions, progress: Progress): Promise<Report> {
  const figures: Figure[] = [];
  if (options.only !== "work") {
    figures.push(...(await keptBytes(openEmbeddedKept, progress)));
    figures.push(...(await waitingBytes(openEmbeddedWaiting, progress)));
  }
  if (options.only !== "bytes") {
    await using subject = await startEmbedded(progress);
    figures.unshift(...(await atWork(subject, options, progress)));
  }
  return { what: "standalone", figures };
}

async function realReport(options: SizingOptions, progress: Progress): Promise<Report> {
  await using opened = new AsyncDisposableStack();
  progress("starting a broker and a store");
  const broker = opened.use((await namedBroker()) ?? (await startBrokerPart()));
  const store = opened.use((await namedStore()) ?? (await startStorePart()));
  const figures: Figure[] = [];
  if (options.only !== "work") {
    figures.push(...(await keptBytes(() => openMongodbKept(store), progress)));
    const folder = await rabbitmqFolder(broker);
    if (folder !== undefined)
      figures.push(...(await waitingBytes(() => openRabbitmqWaiting(broker, folder), progress)));
  }
  if (options.only !== "bytes") {
    await using subject = await startReal({ broker, store });
    figures.unshift(...(await atWork(subject, options, progress)));
  }
  return { what: `${broker.version}, ${store.version}; one process of each role`, figures };
}

function optionsOf(
  words: Readonly<Record<"rounds" | "seconds", string>>,
  only: string | undefined,
): SizingOptions {
  const numbers = { rounds: Number(words.rounds), seconds: Number(words.seconds), restSeconds: 15 };
  if (!Object.values(numbers).every((value) => value > 0))
    throw new Error("--rounds and --seconds are numbers above 0");
  if (only !== undefined && only !== "bytes" && only !== "work") throw new Error("--only is bytes or work");
  return { ...numbers, only };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      real: { type: "boolean", default: false },
      only: { type: "string" },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "4" },
      json: { type: "boolean", default: false },
    },
  });
  const options = optionsOf(values, values.only);
  const begun = Date.now();
  const progress: Progress = (text) => {
    process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
  };
  const load = (loadavg()[0] ?? 0).toFixed(2);
  const machine = `${machineFacts()}, load average ${load} at the start; medians of ${options.rounds} rounds of ${options.seconds} s`;
  const { what, figures } = await (values.real ? realReport : standaloneReport)(options, progress);
  const facts = [machine, what, "The load generator shares these cores with what is measured."];
  const all = [...figures, ...wireBytes()];
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ facts, figures: all }, null, 2)}\n`
      : `${facts.join("\n")}\n\n${sizingTable(all)}\n`,
  );
}

if (import.meta.main) await main();
