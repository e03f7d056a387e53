import { FORGOTTEN_WITHIN_MS } from "../domain/erasure.ts";
import type { ChangeStore } from "../ports/store.ts";

/**
 * A store that remembers up to `max` usernames and when they were first seen, and is not asked again about one that is
 * known to be no later. The oldest known is forgotten first; all are, soon after an erasure.
 */
export function withKnownNames(store: ChangeStore, max: number): ChangeStore {
  let known = new Map<string, number>();
  let erasures: number | undefined;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  async function forgetErased(nowMs: number): Promise<void> {
    // A clock may be set back.
    if (Math.abs(nowMs - lookedAtMs) < FORGOTTEN_WITHIN_MS) return;
    const seen = await store.erasures();
    lookedAtMs = nowMs;
    // A change that is being applied keeps the names of before, and tells them to nobody.
    if (seen !== erasures) known = new Map();
    erasures = seen;
  }

  return {
    claim: (claim, nowMs) => store.claim(claim, nowMs),
    erasures: () => store.erasures(),
    async apply(change, nowMs) {
      if (change.projection !== "accountName") return store.apply(change, nowMs);
      await forgetErased(nowMs);
      const names = known;
      const sightings = change.sightings.filter(
        ({ username, firstSeenMs }) => firstSeenMs < (names.get(username) ?? Number.POSITIVE_INFINITY),
      );
      if (sightings.length === 0) return;
      await store.apply({ ...change, sightings }, nowMs);
      for (const { username, firstSeenMs } of sightings) {
        names.set(username, Math.min(firstSeenMs, names.get(username) ?? firstSeenMs));
      }
      for (const username of names.keys()) {
        if (names.size <= max) break;
        names.delete(username);
      }
    },
  };
}
