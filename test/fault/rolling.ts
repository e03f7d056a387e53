import { parseArgs } from "node:util";
import { checkOut, headName, previousRevision, revisionAt } from "./revision.ts";
import { bothOrders, runRollingUpdate } from "./rolling-update.ts";

const { values } = parseArgs({
  options: {
    from: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    rate: { type: "string", default: "100" },
    connections: { type: "string", default: "32" },
  },
});
const options = {
  seed: Number(values.seed),
  eventsPerSecond: Number(values.rate),
  connections: Number(values.connections),
};
if (!Object.values(options).every((value) => value > 0)) {
  throw new Error(`seed, rate and connections are numbers above 0: ${JSON.stringify(values)}`);
}
const begun = Date.now();
const progress = (text: string): void => {
  process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
};
const old = values.from === undefined ? previousRevision() : revisionAt(values.from);
if (old.commit === undefined) {
  throw new Error(`there is nothing to update from (${old.why}): name a revision with --from`);
}
const to = headName();
await using checkout = await checkOut(old);
progress(`from ${old.name} (${old.why}), its packages ${checkout.packages}, to ${to}`);
progress(JSON.stringify(options));
const { faults, ...report } = await runRollingUpdate(
  { ...options, old: checkout, passes: bothOrders, lookAfter: "replacement" },
  progress,
);
const told = { from: old.name, why: old.why, to, ...report };
const lines = Object.entries(told).map(
  ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
);
process.stdout.write(`{\n${lines.join(",\n")}\n}\n`);
for (const fault of faults.slice(0, 20)) process.stdout.write(`FAULT ${fault}\n`);
const verdict =
  faults.length === 0 ? "nothing lost, nothing doubled, no dead letters" : `${faults.length} faults`;
process.stdout.write(
  `rolling: ${old.name} and ${to}, ${report.replaced} processes replaced, ` +
    `${report.acknowledged} of ${report.sent} events acknowledged, in ${report.seconds} s: ${verdict}\n`,
);
process.exitCode = faults.length === 0 ? 0 : 1;
