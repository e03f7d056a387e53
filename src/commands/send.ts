import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { addAbortSignal, type Readable } from "node:stream";
import { type Format, type InputEvent, type InputPart, readEvents } from "./event-file.ts";
import { eventsUrl, postBatch, type PostSettings, type PostSignals } from "./post.ts";
import { showProgress, type Terminal } from "./progress.ts";
import { type ReportFiles, SendReport } from "./send-report.ts";

export interface SendOptions extends PostSettings {
  /** A path, or `-` for `stdin`. */
  readonly file: string;
  /** `auto` is CSV for a file that ends in .csv, and NDJSON for all else. */
  readonly format: Format | "auto";
  /** Most events in one request; one never holds more than about a mebibyte either. */
  readonly batchSize: number;
  /** Most requests at a time. */
  readonly concurrency: number;
  readonly reportFiles: ReportFiles;
  readonly stdin: Readable;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: Terminal;
  /** Looked at for CI and TERM, which decide on the progress bar. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Once aborted: reads no further, makes no further tries, finishes the requests in flight. */
  readonly stop: AbortSignal;
}

export const sendDefaults = {
  url: "http://127.0.0.1:3000",
  format: "auto",
  batchSize: 1000,
  concurrency: 4,
  retries: 10,
  retryDelayMs: 200,
  timeoutMs: 30_000,
} as const;

const BATCH_MAX_BYTES = 1024 * 1024;
/** A batch that is not full is sent when the input has been silent for so long: standard input may be a live feed. */
const SILENCE_MS = 250;

/** Sends the events of a file to a collector and reports. Resolves to the exit code: 0 when every event was taken. */
export async function send(options: SendOptions): Promise<number> {
  const complain = (message: string): number => {
    options.stderr.write(`millrace send: ${message}\n`);
    return 1;
  };
  try {
    checkPost(options);
    const totalBytes = await sizeOf(options.file);
    using report = new SendReport(options.reportFiles);
    const startedMs = performance.now();
    const sender = new Sender(options, report);
    const hideProgress = showProgress(options.stderr, options.environment, () => ({
      tally: report,
      totalBytes,
    }));
    await sender.run();
    hideProgress();
    options.stdout.write(report.summary((performance.now() - startedMs) / 1000, sender.stoppedAtLine));
    if (sender.fault !== undefined) return complain(sender.fault);
    return sender.stoppedAtLine === undefined && report.rejected + report.failed === 0 ? 0 : 1;
  } catch (error) {
    return complain(messageOf(error));
  }
}

/** In bytes; undefined for what has none, such as a pipe. */
async function sizeOf(file: string): Promise<number | undefined> {
  if (file === "-") return undefined;
  const facts = await stat(file);
  return facts.isFile() ? facts.size : undefined;
}

/** Faults of the options that every request would have. The key stays out of the message. */
function checkPost(options: SendOptions): void {
  eventsUrl(options.url);
  if (options.writeKey !== undefined && !/^[\u0021-\u007E]+$/.test(options.writeKey)) {
    throw new Error("the write key is empty or holds a character that a header cannot");
  }
}

class Sender {
  readonly #options: SendOptions;
  readonly #report: SendReport;
  readonly #halt = new AbortController();
  /** Either of: the caller's stop, our own halt. */
  readonly #ending: AbortSignal;
  readonly #signals: PostSignals;
  readonly #inFlight = new Set<Promise<void>>();
  #batch: InputEvent[] = [];
  #batchBytes = 0;
  /** Why nothing more can be sent. */
  fault: string | undefined;
  stoppedAtLine: number | undefined;

  constructor(options: SendOptions, report: SendReport) {
    this.#options = options;
    this.#report = report;
    this.#ending = AbortSignal.any([options.stop, this.#halt.signal]);
    const onRetry = (): void => {
      report.retries += 1;
    };
    this.#signals = { stop: this.#ending, halt: this.#halt.signal, onRetry };
  }

