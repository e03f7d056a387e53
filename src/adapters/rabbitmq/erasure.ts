import type { Channel } from "amqplib";
import { countErased, nothingErased } from "../../domain/erasure.ts";
import { projectionNames } from "../../domain/projection.ts";
import { MillraceError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { QueueErasure } from "../../ports/erasure.ts";
import { inHandIn, managementOf } from "./backlog.ts";
import type { RabbitmqSettings } from "./broker.ts";
import { answered, openConnection, unavailable } from "./connection.ts";
import { ConfirmingPublisher } from "./publisher.ts";
import { type Rewriting, Rotation } from "./rotation.ts";
import { deadQueueOf, declareTopology, retryQueuesOf } from "./topology.ts";

const LOOK_MS = 500;
/** A retry waits for a minute at most; then its message is in the worker's queue. */
const RETRIES_MS = 75_000;
/** Longest wait until RabbitMQ has taken up our own acknowledgements: to a quorum queue, who has a message in hand is a consumer. */
const ACKS_MS = 10_000;
/** How old the management API's figures may be by default: it counts each 5 s what the queues tell it each 5 s. */
const FIGURES_MS = 11_000;

/** Longest wait for the figures of queues that were just made. */
const FIRST_FIGURES_MS = 30_000;

export interface RabbitmqErasureSettings extends RabbitmqSettings {
  readonly figuresMs?: number;
}

/**
 * Erases in the queues by going through each of them once a round: see rotation.ts. No worker may be at work meanwhile: nobody
 * can see what one has in hand.
 */
export function openRabbitmqErasure(settings: RabbitmqErasureSettings, clock: Clock): QueueErasure {
  const { brokerUrl, brokerManagementUrl, certificates, figuresMs = FIGURES_MS } = settings;
  const address = { url: brokerUrl, certificates };
  // A fault of its connection is told by each publish.
  const publisher = new ConfirmingPublisher(settings, {
    address,
    clock,
    emit: () => {},
    onMismatch: () => {},
  });
  const figures = inHandIn(managementOf(address, brokerManagementUrl));
  let holding: readonly string[] = [];

  async function askInHand(): Promise<number> {
    const until = clock.now() + FIRST_FIGURES_MS;
    for (;;) {
      const { count, unknown } = await figures();
      const [first] = unknown;
      if (first === undefined) return count;
      if (clock.now() >= until) {
        const detail = `the management API does not tell how many messages of ${first} are unacknowledged: statistics may be switched off`;
        throw new MillraceError("BROKER_UNAVAILABLE", detail);
      }
      await clock.sleep(LOOK_MS);
    }
  }

  /** By figures of after the last message was taken: who looks at dead letters has them in hand, and a retry may be on its way. */
  async function othersInHand(waitMs: number): Promise<number> {
    await clock.sleep(figuresMs);
    const until = clock.now() + waitMs;
    for (let found = await askInHand(); ; found = await askInHand()) {
      if (found === 0 || clock.now() >= until) return found;
      await clock.sleep(LOOK_MS);
    }
  }

  return {
    async round(username, waitMs, isBegun) {
      const connection = await openConnection(address, "erase").catch((error: unknown) => {
        throw unavailable(error);
      });
      try {
        await answered(declareTopology(connection.model));
        // It is needed at the end: that it is not there is told before anything is changed.
        await askInHand();
        const control = await connection.channel();
        await assertNoConsumer(control, clock, waitMs);
        await assertNoRetry(control, clock, RETRIES_MS);
        const begun = new Set<string>();
        const tooNew = new Set<string>();
        const rewriting: Rewriting = { username, isBegun, erased: { ...nothingErased }, begun, tooNew };
        const rotations = await Promise.all(
          projectionNames.map(async (queue) => {
            const channel = await connection.channel();
            const parts = { channel, publisher, rewriting, queue };
            // Dead letters first: who puts one back meanwhile puts it into a queue that is gone through later.
            const both = [deadQueueOf(queue), queue].map((name) => new Rotation(parts, name));
            for (const rotation of both) await rotation.run();
            return both;
          }),
        );
        // Where something was found, there will be another round anyway.
        let others = countErased(rewriting.erased) > 0 ? 0 : await othersInHand(waitMs);
        await assertNoConsumer(control, clock, ACKS_MS);
        await assertNoRetry(control, clock, 0);
        for (const rotation of rotations.flat()) others += await rotation.runReturned();
        holding = rotations.flat().flatMap(({ holds, name }) => (holds ? [`the queue ${name}`] : []));
        const inHand = begun.size + tooNew.size + others;
        return { erased: rewriting.erased, inHand, tooNew: tooNew.size };
      } catch (error) {
        throw unavailable(error);
      } finally {
        await connection.close();
      }
    },
    holding: () => holding,
    [Symbol.asyncDispose]: () => publisher.close(),
  };
}

type Queue = Awaited<ReturnType<Channel["checkQueue"]>>;

/** Waits until this is true of none of them. Resolves to the first of which it is true still. */
async function firstThat(
  names: readonly string[],
  is: (queue: Queue) => boolean,
  { channel, clock, waitMs }: { readonly channel: Channel; readonly clock: Clock; readonly waitMs: number },
): Promise<string | undefined> {
  const until = clock.now() + waitMs;
  for (;;) {
    let first: string | undefined;
    for (const name of names) {
      if (first === undefined && is(await answered(channel.checkQueue(name)))) first = name;
    }
    if (first === undefined || clock.now() >= until) return first;
    await clock.sleep(LOOK_MS);
  }
}

async function assertNoConsumer(channel: Channel, clock: Clock, waitMs: number): Promise<void> {
  const busy = await firstThat(projectionNames, ({ consumerCount }) => consumerCount > 0, {
    channel,
    clock,
    waitMs,
  });
  if (busy === undefined) return;
  throw new MillraceError(
    "BROKER_UNAVAILABLE",
    `a worker takes from the queue ${busy}: stop all workers until this has ended, then erase again (docs/erasing.md says how)`,
  );
}

async function assertNoRetry(channel: Channel, clock: Clock, waitMs: number): Promise<void> {
  const names = projectionNames.flatMap(retryQueuesOf);
  const full = await firstThat(names, ({ messageCount }) => messageCount > 0, { channel, clock, waitMs });
  if (full === undefined) return;
  throw new MillraceError(
    "BROKER_UNAVAILABLE",
    `the retries in ${full} do not come back into their queue: it may be at its length limit, or a worker is at work`,
  );
}
