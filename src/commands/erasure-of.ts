import { erasedAlso } from "../domain/erasure.ts";
import type { Erasure, QueueErasure, ViewErasure } from "../ports/erasure.ts";

const QUEUES_LEFT =
  "the message broker's own files keep what has left a queue until it has written them anew: see docs/erasing.md";

/** The erasure of an install whose broker and store are services of their own. */
export function erasureOf(queues: QueueErasure, views: ViewErasure): Erasure {
  return {
    async round(username, waitMs) {
      const { erased, ...others } = await queues.round(username, waitMs, views.isBegun);
      // Only now: of two copies of a message, one may have been counted before it was rewritten.
      return { erased: erasedAlso(erased, await views.erase(username)), ...others };
    },
    purge: async () => [QUEUES_LEFT, ...(await views.purge())],
    holding: async (texts) => [...queues.holding(), ...(await views.holding(texts))],
    proof: "no message in a queue and no document of the store holds the name",
    async [Symbol.asyncDispose]() {
      await Promise.all([queues[Symbol.asyncDispose](), views[Symbol.asyncDispose]()]);
    },
  };
}
