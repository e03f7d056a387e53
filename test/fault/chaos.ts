import { parseArgs } from "node:util";
import { runClusterChaos } from "./cluster-chaos.ts";
import { runStandaloneChaos } from "./standalone-chaos.ts";

const { values } = parseArgs({
  options: {
    real: { type: "boolean", default: false },
    minutes: { type: "string" },
    kills: { type: "string", default: "60" },
    faults: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    connections: { type: "string", default: "32" },
  },
});
const { real } = values;
const options = {
  seconds: Number(values.minutes ?? (real ? 10 : 5)) * 60,
  seed: Number(values.seed),
  connections: Number(values.connections),
  kills: Number(values.kills),
  faults: Number(values.faults),
};
if (!Object.values(options).every((value) => value > 0) || options.seconds > 50 * 60) {
  throw new Error(
    `options are numbers above 0, minutes at most 50 (the hourly log's reach): ${JSON.stringify(values)}`,
  );
}
process.stderr.write(`chaos: ${JSON.stringify(options)}\n`);
const begun = Date.now();
const progress = (text: string): void => {
  process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
};
const run = real ? runClusterChaos : runStandaloneChaos;
const { faults, ...report } = await run(options, progress);
// A line for each figure, and those of one kind on one line.
const lines = Object.entries(report).map(
  ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
);
process.stdout.write(`{\n${lines.join(",\n")}\n}\n`);
for (const fault of faults.slice(0, 20)) process.stdout.write(`FAULT ${fault}\n`);
process.stdout.write(faults.length === 0 ? "verdict: exact\n" : `verdict: ${faults.length} faults\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
