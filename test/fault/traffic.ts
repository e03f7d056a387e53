import { setTimeout as sleep } from "node:timers/promises";
import { runClient, type Tally } from "./client.ts";
import { Ledger } from "./ledger.ts";
import { Pace } from "./pace.ts";
import type { Send } from "./post.ts";
import type { Random } from "./random.ts";

export interface TrafficOptions {
  readonly send: Send;
  readonly random: Random;
  /** To go on with; by default a new one. */
  readonly ledger?: Ledger;
  /** Clients, each with one job at a time. */
  readonly clients: number;
  readonly eventsPerSecond: number;
}

/** What the clients know of a run. */
export interface ClientFigures {
  readonly requests: number;
  readonly retried: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  readonly resent: number;
}

/** Clients at work from the start until `finish`, and the ledger of what they posted. */
export class Traffic {
  readonly ledger: Ledger;
  readonly #tally: Tally = { requests: 0, retried: 0, resent: 0, faults: [] };
  readonly #pace = new Pace();
  readonly #stop = new AbortController();
  readonly #deadline = new AbortController();
  readonly #surge: number;
  readonly #work: Promise<unknown>;

  constructor({ send, random, ledger, clients, eventsPerSecond }: TrafficOptions) {
    this.ledger = ledger ?? new Ledger(random);
    this.#surge = eventsPerSecond / 2;
    const parts = { send, ledger: this.ledger, random, pace: this.#pace };
    const until = { stop: this.#stop.signal, deadline: this.#deadline.signal };
    this.#work = Promise.all([
      this.#grant(eventsPerSecond),
      ...Array.from({ length: clients }, () => runClient(parts, this.#tally, until)),
    ]);
  }

  /** Lets loose half a second's worth of events beyond the allowance, so that many are in flight. */
  surge(): void {
    this.#pace.grant(this.#surge);
  }

  /** Begins no new job. Resolves once those in hand are done; what is not done after so long is given up. */
  async finish(graceMs: number): Promise<void> {
    this.#stop.abort();
    this.#pace.release();
    const late = setTimeout(() => this.#deadline.abort(), graceMs);
    await this.#work;
    clearTimeout(late);
  }

  /** Answers that break the contract, and events that nothing was said of to the end. */
  faults(): readonly string[] {
    const open = this.#inState("open").map((event) => `never answered: ${event.username}`);
    return [...this.#tally.faults, ...open];
  }

  figures(): ClientFigures {
    const { requests, retried, resent } = this.#tally;
    const { size, acknowledged, refused } = this.ledger;
    return {
      requests,
      retried,
      sent: size,
      acknowledged,
      refused,
      resent,
      unknown: this.#inState("unknown").length,
    };
  }

  line(): string {
    const { requests, retried } = this.#tally;
    const { size, acknowledged } = this.ledger;
    return `sent ${size}, acknowledged ${acknowledged}, requests ${requests}, retried ${retried}`;
  }

  #inState(state: string) {
    return Array.from(this.ledger.all()).filter((event) => event.state === state);
  }

  /** Hands out the allowance in bursts of a tenth to a whole second's worth. */
  async #grant(perSecond: number): Promise<void> {
    const stop = this.#stop.signal;
    for (let tenths = 1; !stop.aborted; tenths = (tenths % 10) + 1) {
      this.#pace.grant((perSecond * tenths) / 10);
      await sleep(tenths * 100, undefined, { signal: stop }).catch(() => undefined);
    }
  }
}
