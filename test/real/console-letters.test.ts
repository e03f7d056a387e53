import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openRabbitmqBroker } from "../../src/adapters/rabbitmq/broker.ts";
import { SupervisedProcess } from "../fault/process.ts";
import { type BrokerPart, startBrokerPart } from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";

const poll = { timeout: 60_000, interval: 500 };

describe.skipIf(inject("ownPartsMissing") !== undefined)(
  "dead letters of a RabbitMQ, by a query process",
  () => {
    const opened = new AsyncDisposableStack();
    let part: BrokerPart;
    let query: SupervisedProcess;
    let queryUrl: string;
    let ids: readonly string[] = [];

    beforeAll(async () => {
      part = opened.use(await startBrokerPart());
      const settings = {
        brokerUrl: part.url,
        brokerManagementUrl: part.managementUrl,
        confirmTimeoutMs: 10_000,
      };
      await using broker = openRabbitmqBroker(settings, systemClock, () => {});
      for (const text of ["one", "two"]) {
        await broker.publish({ id: randomUUIDv7(), contentType: "text/csv", body: Buffer.from(text) });
      }
      const stop = new AbortController();
      let dead = 0;
      await broker.consume({ queue: "hourlyLog", prefetch: 1, stop: stop.signal }, async (delivery) => {
        await delivery.settle({
          kind: "deadLetter",
          reason: `no use for ${delivery.message.body.toString()}`,
        });
        dead += 1;
        if (dead === 2) stop.abort();
      });
      const workingDir = await mkdtemp(join(tmpdir(), "millrace-letters-"));
      opened.defer(() => rm(workingDir, { recursive: true, force: true }));
      const [adminPort = 0, queryPort = 0] = await freePorts(2);
      queryUrl = `http://127.0.0.1:${queryPort}`;
      query = new SupervisedProcess({
        name: "query",
        words: ["query"],
        environment: {
          MILLRACE_BROKER_URL: part.url,
          MILLRACE_BROKER_MANAGEMENT_URL: part.managementUrl,
          MILLRACE_QUERY_PORT: String(queryPort),
          MILLRACE_ADMIN_PORT: String(adminPort),
        },
        adminPort,
        workingDir,
      });
      opened.defer(async () => void (await query.stop()));
      while ((await query.unready()) !== undefined) await new Promise((done) => setTimeout(done, 100));
    }, 180_000);
    afterAll(async () => {
      await opened.disposeAsync();
    }, 60_000);

    const list = async () => {
      const answer = await fetch(`${queryUrl}/dead-letters?queue=hourlyLog`);
      return {
        status: answer.status,
        retryAfter: answer.headers.get("retry-after"),
        body: await answer.json(),
      };
    };
    const reasons = async (): Promise<readonly string[]> => {
      const { body } = await list();
      const rows =
        (body as { readonly rows?: readonly { readonly id: string; readonly reason: string }[] }).rows ?? [];
      ids = rows.map(({ id }) => id);
      return rows.map(({ reason }) => reason);
    };

    test("are listed, oldest first", async () => {
      expect(await reasons()).toEqual(["no use for one", "no use for two"]);
    });

    test("are answered 503 while the broker is silent, which leaves the process as ready as it was, and listed again afterwards", {
      timeout: 180_000,
    }, async () => {
      await part.pause();
      try {
        expect(await list()).toMatchObject({ status: 503, retryAfter: expect.any(String) });
        expect(await query.unready()).toBeUndefined();
      } finally {
        await part.resume();
      }
      await expect.poll(reasons, poll).toEqual(["no use for one", "no use for two"]);
    });

    test("are put back, those that are named alone", async () => {
      const answer = await fetch(`${queryUrl}/dead-letters/replay`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ queue: "hourlyLog", ids: ids.slice(0, 1) }),
      });
      expect([answer.status, await answer.json()]).toEqual([200, { replayed: 1 }]);
      await expect.poll(reasons, poll).toEqual(["no use for two"]);
    });
  },
);
