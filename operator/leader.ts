import { ClusterError } from "./cluster.ts";
import type { Clock } from "../src/ports/clock.ts";

/** As it is in the cluster; times in milliseconds since 1970. */
export interface Lease {
  /** Empty where its holder has given it up. */
  readonly holder: string;
  readonly durationMs: number;
  readonly renewedAtMs: number;
  readonly transitions: number;
  readonly resourceVersion: string;
}

/** The one Lease of the operator. Both methods reject with a ClusterError; a write that lost a race with `Conflict`. */
export interface LeaseStore {
  read(): Promise<Lease | undefined>;
  /** Creates it where `resourceVersion` is undefined, else replaces the one of that version. */
  write(lease: Omit<Lease, "resourceVersion"> & { readonly resourceVersion?: string }): Promise<Lease>;
}

export interface LeaderSettings {
  readonly identity: string;
  /** A lease not renewed for so long is another's to take. 12 s in the operator. */
  readonly leaseDurationMs: number;
  /** A leader that could not renew for so long stops leading. 8 s there. */
  readonly renewDeadlineMs: number;
  /** Time between two tries. 1 s there. */
  readonly retryPeriodMs: number;
}

/** Candidates who lost a race try again after up to so many periods more, by chance: as in client-go. */
const JITTER = 1.2;
/** A lease that was given up lasts no longer. */
const GIVEN_UP_MS = 1000;

/** Why the signal that `lead` is given was aborted, where the lease was lost: another may lead already. */
export const LEASE_LOST = "the lease is lost";

/**
 * Waits to become the leader, then runs `lead` until `stop`, and gives the lease up. Ends by itself, with a rejection, when
 * the lease was lost: the process is to end, so that nobody acts on what it believed. Also rejects, before it leads, when the
 * cluster does not let it have a lease at all. The signal that `lead` is given is aborted by `stop`, and once the lease is lost.
 *
 * The protocol is that of client-go (https://pkg.go.dev/k8s.io/client-go/tools/leaderelection): how long ago a lease was renewed is
 * judged by the time since this process saw it change, so the clocks of two machines are never compared. That there are no two
 * leaders rests on `renewDeadlineMs` being shorter than `leaseDurationMs`.
 */
export async function runAsLeader(
  leases: LeaseStore,
  settings: LeaderSettings,
  clock: Clock,
  lead: (stop: AbortSignal) => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  const candidate = new Candidate(leases, settings, clock);
  const acquiredAtMs = await candidate.acquire(stop);
  if (acquiredAtMs === undefined) return;
  if (stop.aborted) return candidate.giveUp();
  const over = new AbortController();
  const ended = new AbortController();
  const leading = lead(AbortSignal.any([stop, over.signal])).finally(() => ended.abort());
  const renewing = candidate.renew(acquiredAtMs, ended.signal);
  const isLost = await Promise.race([
    leading.then(
      () => false,
      () => false,
    ),
    renewing.then(
      () => false,
      () => true,
    ),
  ]);
  over.abort(isLost ? LEASE_LOST : undefined);
  if (isLost) {
    // What was begun under the lease is not waited for.
    leading.catch(() => {});
    return renewing;
  }
  await renewing.catch(() => {});
  await candidate.giveUp();
  return leading;
}

class Candidate {
  readonly #leases: LeaseStore;
  readonly #settings: LeaderSettings;
  readonly #clock: Clock;
  /** The lease as it was last seen, and when it was first seen like that. */
  #seen: { readonly lease: Lease; readonly atMs: number } | undefined;

