import { erasedAlso } from "../domain/erasure.ts";
import { MillraceError } from "../errors.ts";
import type { Erasure, QueueErasure, ViewErasure } from "../ports/erasure.ts";

const QUEUES_LEFT =
  "the message broker's own files keep what has left a queue until it has written them anew: see docs/erasing.md";

/** Of two copies of a message that one cut short has left, workers could store parts that do not fit each other. */
const NO_WORKER = "start no worker before `millrace erase` has run to its end: see docs/erasing.md";

function untilItEnds(error: unknown): unknown {
  if (!(error instanceof MillraceError)) return error;
  const { code, detail } = error;
  return new MillraceError(code, detail === undefined ? NO_WORKER : `${detail}; ${NO_WORKER}`, {
    cause: error,
  });
}

/** The erasure of an install whose broker and store are services of their own. */
export function erasureOf(queues: QueueErasure, views: ViewErasure): Erasure {
  return {
    async round(username, waitMs) {
      try {
        const { erased, ...others } = await queues.round(username, waitMs, views.isBegun);
        // Only now: of two copies of a message, one may have been counted before it was rewritten.
        return { erased: erasedAlso(erased, await views.erase(username)), ...others };
      } catch (error) {
        throw untilItEnds(error);
      }
    },
    purge: async () => [QUEUES_LEFT, ...(await views.purge())],
    holding: async (texts) => [...queues.holding(), ...(await views.holding(texts))],
    proof: "no message in a queue and no document of the store holds the name",
    async [Symbol.asyncDispose]() {
      await Promise.all([queues[Symbol.asyncDispose](), views[Symbol.asyncDispose]()]);
    },
  };
}
