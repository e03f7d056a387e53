import type { Random } from "./random.ts";

/**
 * How the client means an event. `sure` is posted until it is acknowledged; `maybe` is given up when an outcome is unknown,
 * so it may count once or never; `bad` is invalid and must be refused.
 */
export type Intent = "sure" | "maybe" | "bad";
export type State = "open" | "acknowledged" | "unknown" | "refused";

/** An event of the run. Its username is its own, so a view that counts by user counts this event alone. */
export interface Posted {
  readonly intent: Intent;
  readonly username: string;
  readonly metric: string;
  readonly count: number;
  /** The timestamp that was sent, in milliseconds since 1970. */
  readonly atMs: number | undefined;
  /** What the client sends; valid unless the intent is `bad`. */
  readonly body: Readonly<Record<string, unknown>>;
  state: State;
}

/** Events that share a metric: few enough to find a fault, many enough to keep the totals short. */
const METRIC_EVENTS = 500;

/** Every event of a run and what became of it. */
export class Ledger {
  readonly #random: Random;
  readonly #run: string;
  readonly #events = new Map<string, Posted>();
  /** Those acknowledged that may be posted again. */
  readonly #repeatable: Posted[] = [];
  #acknowledged = 0;
  #refused = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#run = random.integer(0, 2 ** 32 - 1).toString(36);
  }

  create(intent: Intent): Posted {
    const number = this.#events.size;
    const username = `${intent}-${this.#run}-${number}`;
    const metric = `${intent}-${Math.floor(number / METRIC_EVENTS)}`;
    const count = this.#random.integer(-1_000_000, 1_000_000);
    const atMs = this.#random.chance(0.5) ? Date.now() - this.#random.integer(0, 60_000) : undefined;
    const valid = {
      username,
      metric,
      count,
      // Of those that are posted once, half have nothing to be known by but the message that they travel in.
      ...(intent === "maybe" && this.#random.chance(0.5) ? {} : { id: `id-${username}` }),
      ...(atMs === undefined ? {} : { timestamp: this.#random.chance(0.5) ? atMs : instant(atMs) }),
    };
    const body = intent === "bad" ? { ...valid, ...this.#random.pick(spoilers) } : valid;
    const posted: Posted = { intent, username, metric, count, atMs, body, state: "open" };
    this.#events.set(username, posted);
    return posted;
  }

  acknowledge(posted: Posted): void {
    if (posted.state === "acknowledged") return;
    posted.state = "acknowledged";
    this.#acknowledged += 1;
    if ("id" in posted.body) this.#repeatable.push(posted);
  }

  refuse(posted: Posted): void {
    if (posted.state !== "refused") this.#refused += 1;
    posted.state = "refused";
  }

  /** One that was acknowledged before, mostly of late; undefined at first. */
  acknowledgedBefore(): Posted | undefined {
    const back = this.#random.skewed(1, Math.max(1, this.#repeatable.length));
    return this.#repeatable[this.#repeatable.length - back];
  }

  find(username: string): Posted | undefined {
    return this.#events.get(username);
  }

  all(): IterableIterator<Posted> {
    return this.#events.values();
  }

  get size(): number {
    return this.#events.size;
  }
  get acknowledged(): number {
    return this.#acknowledged;
  }
  get refused(): number {
    return this.#refused;
  }
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** Each makes a valid event invalid; undefined leaves the field out of the JSON. */
const spoilers: readonly [Record<string, unknown>, ...Record<string, unknown>[]] = [
  { count: 1.5 },
  { count: "7" },
  { count: undefined },
  { count: null },
  { count: 2 ** 53 },
  { metric: undefined },
  { metric: "" },
  { metric: ["bad"] },
  { username: 7 },
  { username: "bad-".padEnd(300, "-") },
  { username: "bad-\0" },
  { colour: "green" },
  { timestamp: "yesterday" },
  { timestamp: "2999-01-01T00:00:00Z" },
];
