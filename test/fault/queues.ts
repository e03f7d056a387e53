import { setTimeout as sleep } from "node:timers/promises";
import type { BrokerPart } from "../parts/parts.ts";

const DEAD = /\.dead$/;

/** Messages in each queue, delivered and not settled included, as rabbitmqctl tells. */
export async function messagesByQueue(broker: BrokerPart): Promise<ReadonlyMap<string, number>> {
  const text = await broker.ctl("list_queues", "--formatter", "json", "name", "messages");
  const rows = JSON.parse(text) as readonly { readonly name: string; readonly messages: number }[];
  return new Map(rows.map(({ name, messages }) => [name, messages]));
}

export interface QueueVerdict {
  readonly deadLetters: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
}

/** Waits until no message waits for a worker. What is left of them, and every dead letter, is a fault. */
export async function settledQueues(broker: BrokerPart, settleMs: number): Promise<QueueVerdict> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const all = Array.from(await messagesByQueue(broker));
    const left = all.filter(([name, messages]) => !DEAD.test(name) && messages > 0);
    if (left.length > 0 && Date.now() < deadline) {
      await sleep(500);
      continue;
    }
    const dead = all.filter(([name]) => DEAD.test(name));
    return {
      deadLetters: Object.fromEntries(dead),
      faults: [
        ...(dead.length === 3 ? [] : [`there are ${dead.length} queues of dead letters, and not 3`]),
        ...left.map(([name, messages]) => `${messages} messages are left in ${name}`),
        ...dead
          .filter(([, messages]) => messages > 0)
          .map(([name, messages]) => `${messages} letters in ${name}`),
      ],
    };
  }
}
