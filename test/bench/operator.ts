/**
 * For people: `npm run bench:operator` runs one operator for 500 queues against a real API server and a real broker, and tells
 * what it costs them and how soon it acts; beside one scaler in the same run.
 */
import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { machineFacts } from "./facts.ts";
import { burst, RATE, type ScaleWrite, startController, startLoad, WORK_MS } from "./operator-load.ts";
import { type Measured, measure, sumOf } from "./operator-measure.ts";
import { nameOf, openWorld, type World } from "./operator-world.ts";
import { type Row, tableOf } from "./table.ts";

/** What the passes are to stay under, for 99 of 100 of them, in seconds. */
const OBJECTIVE_SECONDS = 2;
/** Share of the queues that are under load, and as many again that get a burst. */
const BUSY = 0.1;
const BURST_MESSAGES = 100;
/** A burst that has not led to a write by then is taken to be overlooked. */
const BURST_MS = 60_000;

const { values } = parseArgs({
  options: {
    scalers: { type: "string", default: "500" },
    seconds: { type: "string", default: "60" },
    settle: { type: "string", default: "120" },
  },
});
const [scalers, seconds, settle] = [Number(values.scalers), Number(values.seconds), Number(values.settle)];
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

interface Acted {
  /** From a burst's first message to the scale write, by queue. */
  readonly seconds: readonly number[];
  readonly overlooked: number;
}

async function actOnBurst(world: World, numbers: readonly number[], writes: Writes): Promise<Acted> {
  progress(`a burst of ${BURST_MESSAGES} messages to each of ${numbers.length} idle queues`);
  writes.clear();
  const begun = await burst(world.broker.url, numbers, BURST_MESSAGES);
  const deadline = performance.now() + BURST_MS;
  const left = () => Array.from(begun.keys()).filter((name) => !writes.has(name));
  while (left().length > 0 && performance.now() < deadline) await sleep(100);
  const acted = Array.from(begun).flatMap(([name, beganMs]) => {
    const write = writes.get(name);
    return write === undefined ? [] : [(write - beganMs) / 1000];
  });
  return { seconds: acted.toSorted((a, b) => a - b), overlooked: left().length };
}

/** When the number of a workload was first changed. */
type Writes = Map<string, number>;

function rowsOf(many: Measured, one: Measured): readonly Row[] {
  const row = (name: string, unit: string, of: (measured: Measured) => number): Row => ({
    name,
    unit,
    millrace: of(many),
    base: { name: "1 scaler", figure: of(one) },
  });
  const perSecond = (of: (measured: Measured) => number) => (measured: Measured) =>
    of(measured) / measured.seconds;
  const kinds = new Set([...many.asked.keys(), ...one.asked.keys()]);
  return [
    row("operator, processor", "millicores", ({ operatorCores }) => operatorCores * 1000),
    row("operator, memory", "MB", ({ residentBytes }) => residentBytes / 1e6),
    row("operator, memory, peak", "MB", ({ peakBytes }) => peakBytes / 1e6),
    row("API server and etcd, processor", "millicores", ({ apiServerCores }) => apiServerCores * 1000),
    row("API server, status write, p99", "ms", ({ statusWrites }) => statusWrites.quantile(0.99) * 1000),
    row("broker, processor", "millicores", ({ brokerCores }) => brokerCores * 1000),
    row(
      "passes",
      "1/s",
      perSecond(({ passes }) => passes.count),
    ),
    row("  p50", "ms", ({ passes }) => passes.quantile(0.5) * 1000),
    row("  p99", "ms", ({ passes }) => passes.quantile(0.99) * 1000),
    row("  most, at most", "ms", ({ passes }) => passes.most * 1000),
    row("  failed", "", ({ failedPasses }) => failedPasses),
    row(
      "requests to RabbitMQ",
      "1/s",
      perSecond(({ brokerAsked }) => sumOf(brokerAsked)),
    ),
    row(
      "requests to Kubernetes",
      "1/s",
      perSecond(({ asked }) => sumOf(asked)),
    ),
    ...Array.from(kinds)
      .toSorted()
      .map((kind) =>
        row(
          `  ${kind}`,
          "1/s",
          perSecond(({ asked }) => asked.get(kind) ?? 0),
        ),
      ),
  ];
}

/** What the operator counts beside what the API server does; the server has other clients, too. */
function comparison({ asked, answered }: Measured): string {
  return Array.from(asked, ([kind, count]) => `  ${kind}: ${count}, ${answered.get(kind) ?? 0}`)
    .toSorted()
    .join("\n");
}

const shown = (value: number | undefined) => value?.toFixed(1) ?? "-";
function actedLine({ seconds: all, overlooked }: Acted): string {
  const at = (share: number) => shown(all[Math.floor(share * (all.length - 1))]);
  return `from a burst to the scale write, ${all.length} queues: p50 ${at(0.5)} s, p90 ${at(0.9)} s, most ${shown(all.at(-1))} s; overlooked ${overlooked}`;
}

const busy = Math.max(1, Math.floor(scalers * BUSY));
await using parts = new AsyncDisposableStack();
const world = parts.use(await openWorld(scalers, progress));
const load = parts.use(await startLoad(world.broker.url));
const writes: Writes = new Map();
const note = ({ name, atMs }: ScaleWrite): void => void (writes.has(name) || writes.set(name, atMs));
parts.use(startController(world.api, load, note));

/** Longer than an idle workload takes to go to zero, which all do once. */
const settled = async (what: string): Promise<Measured> => {
  progress(`${what}: settling for ${settle} s, then measuring for ${seconds} s`);
  await sleep(settle * 1000);
  return measure(world, seconds);
};
await world.makeScalers(0, 1);
load.publishTo([nameOf(0)]);
const one = await settled("one scaler");
await world.makeScalers(1, scalers);
load.publishTo(Array.from({ length: busy }, (_, number) => nameOf(number)));
const many = await settled(`${scalers} scalers`);

const idle = Array.from({ length: busy }, (_, i) => scalers - 1 - i).filter((number) => number >= busy);
const acted = await actOnBurst(world, idle, writes);

const p99 = many.passes.quantile(0.99);
const passes = p99 < OBJECTIVE_SECONDS;
process.stdout.write(`${world.api.version}, ${world.broker.version}
${machineFacts()}; load average ${loadavg()
  .map((average) => average.toFixed(1))
  .join(", ")}
${scalers} QueueScalers that are polled each 2 s, ${scalers} Deployments and quorum queues; ${busy} queues get ${RATE} messages/s each, and a pod does ${1000 / WORK_MS}/s

${tableOf(rowsOf(many, one))}

${actedLine(acted)}
reconcile p99 ${p99.toFixed(3)} s: ${passes ? "pass" : "MISS"}, less than ${OBJECTIVE_SECONDS} s

requests in ${many.seconds.toFixed(0)} s, as the operator counts them and as the API server does for all its clients:
${comparison(many)}
requests to RabbitMQ: ${JSON.stringify(Object.fromEntries(many.brokerAsked))}
`);
if (!passes || acted.overlooked > 0) process.exitCode = 1;
