import { batchLoad } from "./batch-load.ts";
import { insertLoad } from "./insert-load.ts";
import { publishLoad } from "./publish-load.ts";
import { singleLoad } from "./single-load.ts";

/** What the load generator is asked to do, and what it saw. Run as a child process: options in, result out. */
export type LoadOptions = SingleLoad | BatchLoad | PublishLoad | InsertLoad;
export interface SingleLoad {
  readonly kind: "single";
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
}
export interface BatchLoad {
  readonly kind: "batch";
  readonly url: string;
  readonly connections: number;
  /** Events in one request. */
  readonly batch: number;
  /** The load ends at the first of the two. `events` counts the accepted ones. */
  readonly until: { readonly seconds?: number; readonly events?: number };
}
/** Past the collector: what RabbitMQ itself takes. */
export interface PublishLoad {
  readonly kind: "publish";
  /** Its path is a virtual host that nobody else uses. */
  readonly url: string;
  /** Events in one message. */
  readonly batch: number;
  /** Messages that are sent and not yet confirmed, at most. */
  readonly unconfirmed: number;
  readonly seconds: number;
}
/** Past the workers: what the store itself takes. */
export interface InsertLoad {
  readonly kind: "insert";
  /** Their paths are empty databases that nobody else uses: one to learn from what the workers write, one to write to. */
  readonly sampleUrl: string;
  readonly url: string;
  /** Events in one message. */
  readonly batch: number;
  readonly events: number;
}
export interface LoadResult {
  readonly seconds: number;
  /** Requests that were answered with 200, messages that were confirmed, or commands that the store has carried out. */
  readonly requests: number;
  /** Events in them. */
  readonly events: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How often anything else was the answer: a status, or "none" for no answer. */
  readonly refusals: Readonly<Record<string, number>>;
}

function run(options: LoadOptions): Promise<LoadResult> {
  if (options.kind === "single") return singleLoad(options);
  if (options.kind === "batch") return batchLoad(options);
  return options.kind === "publish" ? publishLoad(options) : insertLoad(options);
}

if (import.meta.main) {
  process.once("message", (message) => {
    void run(message as LoadOptions).then((result) => process.send?.(result));
  });
  process.once("disconnect", () => process.exit(0));
}
