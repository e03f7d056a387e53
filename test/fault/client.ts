import { setTimeout as sleep } from "node:timers/promises";
import { encodeJob, type Job, nextJob } from "./job.ts";
import type { Ledger, Posted } from "./ledger.ts";
import type { Pace } from "./pace.ts";
import type { Answer, Post, Send } from "./post.ts";
import type { Random } from "./random.ts";

export interface ClientParts {
  readonly send: Send;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly pace: Pace;
}
export interface Tally {
  /** Requests, tries included. */
  requests: number;
  retried: number;
  /** Events that were posted again though acknowledged, or twice at once. */
  resent: number;
  /** Answers that break the contract. */
  readonly faults: string[];
}

const BATCH_MAX_EVENTS = 200;
/** Longer than the server's own deadlines, so that it is the one to answer. */
const PATIENCE_MS = 15_000;
const HASTY = 0.02;
const HANGS_UP = 0.02;
const RETRY_MS = 100;

/** Posts jobs until `stop`; then finishes those in hand, and gives up on all at `deadline`. */
export async function runClient(
  parts: ClientParts,
  tally: Tally,
  until: { readonly stop: AbortSignal; readonly deadline: AbortSignal },
): Promise<void> {
  const { ledger, random, pace } = parts;
  while (!until.stop.aborted) {
    await pace.turn();
    if (until.stop.aborted) return;
    const job = nextJob(ledger, random, BATCH_MAX_EVENTS);
    pace.take(job.events.length);
    const known = job.events.filter((event) => event.state === "acknowledged").length;
    tally.resent += Math.max(known, job.events.length - new Set(job.events).size);
    // A hasty client sends the same twice at once.
    const hasty = job.insists && random.chance(HASTY);
    if (hasty) tally.resent += job.events.length;
    const tries = hasty ? [1, 2] : [1];
    await Promise.all(tries.map(() => deliver(parts, job, tally, until.deadline)));
  }
}

async function deliver(parts: ClientParts, job: Job, tally: Tally, deadline: AbortSignal): Promise<void> {
  const encoded = encodeJob(job);
  const firstTurn = parts.random.integer(0, 1);
  const path = job.form === "single" ? "/event" : "/events";
  let last = "no try";
  for (let attempt = 1; !deadline.aborted; attempt += 1) {
    const hangsUp = parts.random.chance(HANGS_UP);
    const hangUpAfterMs = hangsUp ? parts.random.integer(0, 20) : PATIENCE_MS;
    const post: Post = { ...encoded, path, hangUpAfterMs, turn: firstTurn + attempt };
    tally.requests += 1;
    if (attempt > 1) tally.retried += 1;
    const answer = await parts.send(post);
    if (answer !== undefined && answer.status < 500 && answer.status !== 429) {
      settle(parts.ledger, job, answer, tally.faults);
      return;
    }
    if (answer?.status === 503 && answer.retryAfter === undefined) {
      tally.faults.push(`a 503 came without Retry-After: ${answer.text}`);
    }
    if (answer !== undefined && answer.status !== 503) {
      tally.faults.push(`neither taken nor refused, and not 503: ${answer.status} ${answer.text}`);
    }
    if (!job.insists) {
      for (const event of job.events) if (event.state === "open") event.state = "unknown";
      return;
    }
    last = answer === undefined ? "no answer" : `${answer.status} ${answer.text.slice(0, 200)}`;
    await sleep(RETRY_MS * (0.5 + parts.random.unit()));
  }
  tally.faults.push(`given up, ${job.form} of ${job.events.length}, the last try: ${last}`);
}

/** Writes down what an answer says of each event, and where that is not what the event deserves. */
function settle(ledger: Ledger, job: Job, answer: Answer, faults: string[]): void {
  const refused = refusedBy(job, answer);
  if (typeof refused === "string") {
    faults.push(`${job.form} of ${job.events.length}: ${refused}: ${answer.text.slice(0, 300)}`);
    return;
  }
  for (const [index, event] of job.events.entries()) {
    const wasRefused = refused.has(index);
    if (wasRefused !== (event.intent === "bad")) {
      faults.push(`${wasRefused ? "refused" : "accepted"}, ${job.form}: ${JSON.stringify(event.body)}`);
    }
    if (wasRefused) ledger.refuse(event);
    else ledger.acknowledge(event);
  }
}

/** The indices of the events that were refused, or what is wrong with the answer. */
function refusedBy(job: Job, answer: Answer): ReadonlySet<number> | string {
  const everyIndex = (): ReadonlySet<number> => new Set(job.events.keys());
  if (answer.status === 400 && job.events.every((event: Posted) => event.intent === "bad"))
    return everyIndex();
  if (answer.status !== 200) return `status ${answer.status}`;
  if (job.form === "single") return new Set();
  const body = parse(answer.text);
  if (body === undefined) return "no JSON";
  const refused = new Set<number>();
  for (const one of body.results) if (one.status === "rejected") refused.add(one.index);
  const adds = body.rejected === refused.size && body.accepted + body.rejected === job.events.length;
  return adds ? refused : "the figures do not add up";
}

interface BatchBody {
  readonly accepted: number;
  readonly rejected: number;
  readonly results: readonly { readonly index: number; readonly status: string }[];
}

function parse(text: string): BatchBody | undefined {
  try {
    return JSON.parse(text) as BatchBody;
  } catch {
    return undefined;
  }
}
