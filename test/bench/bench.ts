import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { namedBroker, namedStore } from "../parts/named.ts";
import { startBrokerPart, startStorePart } from "../parts/parts.ts";
import { machineFacts } from "./facts.ts";
import { realBench } from "./real-bench.ts";
import type { Progress } from "./rounds.ts";
import { type BenchOptions, standaloneBench } from "./standalone-bench.ts";
import { meets, type Row, tableOf } from "./table.ts";

/** The table, and lines of what its figures depend on besides the code. */
interface Report {
  readonly facts: readonly string[];
  readonly rows: readonly Row[];
}

/** RabbitMQ's own default, where the other tests ask for figures each second. */
const brokerConfiguration = ["collect_statistics_interval = 5000"];

async function standaloneReport(options: BenchOptions, progress: Progress): Promise<Report> {
  const facts = [factsOf(options), "The load generator shares these cores with the server."];
  return { facts, rows: await standaloneBench(options, progress) };
}

async function realReport(options: BenchOptions, progress: Progress): Promise<Report> {
  const machine = factsOf(options);
  await using opened = new AsyncDisposableStack();
  progress("starting a broker and a store");
  const broker = (await namedBroker()) ?? (await startBrokerPart({ configuration: brokerConfiguration }));
  opened.use(broker);
  const store = opened.use((await namedStore()) ?? (await startStorePart()));
  const facts = [
    machine,
    `${broker.version}, ${store.version}; one process of each role`,
    "The load generator, the broker and the store share these cores with Millrace.",
  ];
  return { facts, rows: await realBench({ broker, store }, options, progress) };
}

/** Taken before anything of the bench runs. */
function factsOf({ rounds, seconds }: BenchOptions): string {
  const load = (loadavg()[0] ?? 0).toFixed(2);
  return `${machineFacts()}, load average ${load} at the start; medians of ${rounds} rounds of ${seconds} s`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      real: { type: "boolean", default: false },
      rounds: { type: "string", default: "3" },
      seconds: { type: "string" },
      events: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const options: BenchOptions = {
    rounds: Number(values.rounds),
    seconds: Number(values.seconds ?? (values.real ? 5 : 8)),
    events: Number(values.events ?? (values.real ? 600_000 : 1_000_000)),
  };
  if (!Object.values(options).every((value) => value > 0)) throw new Error("options are numbers above 0");
  const begun = Date.now();
  const report = values.real ? realReport : standaloneReport;
  const { facts, rows } = await report(options, (text) => {
    process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
  });
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ facts, rows }, null, 2)}\n`
      : `${facts.join("\n")}\n\n${tableOf(rows)}\n`,
  );
  process.exitCode = rows.every(meets) ? 0 : 1;
}

if (import.meta.main) await main();
