import { randomUUIDv7 } from "node:crypto";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedBroker } from "../../src/adapters/embedded/broker.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import type { Message } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { ProjectionName } from "../../src/domain/projection.ts";
import type { Broker } from "../../src/ports/broker.ts";
import type { ChangeStore } from "../../src/ports/store.ts";
import { runWorker } from "../../src/worker/worker.ts";

const projections = { accountName, distinctName, hourlyLog };

export const openBroker = (dataDir: string): Broker =>
  openEmbeddedBroker({ dataDir, backlogMaxBytes: 2 ** 32, confirmTimeoutMs: 10_000 }, systemClock);

/** Publishes these and has real workers of these queues settle as many deliveries each. */
export async function workOff(
  broker: Broker,
  store: ChangeStore,
  messages: readonly Message[],
  queues: readonly ProjectionName[],
): Promise<void> {
  for (const message of messages) await broker.publish(message);
  await Promise.all(queues.map((queue) => work(broker, store, queue, messages.length)));
}

/** A real worker of this queue, until it has settled so many deliveries. */
export async function work(
  broker: Broker,
  store: ChangeStore,
  queue: ProjectionName,
  deliveries: number,
): Promise<void> {
  const stop = new AbortController();
  let settled = 0;
  const emit = (name: string) => {
    if (name === "delivery.settled") settled += 1;
    if (settled >= deliveries) stop.abort();
  };
  const parts = { consumer: broker, store, projection: projections[queue], clock: systemClock, emit };
  await runWorker(parts, { prefetch: 4, maxAttempts: 3, retryDelayMs: 1 }, stop.signal);
}

/** A message that no worker can read. */
export const rubbish = (contentType: string, body: string | Uint8Array): Message => ({
  id: randomUUIDv7(),
  contentType,
  body: Buffer.from(body),
});
