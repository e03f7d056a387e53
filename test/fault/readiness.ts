import { setTimeout as sleep } from "node:timers/promises";
import type { SupervisedProcess } from "./process.ts";

const PAUSE_MS = 500;

/** Asks every process again and again whether it is ready, for as long as this lives. */
export class ReadinessWatch implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #unreadySince = new Map<string, number>();
  readonly #longestMs = new Map<string, number>();
  readonly #watching: Promise<unknown>;

  constructor(processes: Iterable<SupervisedProcess>) {
    this.#watching = Promise.all(Array.from(processes, (one) => this.#watch(one)));
  }

  /** Those that are not ready now. */
  get unready(): readonly string[] {
    return Array.from(this.#unreadySince.keys());
  }

  /** The longest time in a row that each was not ready, in seconds. */
  longestSeconds(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Array.from(this.#longestMs, ([name, ms]) => [name, Math.round(ms / 100) / 10] as const),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }

  async #watch(one: SupervisedProcess): Promise<void> {
    const { name } = one;
    while (!this.#stop.signal.aborted) {
      const askedAt = performance.now();
      if ((await one.unready()) === undefined) this.#unreadySince.delete(name);
      else {
        const since = this.#unreadySince.get(name) ?? askedAt;
        this.#unreadySince.set(name, since);
        this.#longestMs.set(name, Math.max(this.#longestMs.get(name) ?? 0, performance.now() - since));
      }
      await sleep(PAUSE_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
