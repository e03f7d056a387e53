/** @import { Snapshot } from "../snapshot.ts" */

/** The longest that a chart shows. */
const KEEP_MS = 10 * 60_000;

/** The snapshots of the last ten minutes, in the order of their time, each once. */
export class History {
  /** @type {Snapshot[]} */
  #snapshots = [];

  /** @returns {Snapshot | undefined} */
  get last() {
    return this.#snapshots.at(-1);
  }

  /** @param {readonly Snapshot[]} more in the order of their time */
  add(more) {
    for (const snapshot of more) {
      const { last } = this;
      if (last === undefined || snapshot.atMs > last.atMs) this.#snapshots.push(snapshot);
    }
    const until = (this.last?.atMs ?? 0) - KEEP_MS;
    const first = this.#snapshots.findIndex(({ atMs }) => atMs >= until);
    if (first > 0) this.#snapshots.splice(0, first);
  }

  /**
   * @param {number} atMs
   * @returns {readonly Snapshot[]} those of this instant and later
   */
  since(atMs) {
    return this.#snapshots.filter((snapshot) => snapshot.atMs >= atMs);
  }
}
