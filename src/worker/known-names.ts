import type { ChangeStore } from "../ports/store.ts";

/**
 * A store that remembers up to `max` usernames and when they were first seen, and is not asked again about one that is
 * known to be no later. The oldest known is forgotten first.
 */
export function withKnownNames(store: ChangeStore, max: number): ChangeStore {
  const known = new Map<string, number>();
  return {
    claim: (claim, nowMs) => store.claim(claim, nowMs),
    async apply(change, nowMs) {
      if (change.projection !== "accountName") return store.apply(change, nowMs);
      const sightings = change.sightings.filter(
        ({ username, firstSeenMs }) => firstSeenMs < (known.get(username) ?? Number.POSITIVE_INFINITY),
      );
      if (sightings.length === 0) return;
      await store.apply({ ...change, sightings }, nowMs);
      for (const { username, firstSeenMs } of sightings) {
        known.set(username, Math.min(firstSeenMs, known.get(username) ?? firstSeenMs));
      }
      for (const username of known.keys()) {
        if (known.size <= max) break;
        known.delete(username);
      }
    },
  };
}
