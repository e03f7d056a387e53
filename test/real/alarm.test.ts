import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openRabbitmqBroker } from "../../src/adapters/rabbitmq/broker.ts";
import { decodeMessage } from "../../src/domain/envelope.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { startBrokerPart } from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";

/** What the issue of such a broker allows a client to wait, in milliseconds. */
const TOLD_WITHIN_MS = 2000;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string;
  readonly ms: number;
}

const alarms = [
  {
    name: "memory",
    raise: ["set_vm_memory_high_watermark", "absolute", "1"],
    clear: ["set_vm_memory_high_watermark", "0.6"],
  },
  {
    name: "disk",
    // As its disk monitor does; that cannot see the disk from where the broker of a test may live.
    raise: ["eval", "rabbit_alarm:set_alarm({{resource_limit, disk, node()}, []})."],
    clear: ["eval", "rabbit_alarm:clear_alarm({resource_limit, disk, node()})."],
  },
] as const;

describe.skipIf(inject("ownPartsMissing") !== undefined)("a broker in an alarm", () => {
  test.for(alarms)(
    "for $name: clients are told within two seconds, nothing acknowledged is lost, and it passes by itself",
    { timeout: 180_000 },
    async ({ raise, clear }) => {
      await using parts = new AsyncDisposableStack();
      const part = parts.use(await startBrokerPart());
      const workingDir = await mkdtemp(join(tmpdir(), "millrace-alarm-"));
      parts.defer(() => rm(workingDir, { recursive: true, force: true }));
      const [adminPort = 0, collectorPort = 0] = await freePorts(2);
      const environment = {
        MILLRACE_BROKER_URL: part.url,
        MILLRACE_BROKER_MANAGEMENT_URL: part.managementUrl,
        MILLRACE_COLLECTOR_PORT: String(collectorPort),
        MILLRACE_ADMIN_PORT: String(adminPort),
      };
      const collector = new SupervisedProcess({
        name: "collector",
        words: ["collector"],
        environment,
        adminPort,
        workingDir,
      });
      parts.defer(async () => void (await collector.stop()));
      await expect.poll(() => collector.unready(), { timeout: 30_000 }).toBeUndefined();

      let posted = 0;
      const acknowledged = new Set<string>();
      const post = async (): Promise<Answer> => {
        posted += 1;
        const username = `user ${posted}`;
        const startedAt = performance.now();
        const response = await fetch(`http://127.0.0.1:${collectorPort}/event`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ username, metric: "reads", count: 1 }),
        });
        if (response.status === 200) acknowledged.add(username);
        return {
          status: response.status,
          retryAfter: response.headers.get("retry-after"),
          text: await response.text(),
          ms: performance.now() - startedAt,
        };
      };
      /** Posts without a pause over eight connections until `stop`. */
      const client = async (stop: AbortSignal, answers: Answer[]) => {
        const one = async () => {
          while (!stop.aborted) {
            answers.push(await post());
            await sleep(5);
          }
        };
        await Promise.all(Array.from({ length: 8 }, one));
      };

      const stop = new AbortController();
      const answers: Answer[] = [];
      const posting = client(stop.signal, answers);
      parts.defer(async () => {
        stop.abort();
        await posting.catch(() => {});
      });
      await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBeGreaterThan(200);

      await part.ctl(...raise);
      await expect.poll(() => answers.at(-1)?.status, { timeout: 20_000 }).toBe(503);
      const inAlarm = answers.length;
      await expect.poll(() => answers.length, { timeout: 20_000 }).toBeGreaterThan(inAlarm + 200);
      const told = answers.slice(inAlarm + 8);
      expect(new Set(told.map(({ status }) => status))).toEqual(new Set([503]));
      for (const { retryAfter, text } of told) {
        expect(Number(retryAfter)).toBeGreaterThan(0);
        expect(text).toContain("BROKER_UNAVAILABLE");
      }
      expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(TOLD_WITHIN_MS);
      expect(await collector.unready()).toMatch(/^503/);

      await part.ctl(...clear);
      await expect.poll(() => answers.at(-1)?.status, { timeout: 20_000 }).toBe(200);
      await expect.poll(() => collector.unready(), { timeout: 20_000 }).toBeUndefined();
      stop.abort();
      await posting;
      expect(collector.restarts).toEqual({ killed: 0, bySelf: 0, portTaken: 0 });

      const seen = await usernamesIn(part.url, part.managementUrl, acknowledged);
      expect(Array.from(acknowledged).filter((username) => !seen.has(username))).toEqual([]);
    },
  );
});

/** The usernames of all messages in a queue, once all of `expected` are among them. */
async function usernamesIn(
  brokerUrl: string,
  brokerManagementUrl: string,
  expected: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const settings = { brokerUrl, brokerManagementUrl, confirmTimeoutMs: 5000 };
  await using broker = openRabbitmqBroker(settings, systemClock, () => {});
  const seen = new Set<string>();
  const stop = new AbortController();
  const consumed = broker.consume(
    { queue: "hourlyLog", prefetch: 64, stop: stop.signal },
    async (delivery) => {
      for (const { username } of decodeMessage(delivery.message).events) seen.add(username);
      await delivery.settle({ kind: "ack" });
    },
  );
  await expect
    .poll(() => Array.from(expected).every((username) => seen.has(username)), { timeout: 30_000 })
    .toBe(true);
  stop.abort();
  await consumed;
  return seen;
}
