import type { Observation, Reason } from "../decide.ts";
import type { Remembered } from "./memory.ts";
import { isBound } from "./throughput.ts";

/** Replicas are ready before RabbitMQ's figures show their consumers: by up to three of its readings. */
const UNCONSUMED_SECONDS = 15;
/** Dead letters among the last messages that are no accident. */
const DEAD_SHARE = 0.5;
const DEAD_LEAST = 10;

/** Why more replicas would be of no use, if so. The first replica is never refused: without it nothing is ever known. */
export function holdOf(memory: Remembered, { nowMs, replicas }: Observation): Reason | undefined {
  if (replicas.ready === 0) return undefined;
  const { unconsumedSinceMs } = memory;
  if (unconsumedSinceMs !== undefined && nowMs - unconsumedSinceMs >= UNCONSUMED_SECONDS * 1000) {
    return "NoConsumers";
  }
  if (memory.dead >= DEAD_LEAST && memory.dead >= memory.done * DEAD_SHARE) return "DeadLetters";
  return isBound(memory) ? "StoreBound" : undefined;
}

/** Since when replicas are ready, something is to do, and nobody consumes the queue. */
export function withConsumers(memory: Remembered, { nowMs, queue, replicas }: Observation): Remembered {
  const unconsumed =
    queue !== undefined &&
    queue.consumers === 0 &&
    replicas.ready > 0 &&
    queue.ready + queue.unacknowledged > 0;
  return { ...memory, unconsumedSinceMs: unconsumed ? (memory.unconsumedSinceMs ?? nowMs) : undefined };
}
