import { mongodbStore } from "../contract/mongodb.ts";
import { rabbitmqBroker } from "../contract/rabbitmq.ts";
import { usualShape } from "./bodies.ts";
import type { LoadResult } from "./load.ts";
import { BATCH_CONNECTIONS, batchesOf, type Posts, singles, WARM_UP_SECONDS } from "./posts.ts";
import { type Bare, BARE, runLoad, startBare } from "./processes.ts";
import {
  eventsPerSecond,
  interleave,
  latencies,
  measured,
  type Progress,
  type Rated,
  whole,
} from "./rounds.ts";
import { settled } from "./settle.ts";
import type { BenchOptions } from "./standalone-bench.ts";
import { backlogOf, type RealParts, System } from "./system.ts";
import type { Row, Target } from "./table.ts";

const RABBITMQ = "raw amqplib";
const STORE = "raw inserts";
/** Messages that the collector has unconfirmed at a time, at most. */
const UNCONFIRMED = 8;
/** Events of a request, and of a message, of those that are settled. */
const SETTLE_BATCH = 1000;

/** A process for each role, on RabbitMQ and a MongoDB, beside a bare server and what those two do by themselves. */
export async function realBench(
  parts: RealParts,
  options: BenchOptions,
  progress: Progress,
): Promise<readonly Row[]> {
  using bare = await startBare();
  const accept = (posts: Posts & { readonly target?: Target }) =>
    accepting(posts, { parts, options, bare, progress });
  return [
    ...(await accept({ ...singles, target: { ratio: 0.5 } })),
    ...(await accept(batchesOf(100))),
    ...(await accept({ ...batchesOf(1000), target: { figure: 100_000 } })),
    ...(await settling(parts, options, progress)),
  ];
}

interface AcceptRound extends LoadResult {
  readonly messages?: number;
  /** Events that a worker had still to apply at the end; of the worker with the most. */
  readonly backlog?: number;
}

/** Until the collector answers; the workers do what they can of it meanwhile. None has leftover work when the next is measured. */
async function accepting(
  { name, unit, loadOf, target }: Posts & { readonly target?: Target },
  run: {
    readonly parts: RealParts;
    readonly options: BenchOptions;
    readonly bare: Bare;
    readonly progress: Progress;
  },
): Promise<readonly Row[]> {
  const { parts, options, bare, progress } = run;
  await using system = await System.start(parts);
  await using virtualHost = await rabbitmqBroker(parts.broker);
  /** Of the collector's messages in its latest round. */
  let eventsPerMessage = 1;
  const medians = await interleave<"bare" | "millrace" | "rabbitmq", AcceptRound>(
    {
      bare: (seconds, round) => measured(loadOf(bare.url, seconds), round, progress),
      millrace: async (seconds, round) => {
        const before = await system.counts();
        const cpuBefore = system.cpu();
        const result = await measured(loadOf(system.collectorUrl, seconds), round, progress);
        const cpuAfter = system.cpu();
        const after = await system.counts();
        const messages = after.published - before.published;
        const backlog = backlogOf(before, after);
        eventsPerMessage = (after.accepted - before.accepted) / messages;
        progress(
          `${round}: ${eventsPerMessage.toFixed(1)} events a message; ${whole(backlog)} events to be applied yet`,
        );
        progress(`${round}: ${cpuLine(cpuBefore, cpuAfter)}`);
        await system.purge();
        return { ...result, messages, backlog };
      },
      rabbitmq: (seconds, round) => {
        const batch = Math.max(1, Math.round(eventsPerMessage));
        const url = virtualHost.brokerUrl;
        return measured({ kind: "publish", url, batch, unconfirmed: UNCONFIRMED, seconds }, round, progress);
      },
    },
    { ...options, warmUpSeconds: WARM_UP_SECONDS },
  );
  const { millrace, rabbitmq } = medians;
  const messages = millrace.messages ?? 0;
  return [
    {
      name,
      unit,
      millrace: eventsPerSecond(millrace),
      base: { name: BARE, figure: eventsPerSecond(medians.bare) },
      ...(target === undefined ? {} : { target }),
    },
    ...latencies(millrace, medians.bare, BARE),
    {
      name: "  beside RabbitMQ's own",
      unit: "events/s",
      millrace: eventsPerSecond(millrace),
      base: { name: RABBITMQ, figure: eventsPerSecond(rabbitmq) },
    },
    {
      name: "  in messages",
      unit: "messages/s",
      millrace: messages / millrace.seconds,
      base: { name: RABBITMQ, figure: rabbitmq.requests / rabbitmq.seconds },
    },
    {
      name: "  events a message",
      unit: "events",
      millrace: millrace.events / messages,
      base: { name: RABBITMQ, figure: rabbitmq.events / rabbitmq.requests },
    },
    { name: "  backlog at the end", unit: "events", millrace: millrace.backlog ?? 0 },
  ];
}

