import type { FastifyReply } from "fastify";
import { MillraceError } from "../errors.ts";
import type { KeyHolder } from "../http/keys.ts";

const DAY_MS = 86_400_000;

/** The events of each key's UTC day that this process has taken; a restart begins anew. */
export class DailyQuota {
  readonly #taken = new Map<string, number>();
  #day = 0;

  /**
   * Counts the events before they are published. Answers how to take that back where they are not taken.
   * @throws MillraceError QUOTA_EXCEEDED where they are more than what is left; then none of them counts.
   */
  take(
    holder: KeyHolder | undefined,
    events: number,
    { nowMs, reply }: { readonly nowMs: number; readonly reply: FastifyReply },
  ): () => void {
    if (holder === undefined || holder.eventsPerDay === 0) return () => {};
    const { name, eventsPerDay } = holder;
    const day = Math.floor(nowMs / DAY_MS);
    if (day !== this.#day) this.#taken.clear();
    this.#day = day;
    const before = this.#taken.get(name) ?? 0;
    const left = Math.max(0, eventsPerDay - before);
    if (events > left) {
      const seconds = Math.ceil(((day + 1) * DAY_MS - nowMs) / 1000);
      void reply.headers({
        "retry-after": seconds,
        "ratelimit-limit": eventsPerDay,
        "ratelimit-remaining": left,
        "ratelimit-reset": seconds,
      });
      const detail = `${left} of ${eventsPerDay} events are left for this UTC day, and these are ${events}`;
      throw new MillraceError("QUOTA_EXCEEDED", detail);
    }
    this.#taken.set(name, before + events);
    return () => {
      const now = this.#taken.get(name);
      if (this.#day === day && now !== undefined) this.#taken.set(name, Math.max(0, now - events));
    };
  }
}
