import type { Options } from "amqplib";
import { decodeMessage, envelopeContentType } from "../../src/domain/envelope.ts";
import { type Random, seededRandom } from "../fault/random.ts";
import { inputOf } from "./decoder-inputs.ts";

/** What is published, and what it must come to. */
export interface Forged {
  readonly body: Buffer;
  readonly properties: Options.Publish;
  /** It holds one event, which the views must have. */
  readonly good: boolean;
  readonly username?: string;
  /** Of one that holds an envelope. */
  readonly envelopeId?: string;
}

export const GOOD_METRIC = "good among forged";
export const FORGED_METRIC = "forged";
const fields = ["username", "metric", "count", "at", "id"];

/** An envelope with the id of another's, and an event of its own. */
export function forgedId(id: string, nowMs: number): Forged {
  const events = [["user 0", FORGED_METRIC, 1, nowMs]];
  const body = Buffer.from(JSON.stringify({ schema: "millrace.envelope/1", id, fields, events }));
  return { body, properties: { contentType: envelopeContentType, messageId: "another" }, good: false };
}

/** Such as no message of ours has: other types, beyond every range, and what RabbitMQ itself would write. */
function forgedHeaders(random: Random): Record<string, unknown> {
  const values: readonly [unknown, ...unknown[]] = [
    -1,
    -(2 ** 31),
    2 ** 53,
    1e300,
    0.5,
    "20",
    "",
    true,
    null,
    [],
    [[[1]]],
    {},
    { "!": "timestamp", value: -1 },
    { "!": "timestamp", value: 2 ** 52 },
    Buffer.from("ff00", "hex"),
    "x".repeat(5000),
    "\u0000\u001b[2J",
    { __proto__: null, constructor: { prototype: { polluted: true } } },
  ];
  const names = [
    "x-millrace-attempts",
    "x-millrace-reason",
    "x-millrace-dead-at",
    "x-death",
    "x-first-death-queue",
    "traceparent",
    "tracestate",
    "__proto__x",
    "content-type",
  ] as const;
  const headers: Record<string, unknown> = {};
  for (let many = random.integer(0, 5); many > 0; many -= 1)
    headers[random.pick(names)] = random.pick(values);
  if (random.chance(0.2)) {
    headers["x-death"] = [
      {
        count: random.pick([-1, 2 ** 40]),
        reason: random.pick<unknown>(["rejected", 7]),
        queue: "accountName",
      },
    ];
  }
  if (random.chance(0.2))
    headers["traceparent"] = `00-${"a".repeat(32)}-${random.pick(["b".repeat(16), "0".repeat(16), "z"])}-01`;
  return headers;
}

function forgedProperties(random: Random): Options.Publish {
  return {
    persistent: random.chance(0.9),
    headers: forgedHeaders(random),
    ...(random.chance(0.3)
      ? { messageId: random.pick(["", "m", "\u{1f600}".repeat(60), "a\u0000b", "../../x"]) }
      : {}),
    ...(random.chance(0.2) ? { correlationId: "c", replyTo: "amq.gen-none", type: "t", appId: "other" } : {}),
    ...(random.chance(0.2) ? { priority: 9, timestamp: 2 ** 40 } : {}),
    ...(random.chance(0.2) ? { contentEncoding: "gzip" } : {}),
  };
}

/** The same for the same seed. About a third are good events, in forged properties like the others. */
export function forgedMessages(seed: number, messages: number, nowMs: number): readonly Forged[] {
  const random = seededRandom(seed);
  const all: Forged[] = [];
  for (let index = 0; all.length < messages; index += 1) {
    const properties = forgedProperties(random);
    if (random.chance(0.35)) all.push(goodOne(random, index, properties, nowMs));
    else {
      const { contentType, body } = inputOf(seed, index);
      all.push({
        body: unreadable(contentType, body),
        properties: { ...properties, contentType },
        good: false,
      });
    }
  }
  return all;
}

/** As it is where the decoder refuses it; what it reads would count, and is spoilt. */
function unreadable(contentType: string, body: Uint8Array): Buffer {
  const short = Buffer.from(body.subarray(0, 60_000));
  try {
    decodeMessage({ id: "1", contentType, body: short });
    return Buffer.concat([short, Buffer.from("\u0001")]);
  } catch {
    return short;
  }
}

function goodOne(random: Random, index: number, properties: Options.Publish, nowMs: number): Forged {
  const username = `user ${index % 50}`;
  const event = { username, metric: GOOD_METRIC, count: index };
  // A name of its own: one that others have is another message's, and its events would not count.
  const named = { ...properties, messageId: `good-${index}` };
  if (random.chance(0.5)) {
    // A producer may send more fields than are known.
    const body = { ...event, timestamp: nowMs, $where: "1", extra: { deep: [1] } };
    const contentType = "application/json";
    return {
      body: Buffer.from(JSON.stringify(body)),
      properties: { ...named, contentType },
      good: true,
      username,
    };
  }
  const envelopeId = `envelope-${index}`;
  const events = [[username, GOOD_METRIC, event.count, nowMs]];
  const body = Buffer.from(JSON.stringify({ schema: "millrace.envelope/1", id: envelopeId, fields, events }));
  return {
    body,
    properties: { ...named, contentType: envelopeContentType },
    good: true,
    username,
    envelopeId,
  };
}