interface SettleRound extends Rated {
  /** Until the last event was accepted, in seconds, and what was to be applied then, in events. */
  readonly acceptSeconds?: number;
  readonly backlog?: number;
}

/** From the first post until all three views have everything, beside the store's own time for the same documents. */
async function settling(
  parts: RealParts,
  options: BenchOptions,
  progress: Progress,
): Promise<readonly Row[]> {
  const { events } = options;
  const database = mongodbStore(parts.store.url);
  const { store, millrace } = await interleave<"store" | "millrace", SettleRound>(
    {
      store: async (_seconds, round) => {
        await using sample = await database();
        await using written = await database();
        const urls = { sampleUrl: sample.url, url: written.url };
        return measured({ kind: "insert", ...urls, batch: SETTLE_BATCH, events }, round, progress);
      },
      millrace: (_seconds, round) => settleRound(parts, events, (line) => progress(`${round}: ${line}`)),
    },
    // Each round starts its processes anew: there is nothing to warm up.
    { ...options, warmUpSeconds: 0 },
  );
  return [
    {
      name: `all three views have ${whole(events)} events`,
      unit: "events/s",
      millrace: eventsPerSecond(millrace),
      base: { name: STORE, figure: eventsPerSecond(store) },
      target: { figure: 20_000, ratio: 0.7 },
    },
    {
      name: "  from the last answer",
      unit: "s",
      millrace: Math.max(0, millrace.seconds - (millrace.acceptSeconds ?? 0)),
    },
    { name: "  backlog at the last answer", unit: "events", millrace: millrace.backlog ?? 0 },
  ];
}

async function settleRound(parts: RealParts, events: number, progress: Progress): Promise<SettleRound> {
  await using system = await System.start(parts);
  const url = `${system.collectorUrl}/events`;
  const before = await system.counts();
  const cpuBefore = system.cpu();
  const load = await runLoad({
    kind: "batch",
    url,
    connections: BATCH_CONNECTIONS,
    batch: SETTLE_BATCH,
    until: { events },
  });
  const firstPostMs = performance.now() - load.seconds * 1000;
  const backlog = backlogOf(before, await system.counts());
  progress(
    `accepted ${whole(load.events)} events in ${load.seconds.toFixed(1)} s, ` +
      `${whole(backlog)} of them to be applied yet; refusals ${JSON.stringify(load.refusals)}`,
  );
  // The views themselves are asked only when they must have everything: each answer takes time from the store.
  await system.applied();
  const wanted = { events: load.events, usernames: usualShape.usernames };
  const { atMs, distinctName } = await settled(system.queryUrl, wanted, progress);
  if (distinctName !== load.events) {
    throw new Error(`${load.events} were accepted, and ${distinctName} counted`);
  }
  const seconds = (atMs - firstPostMs) / 1000;
  progress(`settled after ${seconds.toFixed(1)} s: ${whole(load.events / seconds)} events/s`);
  progress(cpuLine(cpuBefore, system.cpu()));
  return { events: load.events, seconds, acceptSeconds: load.seconds, backlog };
}

function cpuLine(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>): string {
  const shares = Object.entries(after).map(
    ([name, seconds]) => `${name} ${(seconds - (before[name] ?? 0)).toFixed(1)}`,
  );
  return `seconds on a core: ${shares.join(", ")}`;
}
