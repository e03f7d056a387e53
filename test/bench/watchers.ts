import { setTimeout as sleep } from "node:timers/promises";

/** Pages that are open on the console, and one Prometheus. Run as a child process: options in, it watches until it is ended. */
export interface WatchOptions {
  readonly queryUrl: string;
  readonly adminUrl: string;
  readonly consoles: number;
}
/** What they have seen so far. */
export interface Watched {
  readonly snapshots: number;
  readonly answers: number;
  readonly scrapes: number;
}

/** Both as the page and the usual Prometheus have it. */
const TABLE_MS = 5000;
const SCRAPE_MS = 5000;

const seen = { snapshots: 0, answers: 0, scrapes: 0 };

async function answered(url: string): Promise<void> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  await response.arrayBuffer();
}

/** One open page: its stream, and what it asks for beside it. */
async function openPage({ queryUrl }: WatchOptions): Promise<void> {
  const response = await fetch(`${queryUrl}/console/live`, { headers: { accept: "text/event-stream" } });
  if (!response.ok || response.body === null) throw new Error(`the stream answers ${response.status}`);
  const chunks = response.body.pipeThrough(new TextDecoderStream());
  for await (const chunk of chunks) seen.snapshots += chunk.split("event: snapshot\n").length - 1;
}

async function every(periodMs: number, first: number, task: () => Promise<void>): Promise<never> {
  // As people open them: not all at the same moment.
  await sleep(first * periodMs);
  for (;;) {
    await task();
    await sleep(periodMs);
  }
}

async function watch(options: WatchOptions): Promise<void> {
  const pages = Array.from({ length: options.consoles }, (_, index) => [
    openPage(options),
    every(TABLE_MS, index / options.consoles, async () => {
      await answered(`${options.queryUrl}/metrics/hourly_logs/total?order=count&limit=20`);
      seen.answers += 1;
    }),
  ]);
  const scraping = every(SCRAPE_MS, 0, async () => {
    await answered(`${options.adminUrl}/metrics`);
    seen.scrapes += 1;
  });
  await Promise.race([scraping, ...pages.flat()]);
  throw new Error("a stream has ended");
}

if (import.meta.main) {
  process.on("message", (message: WatchOptions | "seen") => {
    if (message === "seen") process.send?.({ ...seen });
    else
      watch(message).catch((error: unknown) => {
        console.error(error);
        process.exit(1);
      });
  });
  process.once("disconnect", () => process.exit(0));
}
