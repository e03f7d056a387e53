import { startStandalone } from "../flow/standalone.ts";
import { usualShape } from "./bodies.ts";
import { folderBytes } from "./facts.ts";
import { BATCH_CONNECTIONS, batchesOf, type Posts, singles, WARM_UP_SECONDS } from "./posts.ts";
import { type Bare, BARE, runLoad, startBare } from "./processes.ts";
import { eventsPerSecond, interleave, latencies, measured, type Progress, whole } from "./rounds.ts";
import { drained, settled } from "./settle.ts";
import type { Row, Target } from "./table.ts";

export interface BenchOptions {
  readonly rounds: number;
  /** Of a round. */
  readonly seconds: number;
  /** Events that are sent for the settled rate. */
  readonly events: number;
}

/** One process on the embedded broker and store, beside a bare server. */
export async function standaloneBench(options: BenchOptions, progress: Progress): Promise<readonly Row[]> {
  using bare = await startBare();
  return [
    // (a) and (b): one event a request.
    ...(await accepting({ ...singles, target: { ratio: 0.6 } }, options, bare, progress)),
    // (c): many events a request, against the same body on the bare server.
    ...(await accepting(batchesOf(100), options, bare, progress)),
    ...(await accepting({ ...batchesOf(1000), target: { figure: 150_000 } }, options, bare, progress)),
    ...(await settling(options, progress)),
  ];
}

/** Neither has leftover work while the other is measured. */
async function accepting(
  { name, unit, loadOf, target }: Posts & { readonly target?: Target },
  options: BenchOptions,
  bare: Bare,
  progress: Progress,
): Promise<readonly Row[]> {
  await using standalone = await startStandalone();
  const medians = await interleave(
    {
      bare: (seconds, round) => measured(loadOf(bare.url, seconds), round, progress),
      millrace: async (seconds, round) => {
        const result = await measured(loadOf(standalone.collectorUrl, seconds), round, progress);
        await drained(standalone.queryUrl, progress);
        return result;
      },
    },
    { ...options, warmUpSeconds: WARM_UP_SECONDS },
  );
  return [
    {
      name,
      unit,
      millrace: eventsPerSecond(medians.millrace),
      base: { name: BARE, figure: eventsPerSecond(medians.bare) },
      ...(target === undefined ? {} : { target }),
    },
    ...latencies(medians.millrace, medians.bare, BARE),
  ];
}

/** (d) and (e): until all three views have everything, and what that takes on disk. */
async function settling({ events }: BenchOptions, progress: Progress): Promise<readonly Row[]> {
  await using standalone = await startStandalone();
  const begunMs = performance.now();
  const load = await runLoad({
    kind: "batch",
    url: `${standalone.collectorUrl}/events`,
    connections: BATCH_CONNECTIONS,
    batch: 1000,
    until: { events },
  });
  progress(
    `sent ${load.events} events in ${load.seconds.toFixed(1)} s; refusals ${JSON.stringify(load.refusals)}`,
  );
  const wanted = { events: load.events, usernames: usualShape.usernames };
  const { atMs, distinctName } = await settled(standalone.queryUrl, wanted, progress);
  const seconds = (atMs - begunMs) / 1000;
  progress(`settled after ${seconds.toFixed(1)} s`);
  if (distinctName !== load.events)
    throw new Error(`${load.events} were accepted, and ${distinctName} counted`);
  const settledBytes = await folderBytes(standalone.dataDir);
  await standalone.stop();
  const stoppedBytes = await folderBytes(standalone.dataDir);
  return [
    {
      name: `all three views have ${whole(load.events)} events`,
      unit: "events/s",
      millrace: load.events / seconds,
      target: { figure: 40_000 },
    },
    { name: "  from the last answer", unit: "s", millrace: Math.max(0, seconds - load.seconds) },
    { name: "  on disk, settled", unit: "bytes/event", millrace: settledBytes / load.events },
    { name: "  on disk, stopped", unit: "bytes/event", millrace: stoppedBytes / load.events },
  ];
}
