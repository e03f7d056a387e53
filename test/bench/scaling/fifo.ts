/** Messages that are ready, each by the time when it was published; those that are given back go first. */
export class Fifo {
  readonly #published: Float64Array;
  #head = 0;
  #tail = 0;
  readonly #givenBack: number[] = [];

  constructor(capacity: number) {
    this.#published = new Float64Array(capacity + 1);
  }

  get size(): number {
    return this.#tail - this.#head + this.#givenBack.length;
  }

  push(at: number): void {
    this.#published[this.#tail++] = at;
  }

  pop(): number {
    return this.#givenBack.pop() ?? this.#published[this.#head++] ?? 0;
  }

  giveBack(messages: readonly number[]): void {
    this.#givenBack.push(...messages);
    this.#givenBack.sort((a, b) => b - a);
  }
}
