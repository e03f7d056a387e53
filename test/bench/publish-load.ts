import { randomUUIDv7 } from "node:crypto";
import { connect } from "amqplib";
import { propertiesOf } from "../../src/adapters/rabbitmq/message.ts";
import { declareTopology, EXCHANGE } from "../../src/adapters/rabbitmq/topology.ts";
import type { Message } from "../../src/domain/envelope.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { batchBodies, bodiesFor } from "./bodies.ts";
import type { LoadResult, PublishLoad } from "./load.ts";
import { messageOf } from "./messages.ts";
import { quantilesOf } from "./quantiles.ts";

/**
 * Publishes the collector's messages to the collector's exchange and queues with nothing but amqplib, and waits for the
 * confirms. Nobody consumes them; they are deleted afterwards.
 */
export async function publishLoad({ url, batch, unconfirmed, seconds }: PublishLoad): Promise<LoadResult> {
  const messages = batchBodies(Math.max(8, bodiesFor(batch)), batch).map((body) =>
    messageOf(body, Date.now()),
  );
  const model = await connect(url, { noDelay: true });
  await declareTopology(model);
  const channel = await model.createConfirmChannel();
  const latencies: number[] = [];
  let sent = 0;
  let nacked = 0;
  const begun = performance.now();
  const deadline = begun + seconds * 1000;

  async function drive(): Promise<void> {
    while (performance.now() < deadline) {
      const message = messages[sent++ % messages.length] as Message;
      const options = { ...propertiesOf({ ...message, id: randomUUIDv7() }), headers: {} };
      const at = performance.now();
      const error = await new Promise((confirmed) => {
        channel.publish(EXCHANGE, "", bufferOf(message), options, confirmed);
      });
      if (error === null) latencies.push(performance.now() - at);
      else nacked += 1;
    }
  }
  await Promise.all(Array.from({ length: unconfirmed }, drive));

  const took = (performance.now() - begun) / 1000;
  for (const queue of projectionNames) await channel.purgeQueue(queue);
  await model.close();
  return {
    seconds: took,
    requests: latencies.length,
    events: latencies.length * batch,
    ...quantilesOf(latencies),
    refusals: nacked === 0 ? {} : { nack: nacked },
  };
}

/** The same bytes as amqplib wants them. */
function bufferOf({ body }: Message): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