  constructor(leases: LeaseStore, settings: LeaderSettings, clock: Clock) {
    this.#leases = leases;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Resolves to when the lease that it has now was asked for; to undefined if told to stop before. */
  async acquire(stop: AbortSignal): Promise<number | undefined> {
    const { retryPeriodMs } = this.#settings;
    while (!stop.aborted) {
      try {
        const atMs = await this.#tryToTake();
        // One that was granted so late may be another's by now.
        if (atMs !== undefined && this.#left(atMs) > 0) return atMs;
      } catch (error) {
        if (!isPassing(error)) throw error;
      }
      await this.#clock.sleep(retryPeriodMs * (1 + JITTER * Math.random()), stop);
    }
    return undefined;
  }

  /** Renews the lease until `stop`. Rejects when that could not be done in time, or another has it. */
  async renew(acquiredAtMs: number, stop: AbortSignal): Promise<void> {
    const { renewDeadlineMs, retryPeriodMs } = this.#settings;
    let renewedAtMs = acquiredAtMs;
    let last: unknown;
    while (!stop.aborted) {
      await this.#clock.sleep(Math.min(retryPeriodMs, this.#left(renewedAtMs)), stop);
      if (stop.aborted) return;
      if (this.#left(renewedAtMs) > 0) {
        // One that hangs leaves time for another.
        const tryMs = Math.min(this.#left(renewedAtMs), renewDeadlineMs / 2);
        const outcome = await this.#within(tryMs, this.#tryToRenew());
        if (outcome.kind === "renewed") renewedAtMs = outcome.atMs;
        if (outcome.kind === "taken") throw lost(`${outcome.holder} has taken the lease`);
        if (outcome.kind === "failed") last = outcome.error;
      }
      if (this.#left(renewedAtMs) <= 0) {
        throw lost(`the lease could not be renewed within ${renewDeadlineMs / 1000} seconds`, last);
      }
    }
  }

  /** So that a successor need not wait until it has run out. Where that cannot be written it runs out. */
  async giveUp(): Promise<void> {
    const lease = this.#seen?.lease;
    if (lease?.holder !== this.#settings.identity) return;
    const given = { ...lease, holder: "", durationMs: GIVEN_UP_MS, renewedAtMs: this.#clock.now() };
    await this.#within(
      this.#settings.renewDeadlineMs,
      this.#leases.write(given).then(
        () => renewedAt(0),
        (error: unknown) => failed(error),
      ),
    );
  }

  #left(renewedAtMs: number): number {
    return renewedAtMs + this.#settings.renewDeadlineMs - this.#clock.now();
  }

  /** Resolves to when it was asked for, or to undefined where it is another's still. */
  async #tryToTake(): Promise<number | undefined> {
    const lease = await this.#read();
    // One that somebody has deleted holds as long as it would have: its holder may not have noticed yet.
    const known = this.#seen;
    if (known !== undefined && this.#isAnothers(known.lease)) {
      const durationMs = known.lease.durationMs || this.#settings.leaseDurationMs;
      if (this.#clock.now() < known.atMs + durationMs) return undefined;
    }
    return this.#write(lease);
  }

  async #tryToRenew(): Promise<Outcome> {
    try {
      return renewedAt(await this.#write(this.#seen?.lease));
    } catch (error) {
      const passed = error instanceof ClusterError && ["Conflict", "NotFound"].includes(error.fault);
      if (!passed) return failed(error);
    }
    try {
      // It may be the answer to our own last write that was lost.
      const lease = await this.#read();
      if (lease === undefined || !this.#isAnothers(lease)) return renewedAt(await this.#write(lease));
      return { kind: "taken", holder: lease.holder };
    } catch (error) {
      return failed(error);
    }
  }

  #isAnothers({ holder }: Lease): boolean {
    return holder !== "" && holder !== this.#settings.identity;
  }

  async #read(): Promise<Lease | undefined> {
    const lease = await this.#leases.read();
    if (lease !== undefined && lease.resourceVersion !== this.#seen?.lease.resourceVersion) {
      this.#seen = { lease, atMs: this.#clock.now() };
    }
    return lease;
  }

  /** Resolves to when it was asked for: from then on it holds at least. */
  async #write(before: Lease | undefined): Promise<number> {
    const { identity, leaseDurationMs } = this.#settings;
    const atMs = this.#clock.now();
    const taken = before === undefined || before.holder === identity ? 0 : 1;
    const lease = await this.#leases.write({
      holder: identity,
      durationMs: leaseDurationMs,
      renewedAtMs: atMs,
      transitions: (before?.transitions ?? 0) + taken,
      ...(before === undefined ? {} : { resourceVersion: before.resourceVersion }),
    });
    this.#seen = { lease, atMs };
    return atMs;
  }

  /** What it comes to within the time; afterwards it is left to itself. */
  async #within(ms: number, outcome: Promise<Outcome>): Promise<Outcome> {
    const done = new AbortController();
    const late = this.#clock.sleep(ms, done.signal).then(() => failed(new Error("there was no answer")));
    try {
      return await Promise.race([outcome, late]);
    } finally {
      done.abort();
    }
  }
}

type Outcome =
  | { readonly kind: "renewed"; readonly atMs: number }
  | { readonly kind: "taken"; readonly holder: string }
  | { readonly kind: "failed"; readonly error: unknown };

const renewedAt = (atMs: number): Outcome => ({ kind: "renewed", atMs });
const failed = (error: unknown): Outcome => ({ kind: "failed", error });

function lost(why: string, cause?: unknown): Error {
  const said = cause instanceof Error ? `: ${cause.message}` : "";
  return new Error(`this operator leads no more: ${why}${said}`, { cause });
}

/** Whether it may well go another time. */
function isPassing(error: unknown): boolean {
  return error instanceof ClusterError && (error.fault === "Conflict" || error.fault === "Unavailable");
}
