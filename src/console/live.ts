import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { MillraceError } from "../errors.ts";
import type { Sample, Sampler } from "./sampler.ts";

/** Pages that may be open at a time. */
const MAX_WATCHERS = 100;
/** How soon a page that lost its connection comes back, in milliseconds. */
const RETRY_MS = 2000;
/** A comment so often shows whoever is on the way that the connection is in use, in milliseconds. */
const HEARTBEAT_MS = 15_000;
/** A page that has not read for so long is given up, in milliseconds. */
const UNREAD_MS = 30_000;
/** What a page has not read when the server closes is lost after so long, in milliseconds. */
const GOODBYE_MS = 200;

/** The open pages, each with a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export class LiveStreams {
  readonly #sampler: Sampler;
  readonly #open = new Set<ServerResponse>();
  #closed = false;

  constructor(sampler: Sampler) {
    this.#sampler = sampler;
  }

  get open(): number {
    return this.#open.size;
  }

  /**
   * Takes the reply over until its connection or this ends, or `check` throws: its key may be revoked meanwhile.
   * @throws MillraceError OVERLOADED where too many are open.
   */
  add(reply: FastifyReply, check: () => void): void {
    if (this.#closed || this.#open.size >= MAX_WATCHERS) {
      throw new MillraceError("OVERLOADED", `${MAX_WATCHERS} pages are open, or this process is stopping`);
    }
    void reply.headers({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    });
    reply.hijack();
    const response = reply.raw;
    this.#open.add(response);
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) response.setHeader(name, value);
    }
    response.writeHead(200);
    let decisions: string | undefined;
    let unreadSinceMs: number | undefined;
    const tell = (sample: Sample): void => {
      if (!passes(check)) return void response.end();
      // One who reads too slowly misses snapshots: nothing is kept for it.
      if (response.writableNeedDrain) {
        unreadSinceMs ??= performance.now();
        if (performance.now() - unreadSinceMs > UNREAD_MS) response.destroy();
        return;
      }
      unreadSinceMs = undefined;
      const news = sample.decisions === decisions ? "" : event("decisions", sample.decisions);
      decisions = sample.decisions;
      response.write(event("snapshot", sample.snapshot) + news);
    };
    const heartbeat = setInterval(() => {
      if (!response.writableNeedDrain) response.write(":\n\n");
    }, HEARTBEAT_MS);
    response.once("close", () => {
      clearInterval(heartbeat);
      this.#open.delete(response);
      this.#sampler.unwatch(tell);
    });
    response.on("error", () => {});
    this.#sampler.watch(tell);
    ({ decisions } = this.#sampler);
    const known = decisions === undefined ? "" : event("decisions", decisions);
    response.write(`retry: ${RETRY_MS}\n\n${event("history", this.#sampler.history)}${known}`);
  }

  /** Ends all of them, and takes no more. */
  end(): void {
    this.#closed = true;
    for (const response of this.#open) {
      response.end();
      const timer = setTimeout(() => response.destroy(), GOODBYE_MS);
      response.once("close", () => clearTimeout(timer));
    }
  }
}

/** JSON has no line breaks of its own. */
const event = (name: string, json: string): string => `event: ${name}\ndata: ${json}\n\n`;

function passes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
