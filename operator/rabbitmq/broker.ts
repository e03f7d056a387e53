import type { BrokerAddress, QueueId, Reading } from "../broker-figures.ts";
import { type Census, censusOf } from "./answers.ts";
import { FiguresError } from "./fault.ts";
import { keyOf, type Look, type Looking, lookAt, refused, type Wanted } from "./look.ts";
import { type Management, notUnderstood, openManagement } from "./management.ts";
import { resample, type Sample } from "./resample.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Emit } from "../../src/signals.ts";

export interface BrokerSettings {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Longest wait for all the answers of one look, in milliseconds. */
  readonly timeoutMs: number;
}

/** A queue that nobody has asked about for so long is forgotten. */
export const FORGET_MS = 5 * 60_000;
/** What a broker says of itself is asked for anew after this time. */
const CENSUS_MS = 60_000;
/** First wait after a failure, and the longest: it doubles with each in a row, and up to a half of it is left to chance. */
const RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;
/** A failure that is older is no answer, and who asks then waits for a new one. */
const FAILURE_MS = 15_000;

interface Failure {
  readonly error: FiguresError;
  readonly atMs: number;
  readonly retryAtMs: number;
  /** In a row. */
  readonly count: number;
}

/** One broker as one user sees it. All who ask share its looks, of which there is one at a time. */
export class Broker implements Disposable {
  readonly #looking: Omit<Looking, "deadline">;
  readonly #management: Management;
  readonly #settings: BrokerSettings;
  /** By `keyOf`, with when each was last asked about. */
  readonly #wanted = new Map<string, Wanted & { readonly askedMs: number }>();
  readonly #samples = new Map<string, Sample>();
  #census: { readonly of: Census; readonly atMs: number } | undefined;
  #look: Look | undefined;
  #failure: Failure | undefined;
  #looks: Promise<void> | undefined;
  #askedMs: number;

  constructor(address: BrokerAddress, settings: BrokerSettings) {
    this.#management = openManagement(address, settings);
    this.#looking = { management: this.#management, url: address.url, username: address.username };
    this.#settings = settings;
    this.#askedMs = settings.clock.now();
  }

  /** Nobody has asked for long. */
  get isForgotten(): boolean {
    return this.#looks === undefined && !this.#isWithin(this.#askedMs, FORGET_MS);
  }

  async read(id: QueueId, maxAgeMs: number): Promise<Reading> {
    this.#want(id);
    if (this.#failure !== undefined && this.#isWithin(this.#failure.atMs, FAILURE_MS)) {
      // Whoever asks while the broker is away has the failure at once, and one of them has it looked for again.
      if (this.#settings.clock.now() >= this.#failure.retryAtMs) void this.#lookOnce();
      return failed(this.#failure.error, this.#failure.atMs);
    }
    const known =
      this.#look !== undefined && this.#isWithin(this.#look.atMs, maxAgeMs) ? this.#answer(id) : undefined;
    if (known !== undefined) return known;
    // The look that is under way may have begun before this queue was wanted; then it takes the next one.
    for (let looks = 0; looks < 2; looks += 1) {
      await this.#lookOnce();
      if (this.#failure !== undefined) return failed(this.#failure.error, this.#failure.atMs);
      const answer = this.#answer(id);
      if (answer !== undefined) return answer;
    }
    const { url } = this.#looking;
    return failed(notUnderstood(url, `tells nothing of queue ${id.name}`), this.#settings.clock.now());
  }

  [Symbol.dispose](): void {
    this.#management[Symbol.dispose]();
  }

  /** Also false for a time that is still to come, because the clock was set back. */
  #isWithin(atMs: number, ageMs: number): boolean {
    const since = this.#settings.clock.now() - atMs;
    return since >= 0 && since <= ageMs;
  }

  #want({ vhost, name, deadLetterQueue }: QueueId): void {
    const askedMs = this.#settings.clock.now();
    this.#askedMs = askedMs;
    const queue = { vhost, name, optional: false, askedMs };
    this.#wanted.set(keyOf(queue), queue);
    const key = keyOf({ vhost, name: deadLetterQueue });
    // Another scaler may have it as its queue.
    const optional = this.#wanted.get(key)?.optional !== false;
    this.#wanted.set(key, { vhost, name: deadLetterQueue, optional, askedMs });
  }

  /** Undefined where the look does not cover the queue. */
  #answer(id: QueueId): Reading | undefined {
    const look = this.#look;
    const key = keyOf(id);
    const dead = keyOf({ vhost: id.vhost, name: id.deadLetterQueue });
    if (look === undefined) return undefined;
    const { atMs, counts, rows, faults } = look;
    const fault = faults.get(key);
    if (fault !== undefined) return failed(fault, atMs);
    const row = rows.get(key);
    if (row?.ready === undefined || row.unacknowledged === undefined || !look.tells(dead)) return undefined;
    const { ready, unacknowledged, consumers, totals } = row;
    const raw = { ready, unacknowledged, consumers, totals, counts };
    const sample = resample(this.#samples.get(key), raw, atMs);
    this.#samples.set(key, sample);
    const letters = rows.get(dead);
    const deadLetters =
      letters?.ready === undefined ? undefined : letters.ready + (letters.unacknowledged ?? 0);
    return { ok: true, at: atMs, figures: { ...sample.figures, deadLetters } };
  }

  /** Joins the look that is under way. Never rejects. */
  #lookOnce(): Promise<void> {
    this.#looks ??= this.#lookNow().finally(() => {
      this.#looks = undefined;
    });
    return this.#looks;
  }

  async #lookNow(): Promise<void> {
    this.#forget();
    const { clock, timeoutMs } = this.#settings;
    const looking = { ...this.#looking, deadline: AbortSignal.timeout(timeoutMs) };
    try {
      const census = await this.#censusNow(looking);
      const look = await lookAt(looking, census, new Map(this.#wanted));
      this.#look = { ...look, atMs: clock.now() };
      this.#failure = undefined;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const unknown = () => new FiguresError("NotUnderstood", `RabbitMQ's answer cannot be read: ${why}`);
      this.#fail(error instanceof FiguresError ? error : unknown());
    }
  }

  async #censusNow(looking: Looking): Promise<Census> {
    if (this.#census !== undefined && this.#isWithin(this.#census.atMs, CENSUS_MS)) return this.#census.of;
    const path = "overview?columns=rates_mode,disable_stats,object_totals.queues";
    const answer = await looking.management.ask(
      { verb: "get", resource: "overview", path },
      looking.deadline,
    );
    if (answer.kind === "refused") throw refused(looking.url, looking.username, answer.reason);
    const of = answer.kind === "found" ? censusOf(answer.body) : undefined;
    if (of === undefined) throw notUnderstood(looking.url, "does not answer as RabbitMQ's management does");
    this.#census = { of, atMs: this.#settings.clock.now() };
    return of;
  }

  #fail(error: FiguresError): void {
    const count = (this.#failure?.count ?? 0) + 1;
    const atMs = this.#settings.clock.now();
    const waitMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (count - 1)) * (0.5 + Math.random() / 2);
    this.#failure = { error, atMs, retryAtMs: atMs + waitMs, count };
    this.#census = undefined;
    this.#look = undefined;
  }

  #forget(): void {
    for (const [key, { askedMs }] of this.#wanted) {
      if (this.#isWithin(askedMs, FORGET_MS)) continue;
      this.#wanted.delete(key);
      this.#samples.delete(key);
    }
  }
}

function failed({ fault, message }: FiguresError, atMs: number): Reading {
  return { ok: false, at: atMs, fault, message };
}
