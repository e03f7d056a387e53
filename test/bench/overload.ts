import { parseArgs } from "node:util";
import { startStandalone } from "../flow/standalone.ts";
import { batchBodies } from "./bodies.ts";
import { type Answer, Connection, encodePost } from "./connection.ts";
import { residentBytes, watchResident } from "./resident.ts";
import { drained, settled } from "./settle.ts";

export interface OverloadOptions {
  readonly seconds: number;
  readonly connections: number;
  /** MILLRACE_UNCONFIRMED_MAX_BYTES; the default where undefined. */
  readonly budgetBytes: number | undefined;
}
export interface OverloadReport {
  readonly posts: number;
  readonly taken: number;
  readonly refused: number;
  readonly unanswered: number;
  readonly acceptedEvents: number;
  /** Events whose outcome the client does not know: they may count or not. */
  readonly uncertainEvents: number;
  readonly countedEvents: number;
  readonly idleMb: number;
  readonly peakMb: number;
  readonly afterMb: number;
  readonly settleSeconds: number;
  readonly faults: readonly string[];
}

const PEAK_MAX_MB = 300;
const USERNAMES = 20_000;
const MB = 1_000_000;

interface Tally {
  posts: number;
  taken: number;
  refused: number;
  unanswered: number;
  acceptedEvents: number;
  uncertainEvents: number;
  readonly faults: Set<string>;
}
interface Post {
  readonly events: number;
  readonly bytes: Buffer;
}

/** Posts big batches from clients that never wait, then compares what was counted with what was accepted. */
export async function runOverload(
  options: OverloadOptions,
  progress: (line: string) => void,
): Promise<OverloadReport> {
  const budget = options.budgetBytes;
  await using standalone = await startStandalone({
    environment: budget === undefined ? {} : { MILLRACE_UNCONFIRMED_MAX_BYTES: String(budget) },
  });
  const { collectorUrl, queryUrl, pid } = standalone;
  const gone = new AbortController();
  void standalone.exited.then((exit) => gone.abort(exit));
  const idle = await residentBytes(pid);
  const posts = preparedPosts(`${collectorUrl}/events`);
  const tally: Tally = {
    posts: 0,
    taken: 0,
    refused: 0,
    unanswered: 0,
    acceptedEvents: 0,
    uncertainEvents: 0,
    faults: new Set(),
  };
  using resident = watchResident(pid);
  const begun = performance.now();
  const telling = setInterval(() => progress(line(tally, resident.peakBytes())), 5000);
  const deadline = begun + options.seconds * 1000;
  const clients = Array.from({ length: options.connections }, async () => {
    using connection = new Connection(collectorUrl);
    while (performance.now() < deadline && !gone.signal.aborted) {
      await postOne(connection, posts[tally.posts++ % posts.length] as Post, tally);
    }
  });
  await Promise.all(clients).finally(() => clearInterval(telling));
  progress(line(tally, resident.peakBytes()));

  const faults = Array.from(tally.faults);
  if (gone.signal.aborted) {
    throw new Error(
      `the server ended: ${JSON.stringify(gone.signal.reason)}\n${standalone.log().slice(-4096)}`,
    );
  }
  const wanted = { events: tally.acceptedEvents, usernames: tally.taken > 0 ? 1 : 0 };
  const endedMs = performance.now();
  const { atMs } = await settled(queryUrl, wanted, progress);
  // What was not acknowledged may still be on its way, and must not be too much.
  const countedEvents = await drained(queryUrl, progress);
  const peakMb = resident.peakBytes() / MB;
  if (countedEvents > tally.acceptedEvents + tally.uncertainEvents) faults.push("more counted than posted");
  if (peakMb >= PEAK_MAX_MB) faults.push(`resident memory reached ${peakMb.toFixed(0)} MB`);
  return {
    ...tally,
    countedEvents,
    idleMb: Math.round((idle ?? 0) / MB),
    peakMb: Math.round(peakMb),
    afterMb: Math.round(((await residentBytes(pid)) ?? 0) / MB),
    settleSeconds: (atMs - endedMs) / 1000,
    faults,
  };
}

/** From 1000 to 5000 events each. */
function preparedPosts(url: string): readonly Post[] {
  const sizes = [1000, 2000, 3000, 4000, 5000];
  return sizes.flatMap((events) =>
    batchBodies(Math.ceil(USERNAMES / events), events, { usernames: USERNAMES, metrics: 20 }).map((body) => ({
      events,
      bytes: encodePost(url, Buffer.from(body)),
    })),
  );
}

async function postOne(connection: Connection, post: Post, tally: Tally): Promise<void> {
  try {
    note(await connection.post(post.bytes), post, tally);
  } catch {
    tally.unanswered += 1;
    tally.uncertainEvents += post.events;
  }
}

/** Of these the contract says that the message may exist, so its events may count. */
const mayExist = /PUBLISH_UNCONFIRMED|BROKER_UNAVAILABLE|has not confirmed in time|cannot be reached/;

function note(answer: Answer, post: Post, tally: Tally): void {
  if (answer.status === 200) {
    tally.taken += 1;
    const accepted = Number(/"accepted":\s*(\d+)/.exec(answer.bodyStart)?.[1]);
    if (accepted === post.events) tally.acceptedEvents += accepted;
    else tally.faults.add(`200 for a part of a good batch: ${answer.bodyStart.slice(0, 200)}`);
    return;
  }
  if (answer.status !== 503) {
    tally.faults.add(`status ${answer.status}: ${answer.bodyStart.slice(0, 200)}`);
    return;
  }
  tally.refused += 1;
  if (!/\r\nretry-after: *\d+/i.test(answer.head))
    tally.faults.add(`503 without Retry-After: ${answer.head}`);
  if (mayExist.test(answer.bodyStart)) tally.uncertainEvents += post.events;
}

function line(tally: Tally, peakBytes: number): string {
  const { posts, taken, refused, unanswered, acceptedEvents } = tally;
  return `posts ${posts}, 200 ${taken}, 503 ${refused}, unanswered ${unanswered}, accepted ${acceptedEvents} events, peak ${(peakBytes / MB).toFixed(0)} MB`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "120" },
      connections: { type: "string", default: "256" },
      budget: { type: "string" },
    },
  });
  const options: OverloadOptions = {
    seconds: Number(values.seconds),
    connections: Number(values.connections),
    budgetBytes: values.budget === undefined ? undefined : Number(values.budget),
  };
  const begun = Date.now();
  const { faults, ...report } = await runOverload(options, (text) => {
    process.stderr.write(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}\n`);
  });
  const all = report.refused === 0 ? [...faults, "never overloaded: no 503 was seen"] : faults;
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  for (const fault of all.slice(0, 20)) process.stdout.write(`FAULT ${fault}\n`);
  process.exitCode = all.length === 0 ? 0 : 1;
}

if (import.meta.main) await main();
