import type { Clock } from "../src/ports/clock.ts";

/** Keys to be worked on, each once however often it was added, and by one worker at a time. */
export interface WorkQueue {
  /** Due at once, or after `delayMs`; the earlier time wins. A key that is being worked on comes again afterwards. */
  add(key: string, delayMs?: number): void;
  /** Forgets the key, also its failures. */
  remove(key: string): void;
  /** How many are due, and how late the first of them is. */
  depth(): { readonly due: number; readonly lateMs: number };
  /**
   * Works on what is due until `stop`, `workers` at a time; then waits for what is in hand. `lateMs` is how long after it was due
   * the work begins. `work` resolves to the time until the key is due again, undefined for never; where it rejects, the key
   * comes again after a delay that doubles with each failure in a row, with jitter.
   */
  run(
    work: (key: string, lateMs: number) => Promise<{ readonly againInMs: number | undefined }>,
    stop: AbortSignal,
  ): Promise<void>;
}

export interface WorkQueueSettings {
  readonly clock: Clock;
  /** Keys that are worked on at a time. */
  readonly workers: number;
  /** Delay after the first failure. 1 s by default. */
  readonly firstRetryMs?: number;
  /** Longest delay after a failure. 60 s by default. */
  readonly longestRetryMs?: number;
}

interface Entry {
  readonly key: string;
  /** Undefined while nothing is to be done. */
  dueMs: number | undefined;
  working: boolean;
  /** Forgotten while it was worked on: what that comes to does not count. */
  forgotten: boolean;
  failures: number;
}

/** When an entry was due as it was put in; it may be due at another time by now. */
interface Slot {
  readonly dueMs: number;
  /** Of those that are due at the same time, the first to come is the first to go. */
  readonly order: number;
  readonly entry: Entry;
}

/** Longest sleep, in milliseconds; one that is due earlier ends it. */
const IDLE_MS = 60_000;

export function createWorkQueue(settings: WorkQueueSettings): WorkQueue {
  const { clock, workers, firstRetryMs = 1000, longestRetryMs = 60_000 } = settings;
  const entries = new Map<string, Entry>();
  const slots = new Heap();
  let order = 0;
  /** Ends the sleep that `run` is in, if it is. */
  let wake: (() => void) | undefined;
  const wakeUp = () => wake?.();

  const dueAt = (entry: Entry, dueMs: number): void => {
    if (entry.dueMs !== undefined && entry.dueMs <= dueMs) return;
    entry.dueMs = dueMs;
    if (entry.working) return;
    slots.push({ dueMs, order: (order += 1), entry });
    if (slots.first?.entry === entry) wake?.();
  };

  /** The first that is to be worked on; the slots of earlier intents before it are taken out. */
  const next = (): Slot | undefined => {
    for (let slot = slots.first; slot !== undefined; slot = slots.first) {
      const { dueMs, entry } = slot;
      if (entries.get(entry.key) === entry && !entry.working && entry.dueMs === dueMs) return slot;
      slots.pop();
    }
    return undefined;
  };

  const backoffMs = (failures: number): number =>
    Math.min(longestRetryMs, firstRetryMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);

  const settle = (entry: Entry, againInMs: number | undefined): void => {
    entry.working = false;
    const addedMs = entry.dueMs;
    entry.dueMs = undefined;
    if (!entry.forgotten && againInMs !== undefined) dueAt(entry, clock.now() + againInMs);
    if (addedMs !== undefined) dueAt(entry, addedMs);
    entry.forgotten = false;
    if (entry.dueMs === undefined) entries.delete(entry.key);
  };

  return {
    add(key, delayMs = 0) {
      const entry = entries.get(key) ?? {
        key,
        dueMs: undefined,
        working: false,
        forgotten: false,
        failures: 0,
      };
      entries.set(key, entry);
      dueAt(entry, clock.now() + delayMs);
    },
    remove(key) {
      const entry = entries.get(key);
      if (entry === undefined) return;
      entry.failures = 0;
      entry.dueMs = undefined;
      // What is in hand keeps its place, so that no other worker takes the key meanwhile.
      if (entry.working) entry.forgotten = true;
      else entries.delete(key);
    },
    depth() {
      const nowMs = clock.now();
      const late = Array.from(entries.values(), ({ dueMs, working }) =>
        dueMs === undefined || working ? -1 : nowMs - dueMs,
      ).filter((lateMs) => lateMs >= 0);
      return { due: late.length, lateMs: late.reduce((most, lateMs) => Math.max(most, lateMs), 0) };
    },
    async run(work, stop) {
      const inHand = new Set<Promise<void>>();
      stop.addEventListener("abort", wakeUp);

      const take = async ({ entry, dueMs }: Slot): Promise<void> => {
        let againInMs: number | undefined;
        try {
          ({ againInMs } = await work(entry.key, Math.max(0, clock.now() - dueMs)));
          entry.failures = 0;
        } catch {
          if (!entry.forgotten) entry.failures += 1;
          againInMs = backoffMs(Math.max(1, entry.failures));
        }
        settle(entry, againInMs);
      };

      while (!stop.aborted) {
        const slot = inHand.size < workers ? next() : undefined;
        const waitMs = slot === undefined ? IDLE_MS : slot.dueMs - clock.now();
        if (slot !== undefined && waitMs <= 0) {
          slots.pop();
          slot.entry.working = true;
          slot.entry.dueMs = undefined;
          const taken = take(slot).finally(() => {
            inHand.delete(taken);
            wake?.();
          });
          inHand.add(taken);
        } else {
          const awake = new AbortController();
          wake = () => awake.abort();
          await clock.sleep(Math.min(waitMs, IDLE_MS), awake.signal);
        }
      }
      stop.removeEventListener("abort", wakeUp);
      await Promise.all(inHand);
    },
  };
}

/** A binary heap: the slot that is due first is on top. */
class Heap {
  readonly #slots: Slot[] = [];

  get first(): Slot | undefined {
    return this.#slots[0];
  }

  push(slot: Slot): void {
    let at = this.#slots.push(slot) - 1;
    for (let above = (at - 1) >> 1; at > 0 && this.#isBefore(at, above); above = (at - 1) >> 1) {
      this.#swap(at, above);
      at = above;
    }
  }

  pop(): void {
    const last = this.#slots.pop();
    if (last === undefined || this.#slots.length === 0) return;
    this.#slots[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const below = this.#isBefore(right, left) ? right : left;
      if (!this.#isBefore(below, at)) return;
      this.#swap(at, below);
      at = below;
    }
  }

  /** Nothing is before another that is not there. */
  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#slots[one], this.#slots[other]];
    if (a === undefined) return false;
    return b === undefined || a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#slots[one], this.#slots[other]];
    if (a === undefined || b === undefined) return;
    this.#slots[one] = b;
    this.#slots[other] = a;
  }
}
