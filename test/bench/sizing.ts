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

async function standaloneReport(options: RoundOptions, progress: Progress): Promise<Report> {
  const kept = await keptBytes(openEmbeddedKept, progress);
  const waiting = await waitingBytes(openEmbeddedWaiting, progress);
  await using subject = await startEmbedded(progress);
  const work = await atWork(subject, options, progress);
  return { what: "standalone", figures: [...work, ...kept, ...waiting] };
}

async function realReport(options: RoundOptions, progress: Progress): Promise<Report> {
  await using opened = new AsyncDisposableStack();
  progress("starting a broker and a store");
  const broker = opened.use((await namedBroker()) ?? (await startBrokerPart()));
  const store = opened.use((await namedStore()) ?? (await startStorePart()));
  const what = `${broker.version}, ${store.version}; one process of each role`;
  const kept = await keptBytes(() => openMongodbKept(store), progress);
  const folder = await rabbitmqFolder(broker);
  const waiting =
    folder === undefined ? [] : await waitingBytes(() => openRabbitmqWaiting(broker, folder), progress);
  await using subject = await startReal({ broker, store });
  const work = await atWork(subject, options, progress);
  return { what, figures: [...work, ...kept, ...waiting] };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      real: { type: "boolean", default: false },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "4" },
      json: { type: "boolean", default: false },
    },
  });
  const options = { rounds: Number(values.rounds), seconds: Number(values.seconds), restSeconds: 15 };
  if (!Object.values(options).every((value) => value > 0)) throw new Error("options are numbers above 0");
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
