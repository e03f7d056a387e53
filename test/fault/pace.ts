/** Lets many senders share one allowance of events, so that they work in bursts and a run has a known size. */
export class Pace {
  #left = 0;
  #waiting: (() => void)[] = [];
  #open = false;

  /** Adds to the allowance and wakes whoever waits for it. */
  grant(events: number): void {
    this.#left += events;
    this.#wake();
  }

  /** Waits for nothing any more. */
  release(): void {
    this.#open = true;
    this.#wake();
  }

  /** Resolves when there is some allowance. What is then taken may overdraw it. */
  async turn(): Promise<void> {
    while (this.#left <= 0 && !this.#open) await new Promise<void>((wake) => this.#waiting.push(wake));
  }

  take(events: number): void {
    this.#left -= events;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