  /** Resolves once all that was sent has been answered or given up. */
  async run(): Promise<void> {
    let nextLine = 1;
    try {
      for await (const part of withSilences(this.#parts(), SILENCE_MS)) {
        if (part === "silence") {
          await this.#dispatch();
          continue;
        }
        this.#report.bytesRead += part.bytes;
        for (const line of part.lines) {
          if (this.#ending.aborted) break;
          nextLine = line.line + 1;
          if ("reason" in line) this.#report.reject([line]);
          else await this.#add(line);
        }
        if (this.#ending.aborted) break;
      }
      if (!this.#ending.aborted) await this.#dispatch();
    } catch (error) {
      // What was read before is still sent to its end.
      if (!this.#ending.aborted) this.fault = `cannot read ${this.#options.file}: ${messageOf(error)}`;
    }
    if (this.#ending.aborted || this.fault !== undefined)
      this.stoppedAtLine = this.#batch[0]?.line ?? nextLine;
    await Promise.all(this.#inFlight);
  }

  #parts(): AsyncGenerator<InputPart> {
    const { file, stdin } = this.#options;
    const input = file === "-" ? stdin : createReadStream(file);
    const auto = file.endsWith(".csv") ? "csv" : "ndjson";
    const format = this.#options.format === "auto" ? auto : this.#options.format;
    return readEvents(addAbortSignal(this.#ending, input), format);
  }

  async #add(event: InputEvent): Promise<void> {
    const bytes = Buffer.byteLength(event.text) + 1;
    if (this.#batchBytes + bytes > BATCH_MAX_BYTES) await this.#dispatch();
    this.#batch.push(event);
    this.#batchBytes += bytes;
    if (this.#batch.length >= this.#options.batchSize) await this.#dispatch();
  }

  /** Waits for its turn: this is what holds the reading back. */
  async #dispatch(): Promise<void> {
    if (this.#batch.length === 0) return;
    while (this.#inFlight.size >= this.#options.concurrency) await Promise.race(this.#inFlight);
    if (this.#ending.aborted) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#report.sent += batch.length;
    const settled = this.#settle(batch)
      .catch((error: unknown) => this.#stopFor(messageOf(error)))
      .finally(() => this.#inFlight.delete(settled));
    this.#inFlight.add(settled);
  }

  async #settle(batch: readonly InputEvent[]): Promise<void> {
    const verdict = await postBatch(batch, this.#options, this.#signals);
    const rejectAll = (reason: string): void =>
      this.#report.reject(batch.map(({ line }) => ({ line, reason })));
    switch (verdict.kind) {
      case "taken":
        this.#report.accepted += batch.length - verdict.rejected.length;
        this.#report.reject(
          verdict.rejected.map(({ index, reason }) => ({ line: batch[index]?.line ?? 0, reason })),
        );
        break;
      case "tooLarge": {
        const half = batch.length >> 1;
        if (half === 0) return rejectAll(verdict.reason);
        await this.#settle(batch.slice(0, half));
        await this.#settle(batch.slice(half));
        break;
      }
      case "refused":
        rejectAll(verdict.reason);
        break;
      case "later":
        this.#report.fail(batch, verdict.reason);
        break;
      case "hopeless":
        this.#report.fail(batch, verdict.reason);
        this.#stopFor(`stopped, since ${verdict.reason}`);
        break;
    }
  }

  #stopFor(fault: string): void {
    this.fault ??= fault;
    this.#halt.abort();
  }
}

/** What the source yields, and "silence" whenever it has yielded nothing for `ms`. */
async function* withSilences<T>(source: AsyncGenerator<T>, ms: number): AsyncGenerator<T | "silence"> {
  for (;;) {
    const next = source.next();
    // Whoever consumes may still be busy with a silence when this rejects; it is awaited below all the same.
    next.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<"silence">((tell) => (timer = setTimeout(tell, ms, "silence")));
    const first = await Promise.race([next, silence]);
    clearTimeout(timer);
    if (first === "silence") yield first;
    const result = await next;
    if (result.done === true) return;
    yield result.value;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
