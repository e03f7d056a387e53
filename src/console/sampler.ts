import { setTimeout } from "node:timers/promises";
import { decisionsOf, snapshotOf } from "./figures.ts";
import type { Processes } from "./processes.ts";
import type { DecisionLog, Snapshot } from "./snapshot.ts";

/** One sample as text: it is the same for all who watch. */
export interface Sample {
  readonly snapshot: string;
  readonly decisions: string;
}
export interface SamplerParts {
  readonly processes: Processes;
  readonly hasOperator: boolean;
  /** Is told of a defect: then nothing more is sampled until somebody begins to watch. */
  readonly failed: (error: unknown) => void;
}

/** From one sample to the next, in milliseconds. */
const PERIOD_MS = 1000;
/** Snapshots that are kept for those who begin to watch. */
const KEPT = 120;

/** Samples once a second while anybody watches, once for all of them, and rests while nobody does. */
export class Sampler {
  readonly #parts: SamplerParts;
  readonly #watching = new Set<(sample: Sample) => void>();
  #history: string[] = [];
  #decisions: string | undefined;
  #running = new AbortController();

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    this.#running.abort();
  }

  /** The last snapshots, oldest first, as a list in JSON. */
  get history(): string {
    return `[${this.#history.join(",")}]`;
  }

  /** Undefined until there is a sample. */
  get decisions(): string | undefined {
    return this.#decisions;
  }

  get isAtRest(): boolean {
    return this.#running.signal.aborted;
  }

  /** Begins anew where it was at rest: what was before is forgotten. */
  watch(watcher: (sample: Sample) => void): void {
    this.#watching.add(watcher);
    if (!this.isAtRest) return;
    this.#history = [];
    this.#decisions = undefined;
    this.#parts.processes.forget();
    this.#running = new AbortController();
    const running = this.#running;
    this.#run(running.signal).catch((error: unknown) => {
      running.abort();
      this.#parts.failed(error);
    });
  }

  unwatch(watcher: (sample: Sample) => void): void {
    this.#watching.delete(watcher);
    if (this.#watching.size === 0) this.#running.abort();
  }

  async #run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const begunMs = performance.now();
      const sample = await this.#sample(stop);
      if (stop.aborted) return;
      this.#history = [...this.#history, sample.snapshot].slice(-KEPT);
      this.#decisions = sample.decisions;
      for (const tell of this.#watching) tell(sample);
      const restMs = Math.max(0, begunMs + PERIOD_MS - performance.now());
      await setTimeout(restMs, undefined, { signal: stop }).catch(() => {});
    }
  }

  async #sample(stop: AbortSignal): Promise<Sample> {
    const { processes, hasOperator } = this.#parts;
    const observed = await processes.observe(stop);
    return {
      snapshot: encoded(snapshotOf(Date.now(), observed)),
      decisions: encoded(decisionsOf(observed, hasOperator)),
    };
  }
}

const encoded = (told: Snapshot | DecisionLog): string => JSON.stringify(told);
