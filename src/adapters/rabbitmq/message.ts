import type { Message as AmqpMessage, Options } from "amqplib";
import { createHash, randomUUID } from "node:crypto";
import type { Message } from "../../domain/envelope.ts";
import { LATEST_MS } from "../../domain/instant.ts";
import type { ProjectionName } from "../../domain/projection.ts";
import { traceContextOf } from "../../domain/trace-context.ts";
import type { DeadLetter } from "../../ports/broker.ts";

/** Headers of our own. RabbitMQ counts in `x-delivery-count` what came back to a queue, and tells in `x-death` why it left one. */
const ATTEMPTS = "x-millrace-attempts";
const REASON = "x-millrace-reason";
const DEAD_AT = "x-millrace-dead-at";

/** Longest reason in a header, in UTF-16 code units: all headers must fit into a frame. */
const REASON_MAX = 4096;

export function propertiesOf(
  { id, contentType, trace }: Message,
  ownHeaders: Readonly<Record<string, unknown>> = {},
): Options.Publish {
  const { traceparent, tracestate } = trace ?? {};
  const headers =
    traceparent === undefined
      ? ownHeaders
      : { ...ownHeaders, traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
  return { messageId: id, contentType, persistent: true, mandatory: true, headers };
}

/** For a message that is to be delivered again after so many attempts. */
export function retryHeaders(attempts: number): Readonly<Record<string, unknown>> {
  return { [ATTEMPTS]: attempts };
}

export function deadHeaders(
  reason: string,
  attempts: number,
  deadAtMs: number,
): Readonly<Record<string, unknown>> {
  return {
    [REASON]: reason.slice(0, REASON_MAX).toWellFormed(),
    [ATTEMPTS]: attempts,
    [DEAD_AT]: deadAtMs,
  };
}

/**
 * A delivered message. One that came without an id is given one for this delivery alone: should it be delivered again, nobody
 * can tell that it is the same, and it may be counted again. Producers that want more give their messages ids.
 */
export function messageOf({ properties, content }: AmqpMessage): Message {
  const { traceparent, tracestate } = headersOf(properties);
  return {
    id: idOf(properties) ?? randomUUID(),
    contentType: contentTypeOf(properties),
    body: content,
    trace: traceContextOf(traceparent, tracestate),
  };
}

/** Tries before this one, over all that the message was put back, and one. */
export function attemptOf({ properties }: AmqpMessage): number {
  return 1 + numberIn(properties, ATTEMPTS, 0) + numberIn(properties, "x-delivery-count", 0);
}

/** One that RabbitMQ itself gave up may have no id: it is named by its bytes, and again given one for each delivery alone. */
export function deadLetterOf(queue: ProjectionName, amqpMessage: AmqpMessage): DeadLetter {
  const { properties, content } = amqpMessage;
  const death = deathOf(properties);
  const reason = headersOf(properties)[REASON];
  return {
    id: idOf(properties) ?? createHash("sha256").update(content).digest("hex"),
    queue,
    message: messageOf(amqpMessage),
    reason: typeof reason === "string" ? reason : `RabbitMQ gave it up: ${death.reason}`,
    attempts: numberIn(properties, ATTEMPTS, death.count),
    deadAtMs: Math.min(LATEST_MS, numberIn(properties, DEAD_AT, death.atMs)),
  };
}

/** The latest entry that RabbitMQ itself wrote when it moved a message to the dead letters. */
function deathOf(properties: AmqpMessage["properties"]): {
  readonly reason: string;
  readonly count: number;
  readonly atMs: number;
} {
  const deaths: unknown = headersOf(properties)["x-death"];
  const death: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  const entry = typeof death === "object" && death !== null ? (death as Record<string, unknown>) : {};
  const { reason, time } = entry;
  // amqplib decodes a timestamp as { "!": "timestamp", value: seconds }.
  const seconds = typeof time === "object" && time !== null && "value" in time ? Number(time.value) : 0;
  return {
    reason: typeof reason === "string" ? reason : "for an unknown reason",
    count: numberIn(properties, "x-delivery-count", 1),
    atMs: seconds * 1000,
  };
}

function headersOf(properties: AmqpMessage["properties"]): Readonly<Record<string, unknown>> {
  return properties.headers ?? {};
}

function numberIn(properties: AmqpMessage["properties"], header: string, absent: number): number {
  const value = headersOf(properties)[header];
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : absent;
}

function idOf(properties: AmqpMessage["properties"]): string | undefined {
  const id: unknown = properties.messageId;
  return typeof id === "string" && id !== "" ? id : undefined;
}

function contentTypeOf(properties: AmqpMessage["properties"]): string {
  const contentType: unknown = properties.contentType;
  return typeof contentType === "string" ? contentType : "";
}
