import { MillraceError } from "../../errors.ts";
import type { Broker } from "../../ports/broker.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Emit } from "../../signals.ts";
import { backlogsIn, managementOf } from "./backlog.ts";
import type { Address } from "./connection.ts";
import { QueueConsumer } from "./consumer.ts";
import { deadLettersOf } from "./dead-letters.ts";
import { ConfirmingPublisher, type PublisherSettings } from "./publisher.ts";
import { EXCHANGE } from "./topology.ts";

export interface RabbitmqSettings extends PublisherSettings {
  readonly brokerUrl: string;
  readonly certificates?: Address["certificates"];
  /** Empty where it is at its usual place. */
  readonly brokerManagementUrl: string;
}

/** RabbitMQ 3.10 to 4.x. Returns at once: it connects in the background, and again whenever a connection is lost. */
export function openRabbitmqBroker(settings: RabbitmqSettings, clock: Clock, emit: Emit): Broker {
  const { brokerUrl, brokerManagementUrl, certificates } = settings;
  const address: Address = { url: brokerUrl, certificates };
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const parts = { address, clock, emit, onMismatch: (error: MillraceError) => ended.reject(error) };
  const publisher = new ConfirmingPublisher(settings, parts);
  const consumers = new Set<QueueConsumer>();

  return {
    publish: (message) => publisher.publish(message, { exchange: EXCHANGE, routingKey: "" }),
    async consume(from, take) {
      const consumer = new QueueConsumer({ ...parts, publisher }, from, take);
      consumers.add(consumer);
      try {
        await Promise.race([consumer.run(from.stop), ended.promise]);
      } finally {
        consumers.delete(consumer);
      }
    },
    backlog: backlogsIn(managementOf(address, brokerManagementUrl)),
    async ready() {
      await publisher.ready();
      for (const consumer of consumers) await consumer.ready();
    },
    ended: ended.promise,
    deadLetters: deadLettersOf(address, publisher),
    async [Symbol.asyncDispose]() {
      ended.reject(new MillraceError("BROKER_UNAVAILABLE", "the broker is closed"));
      await Promise.all(Array.from(consumers, (consumer) => consumer.close()));
      await publisher.close();
    },
  };
}
