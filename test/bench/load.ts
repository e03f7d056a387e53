import { batchLoad } from "./batch-load.ts";
import { singleLoad } from "./single-load.ts";

/** What the load generator is asked to do, and what it saw. Run as a child process: options in, result out. */
export type LoadOptions = SingleLoad | BatchLoad;
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
export interface LoadResult {
  readonly seconds: number;
  /** Requests that were answered with 200. */
  readonly requests: number;
  /** Events in them. */
  readonly events: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How often anything else was the answer: a status, or "none" for no answer. */
  readonly refusals: Readonly<Record<string, number>>;
}

if (import.meta.main) {
  process.once("message", (message) => {
    const options = message as LoadOptions;
    const run = options.kind === "single" ? singleLoad(options) : batchLoad(options);
    void run.then((result) => process.send?.(result));
  });
  process.once("disconnect", () => process.exit(0));
}
