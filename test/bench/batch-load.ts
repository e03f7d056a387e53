import { setTimeout as sleep } from "node:timers/promises";
import { batchBodies, bodiesFor } from "./bodies.ts";
import { Connection, encodePost } from "./connection.ts";
import type { BatchLoad, LoadResult } from "./load.ts";
import { quantilesOf } from "./quantiles.ts";

/** A refused client waits this long, whatever it was told: the benchmark asks for the most that goes. */
const REFUSED_MS = 20;

export async function batchLoad({ url, connections, batch, until }: BatchLoad): Promise<LoadResult> {
  const posts = batchBodies(Math.max(8, bodiesFor(batch)), batch).map((body) =>
    encodePost(url, Buffer.from(body)),
  );
  const latencies: number[] = [];
  const refusals: Record<string, number> = {};
  let sent = 0;
  let events = 0;
  const begun = performance.now();
  const deadline = begun + (until.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const wanted = until.events ?? Number.POSITIVE_INFINITY;
  let inFlight = 0;

  async function drive(): Promise<void> {
    using connection = new Connection(url);
    // What is in flight will most likely be accepted, so no more is sent than was asked for.
    while (performance.now() < deadline && events + inFlight < wanted) {
      const bytes = posts[sent++ % posts.length] as Buffer;
      const at = performance.now();
      inFlight += batch;
      const answer = await connection.post(bytes).catch(() => undefined);
      inFlight -= batch;
      if (answer?.status === 200) {
        events += batch;
        latencies.push(performance.now() - at);
        continue;
      }
      const reason = String(answer?.status ?? "none");
      refusals[reason] = (refusals[reason] ?? 0) + 1;
      await sleep(REFUSED_MS);
    }
  }
  await Promise.all(Array.from({ length: connections }, drive));

  const seconds = (performance.now() - begun) / 1000;
  return { seconds, requests: latencies.length, events, ...quantilesOf(latencies), refusals };
}
