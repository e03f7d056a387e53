import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../src/ports/clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until it is moved; those who sleep wake in the order of their times. */
export class HandClock implements Clock {
  #nowMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(nowMs = Date.parse("2026-11-24T12:00:00Z")) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  async sleep(ms: number, stop?: AbortSignal): Promise<void> {
    if (stop?.aborted === true) return;
    const awake = Promise.withResolvers<void>();
    const sleeper = { atMs: this.#nowMs + Math.max(0, ms), wake: () => awake.resolve() };
    this.#sleepers.add(sleeper);
    stop?.addEventListener("abort", sleeper.wake, { once: true });
    await awake.promise;
    this.#sleepers.delete(sleeper);
    stop?.removeEventListener("abort", sleeper.wake);
  }

  /** Moves it on, stopping at each time that somebody waits for. Resolves once nobody has anything to do before then. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await this.settle();
      const [first] = Array.from(this.#sleepers).toSorted((one, other) => one.atMs - other.atMs);
      if (first === undefined || first.atMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      this.#sleepers.delete(first);
      first.wake();
    }
    this.#nowMs = untilMs;
  }

  /** Resolves once whoever could go on has done so. */
  async settle(): Promise<void> {
    await turn();
    await turn();
  }
}

/** A clock that runs like the other, and is wrong by so many milliseconds. */
export function skewed(clock: Clock, byMs: number): Clock {
  return { now: () => clock.now() + byMs, sleep: (ms, stop) => clock.sleep(ms, stop) };
}
