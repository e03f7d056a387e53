import type { FastifyInstance } from "fastify";
import { setTimeout } from "node:timers/promises";
import type { Emit } from "./signals.ts";

/** A role in motion. `run` ends by itself only when it cannot go on. */
export interface Actor {
  readonly name: string;
  run(stop: AbortSignal): Promise<void>;
}

/**
 * Runs actors together until `stop`: the first to end stops the others. Resolves when all have ended; rejects with the first
 * failure, or when some have not ended within `drainTimeoutMs` of the stop.
 */
export async function runActors(
  actors: readonly Actor[],
  stop: AbortController,
  drainTimeoutMs: number,
): Promise<void> {
  const failures: unknown[] = [];
  const running = new Map(
    actors.map((actor) => {
      const ended = actor
        .run(stop.signal)
        .catch((error: unknown) => failures.push(error))
        .finally(() => {
          running.delete(actor.name);
          stop.abort();
        });
      return [actor.name, ended] as const;
    }),
  );
  const all = Promise.all(running.values());
  const aborted = Promise.withResolvers<void>();
  stop.signal.addEventListener("abort", () => aborted.resolve(), { once: true });
  if (stop.signal.aborted) aborted.resolve();
  await aborted.promise;
  const deadline = new AbortController();
  await Promise.race([all, setTimeout(drainTimeoutMs, undefined, { signal: deadline.signal, ref: false })]);
  deadline.abort();
  if (failures.length > 0) throw failures[0];
  if (running.size > 0) {
    throw new Error(`not drained within ${drainTimeoutMs} ms: ${Array.from(running.keys()).join(", ")}`);
  }
}

/** A server as an actor: listens until told to stop, then answers what is in hand and closes. */
export function serverActor(
  name: string,
  server: FastifyInstance,
  at: { readonly host: string; readonly port: number },
  emit: Emit,
): Actor {
  return {
    name,
    async run(stop) {
      const address = await server.listen(at);
      emit("role.started", { role: name, address });
      if (!stop.aborted) {
        await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
      }
      await server.close();
      emit("role.stopped", { role: name });
    },
  };
}
