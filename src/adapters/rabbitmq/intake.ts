/** What a worker has in hand at a time, once decoded many times as large in its heap: at most so many bytes of bodies. */
const TAKEN_MAX_BYTES = 1024 * 1024;
/** What RabbitMQ has sent ahead, as bytes outside of the heap: about so many. */
const HELD_MAX_BYTES = 16 * 1024 * 1024;
/** The prefetch before any message's size is known. */
const FIRST_PREFETCH = 4;
/** Share of the newest message in the size that is taken for usual. */
const NEWEST = 0.2;

/**
 * RabbitMQ's prefetch counts messages, whatever their size. This hands them on, oldest first, while those in hand are few and
 * small enough (a larger one goes alone), and says what prefetch fits the sizes seen of late.
 */
export class Intake<T> {
  readonly #most: number;
  readonly #start: (item: T) => Promise<void>;
  #waiting: { readonly item: T; readonly bytes: number }[] = [];
  #taken = 0;
  #takenBytes = 0;
  #usualBytes: number | undefined;

  /**
   * @param most - items in hand at a time.
   * @param start - deals with one; the promise must not reject.
   */
  constructor(most: number, start: (item: T) => Promise<void>) {
    this.#most = most;
    this.#start = start;
  }

  add(item: T, bytes: number): void {
    this.#usualBytes = this.#usualBytes === undefined ? bytes : mixed(this.#usualBytes, bytes);
    this.#waiting.push({ item, bytes });
    this.#next();
  }

  /** Forgets what waits and is not `kept`. */
  keep(kept: (item: T) => boolean): void {
    this.#waiting = this.#waiting.filter(({ item }) => kept(item));
  }

  /** How many messages to be sent ahead; another than `current` only where it is far off. */
  prefetch(current = 0): number {
    const wanted =
      this.#usualBytes === undefined
        ? FIRST_PREFETCH
        : Math.floor(HELD_MAX_BYTES / Math.max(1, this.#usualBytes));
    const fitting = Math.min(this.#most, Math.max(1, wanted));
    const near = fitting < current * 2 && fitting > current / 2 && fitting !== this.#most;
    return near ? current : fitting;
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { item, bytes } = first;
      if (this.#taken >= this.#most) return;
      if (this.#taken > 0 && this.#takenBytes + bytes > TAKEN_MAX_BYTES) return;
      this.#waiting.shift();
      this.#taken += 1;
      this.#takenBytes += bytes;
      void this.#start(item).then(() => {
        this.#taken -= 1;
        this.#takenBytes -= bytes;
        this.#next();
      });
    }
  }
}

const mixed = (usual: number, newest: number): number => usual * (1 - NEWEST) + newest * NEWEST;
