import { randomUUIDv7 } from "node:crypto";
import { connect } from "amqplib";
import { expect, inject, test, vi } from "vitest";
import { startOtlpReceiver } from "../adapters/otlp-receiver.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { rabbitmqBroker } from "../contract/rabbitmq.ts";
import { traceOf } from "../flow/one-trace.ts";
import { startStandalone } from "../flow/standalone.ts";

const broker = inject("broker");
const store = inject("store");
const parent = "b7ad6b7169203331";
const ours = "0af7651916cd43dd8448eb211c80319c";
const theirs = "1bf7651916cd43dd8448eb211c80319d";
const soon = { timeout: 30_000, interval: 50 };

test.skipIf(broker === undefined || store === undefined)(
  "a trace goes through RabbitMQ to MongoDB, and so does that of another producer's message",
  async () => {
    if (broker === undefined || store === undefined) throw new Error("skipped");
    await using receiver = await startOtlpReceiver();
    await using rabbitmq = await rabbitmqBroker(broker);
    await using mongodb = await mongodbStore(store.url)();
    await using standalone = await startStandalone({
      environment: {
        MILLRACE_BROKER_URL: rabbitmq.brokerUrl,
        MILLRACE_BROKER_MANAGEMENT_URL: broker.managementUrl,
        MILLRACE_STORE_URL: mongodb.url,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_BSP_SCHEDULE_DELAY: "50",
      },
    });
    const response = await fetch(`${standalone.collectorUrl}/event`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent: `00-${ours}-${parent}-01` },
      body: JSON.stringify({ username: "ann", metric: "reads", count: 1 }),
    });
    expect(response.status).toBe(200);

    const connection = await connect(rabbitmq.brokerUrl);
    const channel = await connection.createConfirmChannel();
    const event = { username: "bob", metric: "reads", count: 1, timestamp: new Date().toISOString() };
    channel.publish("metric-collector", "", Buffer.from(JSON.stringify(event)), {
      contentType: "application/json",
      messageId: randomUUIDv7(),
      headers: { traceparent: `00-${theirs}-${parent}-01` },
    });
    await channel.waitForConfirms();
    await connection.close();

    const inWorkers = Object.fromEntries(
      ["accountName", "distinctName", "hourlyLog"].map((queue) => [
        `process ${queue}`,
        { "store apply": {} },
      ]),
    );
    const ofTrace = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId);
    await vi.waitFor(() => {
      expect(traceOf(ofTrace(ours), parent)).toEqual({
        "POST /event": { "publish metric-collector": inWorkers },
      });
      expect(traceOf(ofTrace(theirs), parent)).toEqual(inWorkers);
    }, soon);
    const systemsOf = (key: string) => new Set(receiver.spans.map(({ attributes }) => attributes[key]));
    expect(systemsOf("messaging.system")).toEqual(new Set([undefined, "rabbitmq"]));
    expect(systemsOf("db.system.name")).toEqual(new Set([undefined, "mongodb"]));
  },
);
