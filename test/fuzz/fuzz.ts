import { parseArgs } from "node:util";
import { fuzzApi } from "./api.ts";
import { namedBroker } from "../parts/named.ts";
import { startBrokerPart } from "../parts/parts.ts";
import { fuzzConsumer } from "./consumer.ts";
import { fuzzDecoder } from "./decoder.ts";

const usage = `npm run fuzz -- api|decoder|consumer

  api       the HTTP APIs, as their own /openapi.json describes them [--examples N] [--seed N] [--only "a key"]
  decoder   what a worker makes of a message's bytes [--inputs N] [--seed N]
  consumer  a RabbitMQ consumer among messages of any kind [--messages N] [--seed N]
`;
const write = (text: string): void => void process.stdout.write(text);
const text = { type: "string" } as const;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { examples: text, seed: text, inputs: text, messages: text, only: text },
});
/** A whole number from 1 on. */
function count(name: keyof typeof values, fallback: number): number {
  const given = values[name];
  if (given === undefined) return fallback;
  if (/^[1-9]\d{0,14}$/.test(given)) return Number(given);
  throw new Error(`--${name} is ${JSON.stringify(given)}; it must be a whole number from 1 on`);
}
const seed = count("seed", 1 + Math.floor(Math.random() * 2 ** 31));

async function api(): Promise<boolean> {
  const results = await fuzzApi({
    examples: count("examples", 200),
    seed,
    phases: ["examples", "coverage", "fuzzing", "stateful"],
    only: values.only ?? "",
    tell: write,
  });
  for (const { what, passed } of results) write(`${what}: ${passed ? "nothing found" : "FAILED"}\n`);
  return results.every(({ passed }) => passed);
}

const decoder = (): Promise<boolean> =>
  fuzzDecoder({ inputs: count("inputs", 1_000_000), seed, tell: write });

async function consumer(): Promise<boolean> {
  await using broker = (await namedBroker()) ?? (await startBrokerPart());
  const messages = count("messages", 5000);
  const { sent, counted, deadLetters, reasonless, forged, ended } = await fuzzConsumer({
    messages,
    seed,
    broker,
    tell: write,
  });
  const whole =
    [counted.hourly, counted.days].every((events) => events === sent.good) && counted.users === sent.users;
  return whole && deadLetters.every((letters) => letters === sent.bad) && reasonless + forged + ended === 0;
}

const [what = ""] = positionals;
const kinds = new Map([
  ["api", api],
  ["decoder", decoder],
  ["consumer", consumer],
]);
const run = kinds.get(what);
if (run === undefined) {
  write(usage);
  process.exitCode = 2;
} else {
  write(`seed ${seed}\n`);
  process.exitCode = (await run()) ? 0 : 1;
}
