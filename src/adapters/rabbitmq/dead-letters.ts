import type { ProjectionName } from "../../domain/projection.ts";
import type { DeadLetter, DeadLetters, Drop } from "../../ports/broker.ts";
import { type Address, answered, openConnection, unavailable } from "./connection.ts";
import { deadLetterOf } from "./message.ts";
import type { ConfirmingPublisher } from "./publisher.ts";
import { DEFAULT_EXCHANGE, deadQueueOf, declareTopology } from "./topology.ts";

interface Found {
  readonly letter: DeadLetter;
  /** Takes it out of the queue. */
  readonly remove: () => void;
}

/** Dead letters as a queue holds them: to look at one is to take all before it into hand, and to put them back at the end. */
export function deadLettersOf(address: Address, publisher: ConfirmingPublisher): DeadLetters {
  /** Each letter once, oldest first. What has not been removed is back in the queue when the caller stops asking. */
  async function* found(queue: ProjectionName): AsyncGenerator<Found> {
    const connection = await openConnection(address, `dead letters of ${queue}`).catch((error: unknown) => {
      throw unavailable(error);
    });
    try {
      await answered(declareTopology(connection.model));
      const channel = await connection.channel();
      const { messageCount } = await answered(channel.checkQueue(deadQueueOf(queue)));
      for (let seen = 0; seen < messageCount; seen += 1) {
        const message = await answered(channel.get(deadQueueOf(queue)));
        if (message === false) return;
        yield { letter: deadLetterOf(queue, message), remove: () => channel.ack(message) };
      }
    } catch (error) {
      throw unavailable(error);
    } finally {
      await connection.close();
    }
  }

  return {
    async *list(queue) {
      for await (const { letter } of found(queue)) yield letter;
    },
    async replay(queue, letters) {
      const wanted = new Map(letters.map((letter) => [letter.id, letter]));
      let replayed = 0;
      for await (const { letter, remove } of found(queue)) {
        const replay = wanted.get(letter.id);
        if (replay === undefined) continue;
        const message = { ...letter.message, ...replay.repaired };
        await publisher.publish(message, { exchange: DEFAULT_EXCHANGE, routingKey: queue });
        remove();
        replayed += 1;
      }
      return replayed;
    },
    async drop(queue, letters) {
      // Those that died of the same bytes in the same second are as good as each other, and counted.
      const wanted = new Map<string, number>();
      for (const letter of letters) wanted.set(keyOf(letter), 1 + (wanted.get(keyOf(letter)) ?? 0));
      let dropped = 0;
      for await (const { letter, remove } of found(queue)) {
        const left = wanted.get(keyOf(letter)) ?? 0;
        if (left === 0) continue;
        remove();
        wanted.set(keyOf(letter), left - 1);
        dropped += 1;
      }
      return dropped;
    },
  };
}

const keyOf = ({ id, deadAtMs }: Drop): string => `${deadAtMs} ${id}`;
