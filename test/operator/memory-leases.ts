import { ClusterError } from "../../operator/cluster.ts";
import type { Lease, LeaseStore } from "../../operator/leader.ts";
import type { Clock } from "../../src/ports/clock.ts";

/** What becomes of one request on its way; times in milliseconds. */
export interface Fate {
  readonly thereMs: number;
  readonly backMs: number;
  /** With `lostAnswer` it is done, and whoever asked hears of a failure. */
  readonly outcome: "answered" | "lostRequest" | "lostAnswer";
}

const AT_ONCE: Fate = { thereMs: 0, backMs: 0, outcome: "answered" };

/** A Lease in memory, with the versions of the API server's, that candidates reach by a network of their own. */
export class MemoryLeases {
  lease: Lease | undefined;
  #version = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param fates - asked for each request. */
  by(fates: () => Fate = () => AT_ONCE): LeaseStore {
    const pass = async <T>(request: () => T): Promise<T> => {
      const { thereMs, backMs, outcome } = fates();
      if (thereMs > 0) await this.#clock.sleep(thereMs);
      if (outcome === "lostRequest") throw new ClusterError("Unavailable", "the request was lost");
      const answer = request();
      if (backMs > 0) await this.#clock.sleep(backMs);
      if (outcome === "lostAnswer") throw new ClusterError("Unavailable", "the answer was lost");
      return answer;
    };
    return {
      read: () => pass(() => this.lease),
      write: (lease) =>
        pass(() => {
          if (lease.resourceVersion !== this.lease?.resourceVersion) {
            throw new ClusterError("Conflict", "the lease has changed meanwhile");
          }
          this.#version += 1;
          this.lease = { ...lease, resourceVersion: String(this.#version) };
          return this.lease;
        }),
    };
  }
}
