import { describe, expect, test } from "vitest";
import { managementOf } from "../../src/adapters/rabbitmq/backlog.ts";
import { checkVersion, mismatchOf, retryQueueFor } from "../../src/adapters/rabbitmq/topology.ts";

describe("the server's version", () => {
  test.for(["3.10.0", "3.10.8", "3.13.7", "4.0.5", "4.3.6", "4.1.0-rc.1", "5.0.0"])(
    "%s is taken",
    (version) => {
      expect(() => checkVersion({ product: "RabbitMQ", version })).not.toThrow();
    },
  );
  test.for(["3.9.29", "3.8.0", "2.8.7"])("%s is refused, with what it lacks", (version) => {
    expect(() => checkVersion({ product: "RabbitMQ", version })).toThrow(/at-least-once dead letters/);
  });
  test("of another product tells nothing", () => {
    expect(() => checkVersion({ product: "Other", version: "1.0.0" })).not.toThrow();
  });
});

describe("a refused declaration", () => {
  // As RabbitMQ 3.10.8, 4.0.5 and 4.3.6 put it.
  test.for([
    [
      `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'hourlyLog' in vhost '/': received the value 'quorum' of type 'longstr' but current is none"`,
      /queue 'hourlyLog' is there with x-queue-type none, where Millrace declares 'quorum'.*delete it/,
    ],
    [
      `Operation failed: ExchangeDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'metric-collector' in vhost '/': received 'fanout' but current is 'topic'"`,
      /exchange 'metric-collector' is there with type 'topic', where Millrace declares 'fanout'/,
    ],
  ] as const)("is told in words: %s", ([text, words]) => {
    const error = mismatchOf(new Error(text));
    expect(error).toMatchObject({ code: "BROKER_MISMATCH" });
    expect(error?.message).toMatch(words);
  });
  test("for any other reason is no mismatch", () => {
    expect(mismatchOf(new Error("ACCESS_REFUSED - access to queue 'x' refused"))).toBeUndefined();
    expect(mismatchOf(undefined)).toBeUndefined();
  });
});

test.for([
  [0, "1s"],
  [1000, "1s"],
  [1001, "10s"],
  [10_000, "10s"],
  [59_999, "60s"],
  [60_000, "60s"],
  [3_600_000, "60s"],
] as const)("a retry after %i ms waits %s", ([afterMs, wait]) => {
  expect(retryQueueFor("hourlyLog", afterMs)).toBe(`hourlyLog.retry.${wait}`);
});

describe("where the management API is", () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  test.for([
    ["amqp://host", "", "http://host:15672/", "guest:guest", "/"],
    ["amqp://u:p%40ss@host:5673/a%2Fb", "", "http://host:15672/", "u:p@ss", "a/b"],
    ["amqps://u:p@host/v", "", "https://host:15671/", "u:p", "v"],
    ["amqp://u:p@host", "https://admin:x@elsewhere/rabbit", "https://elsewhere/rabbit/", "admin:x", "/"],
    ["amqp://u:p@host", "http://elsewhere:1", "http://elsewhere:1/", "u:p", "/"],
  ] as const)("for %s and %j is %s", ([brokerUrl, managementUrl, url, credentials, vhost]) => {
    const management = managementOf({ url: brokerUrl }, managementUrl);
    expect({ ...management, url: management.url.href }).toEqual({
      url,
      authorization: basic(credentials),
      vhost,
    });
  });
});
