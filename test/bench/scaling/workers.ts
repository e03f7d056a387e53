import { type Chance, normal } from "./chance.ts";
import type { Fifo } from "./fifo.ts";
import type { Model } from "./model.ts";

interface Worker {
  state: "starting" | "ready" | "draining" | "gone";
  readonly readyAt: number;
  /** Its rate, as a share of the mean worker's. */
  readonly factor: number;
  /** A ring of the messages in its hands, by the time when they were published. */
  readonly hands: Float64Array;
  first: number;
  count: number;
  /** Work that it has done of the message in hand, and how much that is; 1 on average. */
  progress: number;
  work: number;
  endsAt: number;
  killedAt: number;
}

/** Totals that a broker would tell. */
export interface Totals {
  delivered: number;
  acknowledged: number;
  redelivered: number;
  unacknowledged: number;
}

/**
 * Workers in pods: starting, then ready, then draining. A pod that is removed finishes the message in its hands and gives the
 * others back. Starting ones are removed first, then the youngest, as a ReplicaSet does.
 */
export class Workers {
  readonly #model: Model;
  readonly #queue: Fifo;
  readonly #starts: Chance;
  readonly #chance: Chance;
  readonly #acknowledged: (publishedAt: number, now: number) => void;
  readonly totals: Totals = { delivered: 0, acknowledged: 0, redelivered: 0, unacknowledged: 0 };
  #workers: Worker[] = [];
  #next = 0;
  started = 0;

  constructor(parts: {
    readonly model: Model;
    readonly queue: Fifo;
    readonly starts: Chance;
    readonly work: Chance;
    readonly acknowledged: (publishedAt: number, now: number) => void;
  }) {
    this.#model = parts.model;
    this.#queue = parts.queue;
    this.#starts = parts.starts;
    this.#chance = parts.work;
    this.#acknowledged = parts.acknowledged;
  }

  /** Those that take time of a machine, the draining ones as well. */
  get pods(): number {
    return this.#workers.length;
  }
  get current(): number {
    return this.#live().length;
  }
  get ready(): number {
    return this.#workers.filter(({ state }) => state === "ready").length;
  }

  startAtOnce(count: number): void {
    for (let index = 0; index < count; index++) this.#workers.push(this.#worker(0));
  }

  scaleTo(wanted: number, now: number): void {
    const { leastStartSeconds, mostStartSeconds } = this.#model;
    const live = this.#live();
    for (let missing = wanted - live.length; missing > 0; missing--) {
      const readyAt = now + leastStartSeconds + (mostStartSeconds - leastStartSeconds) * this.#starts();
      this.started++;
      this.#workers.push(this.#worker(readyAt));
    }
    const order = live
      .map((worker, index) => ({ worker, index, isReady: worker.state === "ready" ? 1 : 0 }))
      .toSorted((a, b) => a.isReady - b.isReady || b.worker.readyAt - a.worker.readyAt || b.index - a.index);
    for (const { worker } of order.slice(0, Math.max(0, live.length - wanted))) this.#remove(worker, now);
    this.#workers = this.#workers.filter(({ state }) => state !== "gone");
  }

  /** One step of the simulation: work, end, and take what is ready, each in turn. */
  step(now: number, ratePerStep: number): void {
    for (const worker of this.#workers) {
      if (worker.state === "starting" && worker.readyAt <= now) worker.state = "ready";
      if (worker.state !== "starting") this.#work(worker, now, ratePerStep);
      if (worker.state === "draining") this.#end(worker, now);
    }
    this.#workers = this.#workers.filter(({ state }) => state !== "gone");
    const ready = this.#workers.filter(({ state }) => state === "ready");
    let free = ready.reduce((sum, { count }) => sum + this.#model.prefetch - count, 0);
    while (this.#queue.size > 0 && free > 0) {
      const worker = ready[this.#next++ % ready.length];
      if (worker === undefined || worker.count >= this.#model.prefetch) continue;
      worker.hands[(worker.first + worker.count++) % this.#model.prefetch] = this.#queue.pop();
      free--;
      this.totals.unacknowledged++;
      this.totals.delivered++;
    }
  }

  #live(): readonly Worker[] {
    return this.#workers.filter(({ state }) => state === "starting" || state === "ready");
  }

  #worker(readyAt: number): Worker {
    const { replicaSigma, prefetch } = this.#model;
    return {
      state: "starting",
      readyAt,
      factor: Math.exp(replicaSigma * normal(this.#chance) - replicaSigma ** 2 / 2),
      hands: new Float64Array(prefetch),
      first: 0,
      count: 0,
      progress: 0,
      work: this.#workOfMessage(),
      endsAt: Number.POSITIVE_INFINITY,
      killedAt: Number.POSITIVE_INFINITY,
    };
  }

  #workOfMessage(): number {
    const { messageSigma } = this.#model;
    return Math.exp(-(messageSigma ** 2) / 2 + messageSigma * normal(this.#chance));
  }

  #work(worker: Worker, now: number, ratePerStep: number): void {
    if (worker.count > 0) worker.progress += ratePerStep * worker.factor;
    while (worker.count > 0 && worker.progress >= worker.work) {
      worker.progress -= worker.work;
      worker.work = this.#workOfMessage();
      this.#acknowledged(worker.hands[worker.first] ?? 0, now);
      worker.first = (worker.first + 1) % this.#model.prefetch;
      worker.count--;
      this.totals.unacknowledged--;
      this.totals.acknowledged++;
    }
    if (worker.count === 0) worker.progress = 0;
  }

  #remove(worker: Worker, now: number): void {
    if (worker.state === "starting") {
      worker.state = "gone";
      return;
    }
    worker.state = "draining";
    this.#giveBack(worker, 1);
    if (worker.count === 0) worker.endsAt = now + this.#model.shutdownSeconds;
    worker.killedAt = now + this.#model.graceSeconds;
  }

  #end(worker: Worker, now: number): void {
    if (worker.count === 0 && worker.endsAt === Number.POSITIVE_INFINITY) {
      worker.endsAt = now + this.#model.shutdownSeconds;
    }
    if (now >= worker.killedAt && worker.count > 0) {
      this.#giveBack(worker, 0);
      worker.endsAt = now;
    }
    if (now >= worker.endsAt) worker.state = "gone";
  }

  #giveBack(worker: Worker, keep: number): void {
    const messages: number[] = [];
    while (worker.count > keep) {
      messages.push(worker.hands[(worker.first + --worker.count) % this.#model.prefetch] ?? 0);
      this.totals.unacknowledged--;
      this.totals.redelivered++;
    }
    this.#queue.giveBack(messages);
  }
}
