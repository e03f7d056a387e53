import { appendFileSync, closeSync, openSync } from "node:fs";
import type { BadLine, InputEvent } from "./event-file.ts";

/** What has come of the input so far. Events that were posted are accepted, rejected, failed or in flight. */
export interface Tally {
  readonly bytesRead: number;
  readonly sent: number;
  readonly accepted: number;
  /** By the collector, and lines that could not be sent at all. */
  readonly rejected: number;
  /** Not known to be taken, after the last try. */
  readonly failed: number;
  readonly retries: number;
}

export interface ReportFiles {
  /** Gets `{line, reason}` for every rejected line, as NDJSON. */
  readonly rejects: string | undefined;
  /** Gets every event that failed, with its id: sending this file again counts none twice. */
  readonly failed: string | undefined;
}

/** How many rejected lines, and how many failed batches, the summary shows. */
const SHOWN = 20;

/** Counts, and remembers a bounded part of what went wrong; the rest goes to files. */
export class SendReport implements Tally, Disposable {
  bytesRead = 0;
  sent = 0;
  accepted = 0;
  rejected = 0;
  failed = 0;
  retries = 0;
  readonly #rejectsFile: number | undefined;
  readonly #failedFile: number | undefined;
  readonly #rejects = new FirstLines();
  readonly #failures = new FirstLines();

  constructor(files: ReportFiles) {
    this.#rejectsFile = files.rejects === undefined ? undefined : openSync(files.rejects, "w");
    this.#failedFile = files.failed === undefined ? undefined : openSync(files.failed, "w");
  }

  [Symbol.dispose](): void {
    if (this.#rejectsFile !== undefined) closeSync(this.#rejectsFile);
    if (this.#failedFile !== undefined) closeSync(this.#failedFile);
  }

  reject(lines: readonly BadLine[]): void {
    this.rejected += lines.length;
    for (const { line, reason } of lines) this.#rejects.add(line, `line ${line}: ${reason}`);
    append(
      this.#rejectsFile,
      lines.map(({ line, reason }) => JSON.stringify({ line, reason })),
    );
  }

  fail(events: readonly InputEvent[], reason: string): void {
    const [first, last] = [events[0]?.line ?? 0, events.at(-1)?.line ?? 0];
    this.failed += events.length;
    const lines = first === last ? `line ${first}` : `lines ${first} to ${last}`;
    this.#failures.add(first, `${lines} failed: ${reason}`);
    append(
      this.#failedFile,
      events.map((event) => event.text),
    );
  }

  /** `stoppedAtLine` is the first line of which nothing was sent, where the end of the input was not reached. */
  summary(seconds: number, stoppedAtLine: number | undefined): string {
    const rows: [string, number | string][] = [
      ["sent", this.sent],
      ["accepted", this.accepted],
      ["rejected", this.rejected],
      ["failed", this.failed],
      ["retried requests", this.retries],
      ["seconds", seconds.toFixed(3)],
      ["events/s", Math.round(this.accepted / Math.max(seconds, 0.001))],
    ];
    const text = rows.map(([name, value]) => `${name.padEnd(18)}${value}`);
    if (stoppedAtLine !== undefined)
      text.push(`stopped at line ${stoppedAtLine}: nothing from there on was sent`);
    text.push(...this.#failures.shown("batches"), ...this.#rejects.shown("lines"));
    // What a terminal would obey is not for a file's content to say.
    return text.map((line) => `${line.replaceAll(/\p{Cc}/gu, "�")}\n`).join("");
  }
}

/** Batches end in any order; the first ones of the input are the ones to show. */
class FirstLines {
  #all = 0;
  #first: { readonly line: number; readonly text: string }[] = [];

  add(line: number, text: string): void {
    this.#all += 1;
    if (this.#first.length === SHOWN && line > (this.#first.at(-1)?.line ?? 0)) return;
    this.#first.push({ line, text });
    this.#first.sort((a, b) => a.line - b.line);
    this.#first.splice(SHOWN);
  }

  shown(noun: string): string[] {
    const more = this.#all - this.#first.length;
    return [...this.#first.map(({ text }) => text), ...(more === 0 ? [] : [`and ${more} more ${noun}`])];
  }
}

function append(file: number | undefined, lines: readonly string[]): void {
  if (file !== undefined && lines.length > 0) appendFileSync(file, `${lines.join("\n")}\n`);
}
