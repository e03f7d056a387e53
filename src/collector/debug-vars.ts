const WINDOW = 256;

/** The figures of GET /debug/vars, spelt as the original system spelt them. Times in seconds. */
export interface DebugVars {
  readonly serverMetrics: {
    readonly requests: { readonly total: number; readonly failed: number; readonly successfull: number };
    readonly responseTimes: { readonly minimum: number; readonly maximum: number; readonly average: number };
  };
}

/** Counts requests; the average is over the last 256, minimum and maximum over all. */
export class RequestFigures {
  readonly #last = new Float64Array(WINDOW);
  #failed = 0;
  #successful = 0;
  #minimum = Number.POSITIVE_INFINITY;
  #maximum = 0;

  add(status: number, seconds: number): void {
    this.#last[(this.#failed + this.#successful) % WINDOW] = seconds;
    if (status < 400) this.#successful += 1;
    else this.#failed += 1;
    this.#minimum = Math.min(this.#minimum, seconds);
    this.#maximum = Math.max(this.#maximum, seconds);
  }

  /** All times are 0 before the first request: JSON has no infinity. */
  vars(): DebugVars {
    const total = this.#failed + this.#successful;
    const sum = this.#last.reduce((a, b) => a + b, 0);
    const average = total === 0 ? 0 : sum / Math.min(total, WINDOW);
    const minimum = total === 0 ? 0 : this.#minimum;
    return {
      serverMetrics: {
        requests: { total, failed: this.#failed, successfull: this.#successful },
        responseTimes: { minimum, maximum: this.#maximum, average },
      },
    };
  }
}
