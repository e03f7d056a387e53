import { gzipSync } from "node:zlib";
import type { Ledger, Posted } from "./ledger.ts";
import type { Random } from "./random.ts";

/** One request's worth of events. */
export interface Job {
  /** New ones, and some that were acknowledged before; an event may be in it twice. */
  readonly events: readonly Posted[];
  readonly form: "single" | "array" | "ndjson";
  readonly gzip: boolean;
  /** False where the client gives up when it does not learn the outcome. */
  readonly insists: boolean;
}

const SINGLE = 0.6;
const GIVES_UP = 0.08;
const BAD = 0.05;
const BATCH_BAD = 0.02;
const REPEAT = 0.04;

export function nextJob(ledger: Ledger, random: Random, batchMaxEvents: number): Job {
  const insists = !random.chance(GIVES_UP);
  const intent = insists ? "sure" : "maybe";
  if (random.chance(SINGLE)) {
    const known = insists && random.chance(REPEAT) ? ledger.acknowledgedBefore() : undefined;
    const fresh = (): Posted => ledger.create(insists && random.chance(BAD) ? "bad" : intent);
    return { events: [known ?? fresh()], form: "single", gzip: false, insists };
  }
  const events: Posted[] = [];
  const size = random.skewed(2, batchMaxEvents);
  while (events.length < size) {
    const known = insists && random.chance(REPEAT) ? ledger.acknowledgedBefore() : undefined;
    const twin = insists && random.chance(REPEAT / 8) ? events.at(-1) : undefined;
    events.push(known ?? twin ?? ledger.create(insists && random.chance(BATCH_BAD) ? "bad" : intent));
  }
  return { events, form: random.pick(["array", "ndjson"]), gzip: random.chance(0.3), insists };
}

export function encodeJob(job: Job): { readonly headers: Record<string, string>; readonly body: Buffer } {
  const headers: Record<string, string> = { "content-type": "application/json" };
  const texts = job.events.map((event) => JSON.stringify(event.body));
  let body = Buffer.from(texts.join("\n"));
  if (job.form === "array") body = Buffer.from(`[${texts.join(",")}]`);
  if (job.form === "ndjson") headers["content-type"] = "application/x-ndjson";
  if (!job.gzip) return { headers, body };
  return { headers: { ...headers, "content-encoding": "gzip" }, body: gzipSync(body) };
}
