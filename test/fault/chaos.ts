import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { runClient, type Tally } from "./client.ts";
import { type KillTally, runKiller } from "./killer.ts";
import { Ledger } from "./ledger.ts";
import { Pace } from "./pace.ts";
import { httpSender } from "./post.ts";
import { seededRandom } from "./random.ts";
import { compare, missingByMetric, type Verdict } from "./verdict.ts";

export interface ChaosOptions {
  readonly seconds: number;
  readonly kills: number;
  readonly seed: number;
  readonly connections: number;
}
export interface ChaosReport {
  readonly seed: number;
  readonly seconds: number;
  readonly requests: number;
  readonly retried: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly resent: number;
  readonly kills: number;
  readonly early: number;
  readonly counted: Verdict["counted"];
  readonly faults: readonly string[];
}

/** Few enough that reading every row of every view at the end is quick. */
const EVENTS_MAX = 200_000;
const EVENTS_PER_SECOND_MAX = 1200;
const SETTLE_MS = 60_000;
/** A message that was counted may come again: this long after all are there, they must still be there once. */
const REDELIVERY_MS = 3000;

/** Posts to a standalone process that is killed again and again, then compares what it counted with what it acknowledged. */
export async function runChaos(
  options: ChaosOptions,
  progress: (line: string) => void,
): Promise<ChaosReport> {
  const random = seededRandom(options.seed);
  const ledger = new Ledger(random);
  const pace = new Pace();
  const tally: Tally = { requests: 0, retried: 0, resent: 0, faults: [] };
  const killTally: KillTally = { kills: 0, early: 0, faults: [] };
  const perSecond = Math.min(EVENTS_PER_SECOND_MAX, EVENTS_MAX / options.seconds);

  await using standalone = await startStandalone();
  using send = httpSender(standalone.collectorUrl, options.connections);
  const stop = new AbortController();
  const deadline = new AbortController();
  const tell = (): void => progress(line(ledger, tally, killTally));
  const telling = setInterval(tell, 5000);
  using _ = { [Symbol.dispose]: () => clearInterval(telling) };

  const clients = Array.from({ length: options.connections }, () =>
    runClient({ send, ledger, random, pace }, tally, { stop: stop.signal, deadline: deadline.signal }),
  );
  const granting = grant(pace, perSecond, stop.signal);
  try {
    await runKiller(
      { standalone, random, pace },
      { kills: options.kills, seconds: options.seconds, surge: perSecond / 2 },
      killTally,
    );
  } finally {
    stop.abort();
    pace.release();
    const late = setTimeout(() => deadline.abort(), SETTLE_MS);
    await Promise.all([granting, ...clients]);
    clearTimeout(late);
  }
  tell();
  const verdict = await settledVerdict(ledger, standalone, progress);
  return reportOf(options, ledger, tally, killTally, verdict);
}

/** Hands out the allowance in bursts of a tenth to a whole second's worth. */
async function grant(pace: Pace, perSecond: number, stop: AbortSignal): Promise<void> {
  for (let tenths = 1; !stop.aborted; tenths = (tenths % 10) + 1) {
    pace.grant((perSecond * tenths) / 10);
    await sleep(tenths * 100, undefined, { signal: stop }).catch(() => undefined);
  }
}

/** Compares until everything is there, and once more after the time in which a redelivery would come. */
async function settledVerdict(
  ledger: Ledger,
  { queryUrl }: Standalone,
  progress: (line: string) => void,
): Promise<Verdict> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    let missing = await missingByMetric(ledger, queryUrl);
    if (missing.length === 0) ({ missing } = await compare(ledger, queryUrl));
    if (missing.length === 0 || Date.now() > deadline) break;
    progress(`waiting for the views: ${missing.length} missing, first: ${missing[0]}`);
    await sleep(500);
  }
  await sleep(REDELIVERY_MS);
  return compare(ledger, queryUrl);
}

function reportOf(
  options: ChaosOptions,
  ledger: Ledger,
  tally: Tally,
  killTally: KillTally,
  verdict: Verdict,
): ChaosReport {
  const events = Array.from(ledger.all());
  const inState = (state: string): typeof events => events.filter((event) => event.state === state);
  const open = inState("open").map((event) => `never answered: ${event.username}`);
  return {
    seed: options.seed,
    seconds: options.seconds,
    requests: tally.requests,
    retried: tally.retried,
    sent: ledger.size,
    acknowledged: ledger.acknowledged,
    refused: ledger.refused,
    unknown: inState("unknown").length,
    resent: tally.resent,
    kills: killTally.kills,
    early: killTally.early,
    counted: verdict.counted,
    faults: [...killTally.faults, ...tally.faults, ...open, ...verdict.wrong, ...verdict.missing],
  };
}

function line(ledger: Ledger, tally: Tally, { kills }: KillTally): string {
  return `kills ${kills}, sent ${ledger.size}, acknowledged ${ledger.acknowledged}, requests ${tally.requests}, retried ${tally.retried}`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "5" },
      kills: { type: "string", default: "60" },
      seed: { type: "string", default: String(Date.now() % 2 ** 32) },
      connections: { type: "string", default: "32" },
    },
  });
  const options: ChaosOptions = {
    seconds: Number(values.minutes) * 60,
    kills: Number(values.kills),
    seed: Number(values.seed),
    connections: Number(values.connections),
  };
  const { minutes } = values;
  if (!Object.values(options).every((value) => value > 0) || options.seconds > 50 * 60) {
    throw new Error(`options are numbers above 0, minutes at most 50 (the hourly log's reach): ${minutes}`);
  }
  process.stderr.write(`chaos: ${JSON.stringify(options)}\n`);
  const begun = Date.now();
  const { faults, ...report } = await runChaos(options, (text) => {
    process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
  });
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  for (const fault of faults.slice(0, 20)) process.stdout.write(`FAULT ${fault}\n`);
  process.stdout.write(faults.length === 0 ? "verdict: exact\n" : `verdict: ${faults.length} faults\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

if (import.meta.main) await main();
