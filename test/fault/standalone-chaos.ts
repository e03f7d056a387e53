import { startStandalone } from "../flow/standalone.ts";
import { type KillTally, runKiller } from "./killer.ts";
import { httpSender } from "./post.ts";
import { seededRandom } from "./random.ts";
import { settledVerdict } from "./settled.ts";
import { type ClientFigures, Traffic } from "./traffic.ts";
import type { Verdict } from "./verdict.ts";

export interface StandaloneChaosOptions {
  readonly seconds: number;
  readonly kills: number;
  readonly seed: number;
  readonly connections: number;
}
export interface StandaloneChaosReport extends ClientFigures {
  readonly seed: number;
  readonly seconds: number;
  readonly kills: number;
  readonly early: number;
  readonly counted: Verdict["counted"];
  readonly faults: readonly string[];
}

/** Few enough that reading every row of every view at the end is quick. */
const EVENTS_MAX = 200_000;
const EVENTS_PER_SECOND_MAX = 1200;
const SETTLE_MS = 60_000;

/** Posts to a standalone process that is killed again and again, then compares what it counted with what it acknowledged. */
export async function runStandaloneChaos(
  options: StandaloneChaosOptions,
  progress: (line: string) => void,
): Promise<StandaloneChaosReport> {
  const { seconds, kills, seed, connections } = options;
  const random = seededRandom(seed);
  const killTally: KillTally = { kills: 0, early: 0, faults: [] };
  const eventsPerSecond = Math.min(EVENTS_PER_SECOND_MAX, EVENTS_MAX / seconds);

  await using standalone = await startStandalone();
  using send = httpSender(standalone.collectorUrl, connections);
  const traffic = new Traffic({ send, random, clients: connections, eventsPerSecond });
  const tell = (): void => progress(`kills ${killTally.kills}, ${traffic.line()}`);
  const telling = setInterval(tell, 5000);
  using _ = { [Symbol.dispose]: () => clearInterval(telling) };
  try {
    await runKiller({ standalone, random, surge: () => traffic.surge() }, { kills, seconds }, killTally);
  } finally {
    await traffic.finish(SETTLE_MS);
  }
  tell();
  const { queryUrl } = standalone;
  const verdict = await settledVerdict(traffic.ledger, { queryUrl, settleMs: SETTLE_MS, progress });
  return {
    seed,
    seconds,
    kills: killTally.kills,
    early: killTally.early,
    ...traffic.figures(),
    counted: verdict.counted,
    faults: [...killTally.faults, ...traffic.faults(), ...verdict.wrong, ...verdict.missing],
  };
}
