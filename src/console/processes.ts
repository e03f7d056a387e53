import { setTimeout } from "node:timers/promises";
import type { Observed } from "./figures.ts";
import type { Read, Reading } from "./reading.ts";
import type { Addresses, Place } from "./sources.ts";

/** Longest time that one reading may take, in milliseconds. */
const READ_TIMEOUT_MS = 2000;
/** Readings at a time. */
const MAX_READS = 16;
/** How long an observation waits for processes that answered last time, in milliseconds: a slow one is told as it was. */
const PATIENCE_MS = 500;
/** One that could not be read is left in peace for so long, in milliseconds. */
const AFTER_FAULT_MS = 3000;

/** All processes, each read at its own pace: one that is slow or dead holds nobody up. */
export class Processes {
  readonly #addresses: Addresses;
  readonly #readOf: (place: Place) => Read;
  readonly #own: readonly Process[];
  readonly #turns = new Turns(MAX_READS);
  #processes = new Map<string, Process>();

  /** `own` is this process, read without a network; undefined where its address is among the others. */
  constructor(parts: {
    readonly addresses: Addresses;
    readonly readOf: (place: Place) => Read;
    readonly own: { readonly place: Place; readonly read: Read } | undefined;
  }) {
    this.#addresses = parts.addresses;
    this.#readOf = parts.readOf;
    this.#own = parts.own === undefined ? [] : [new Process(parts.own.place, parts.own.read)];
  }

  /** All of them as of now; never rejects. */
  async observe(stop: AbortSignal): Promise<readonly Observed[]> {
    await within(PATIENCE_MS, this.#addresses.refresh(performance.now()), stop);
    const places = this.#addresses.places();
    this.#processes = new Map(
      places.map((place) => {
        const key = `${place.role} ${place.address}`;
        return [key, this.#processes.get(key) ?? new Process(place, this.#readOf(place))] as const;
      }),
    );
    const all = [...this.#own, ...this.#processes.values()];
    const awaited = all.flatMap((one) => {
      const wasWell = one.isWell;
      const reading = one.read(this.#turns, stop);
      return wasWell ? [reading] : [];
    });
    await within(PATIENCE_MS, Promise.all(awaited), stop);
    const absent = this.#addresses
      .absences()
      .map((one) => ({ ...one, reading: undefined, before: undefined }));
    return [...all.map((one) => one.observed()), ...absent];
  }

  /** Forgets all readings: after a pause a rate would be that of the pause. */
  forget(): void {
    for (const one of [...this.#own, ...this.#processes.values()]) one.forget();
  }
}

class Process {
  readonly #place: Place;
  readonly #read: Read;
  #reading: Reading | undefined;
  #before: Reading | undefined;
  #fault: string | undefined;
  #inHand: Promise<void> | undefined;
  #notBeforeMs = 0;

  constructor(place: Place, read: Read) {
    this.#place = place;
    this.#read = read;
  }

  get isWell(): boolean {
    return this.#fault === undefined;
  }

  /** Begins a reading unless one is in hand or it is too early. Resolves when it has ended; never rejects. */
  read(turns: Turns, stop: AbortSignal): Promise<void> {
    if (this.#inHand === undefined && performance.now() >= this.#notBeforeMs) {
      this.#inHand = turns
        .take(() => this.#try(stop))
        .finally(() => {
          this.#inHand = undefined;
        });
    }
    return this.#inHand ?? Promise.resolve();
  }

  observed(): Observed {
    const { role, host, address } = this.#place;
    const fault = this.#fault ?? (this.#reading === undefined ? "it has not answered yet" : undefined);
    return { role, host, address, fault, reading: this.#reading, before: this.#before };
  }

  forget(): void {
    this.#reading = this.#before = this.#fault = undefined;
    this.#notBeforeMs = 0;
  }

  async #try(stop: AbortSignal): Promise<void> {
    if (stop.aborted) return;
    const timeout = AbortSignal.timeout(READ_TIMEOUT_MS);
    const late = new Promise<never>((_, reject) =>
      timeout.addEventListener("abort", () => reject(new Error(`no answer within ${READ_TIMEOUT_MS} ms`)), {
        once: true,
      }),
    );
    try {
      const told = await Promise.race([this.#read(AbortSignal.any([stop, timeout])), late]);
      if (stop.aborted) return;
      this.#before = this.#reading;
      this.#reading = { ...told, atMs: performance.now() };
      this.#fault = undefined;
    } catch (error) {
      if (stop.aborted) return;
      this.#reading = this.#before = undefined;
      this.#fault = timeout.aborted ? `no answer within ${READ_TIMEOUT_MS} ms` : reasonOf(error);
      this.#notBeforeMs = performance.now() + AFTER_FAULT_MS;
    }
  }
}

/** At most so many at a time; the others wait their turn. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(most: number) {
    this.#free = most;
  }

  async take(work: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}

/** The innermost reason: fetch says only that it failed. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}

/** Waits for the work, at most so long. */
async function within(ms: number, work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, stop]);
  await Promise.race([work, setTimeout(ms, undefined, { signal }).catch(() => {})]);
  done.abort();
}
