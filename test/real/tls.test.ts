import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { startStandalone } from "../flow/standalone.ts";
import { Authority, type Issued } from "../parts/authority.ts";
import { type BrokerPart, startBrokerPart, startStorePart, type StorePart } from "../parts/parts.ts";
import { tlsFront } from "../parts/tls-front.ts";

const portOf = (url: string): number => Number(new URL(url).port);

/** The servers themselves speak plain text; in front of each is one that takes TLS alone, from who has a certificate. */
describe.skipIf(inject("ownPartsMissing") !== undefined)("RabbitMQ and a MongoDB behind TLS", () => {
  const opened = new AsyncDisposableStack();
  let broker: BrokerPart;
  let store: StorePart;
  let authority: Authority;
  let client: Issued;
  let urls: Readonly<Record<string, string>>;

  beforeAll(async () => {
    [broker, store] = await Promise.all([startBrokerPart(), startStorePart()]);
    opened.use(broker);
    opened.use(store);
    const folder = await mkdtemp(join(tmpdir(), "millrace-tls-"));
    opened.defer(async () => rm(folder, { recursive: true, force: true }));
    authority = await Authority.make(folder, "authority");
    client = await authority.issue("client");
    const shown = { ...(await authority.issue("server")), ca: authority.ca };
    const ports = [broker.url, broker.managementUrl, store.url].map(portOf);
    const [amqps, https, mongodb] = await Promise.all(ports.map(async (port) => tlsFront(port, shown)));
    for (const front of [amqps, https, mongodb]) if (front !== undefined) opened.use(front);
    urls = {
      MILLRACE_BROKER_URL: `amqps://guest:guest@127.0.0.1:${amqps?.port}`,
      MILLRACE_BROKER_MANAGEMENT_URL: `https://127.0.0.1:${https?.port}`,
      MILLRACE_STORE_URL: `mongodb://127.0.0.1:${mongodb?.port}/`,
    };
  }, 180_000);
  afterAll(async () => opened.disposeAsync(), 60_000);

  const files = (ca: string, shown: Issued | undefined) =>
    Object.fromEntries(
      ["BROKER", "STORE"].flatMap((of) => [
        [`MILLRACE_${of}_CA_FILE`, ca],
        ...(shown === undefined
          ? []
          : [
              [`MILLRACE_${of}_CERT_FILE`, shown.cert],
              [`MILLRACE_${of}_KEY_FILE`, shown.key],
            ]),
      ]),
    ) as Readonly<Record<string, string>>;

  test("are reached with the authority and a certificate, and an event is counted", {
    timeout: 120_000,
  }, async () => {
    await using millrace = await startStandalone({
      environment: { ...urls, ...files(authority.ca, client) },
      readyTimeoutMs: 60_000,
    });
    const event = JSON.stringify({ username: "u", metric: "secured", count: 1 });
    const headers = { "content-type": "application/json" };
    const posted = await fetch(`${millrace.collectorUrl}/event`, { method: "POST", headers, body: event });
    expect(posted.status).toBe(200);
    const totals = async () => (await fetch(`${millrace.queryUrl}/metrics/hourly_logs/total`)).text();
    await expect.poll(totals, { timeout: 30_000 }).toContain('"_id":"secured"');
    const metrics = async () => (await fetch(`${millrace.adminUrl}/metrics`)).text();
    await expect.poll(metrics, { timeout: 30_000 }).toMatch(/^millrace_queue_messages\{.*\} 0$/m);
  });

  test.for([
    [
      "an authority that has not signed theirs",
      async (folder: string) => files((await Authority.make(folder, "strangers")).ca, client),
      /unable to verify|self-signed|certificate/,
    ],
    [
      "no certificate of its own",
      async () => files(authority.ca, undefined),
      /alert|certificate|closed|ECONNRESET/,
    ],
  ] as const)(
    "are not spoken to with %s, and the process says why",
    { timeout: 120_000 },
    async ([, filesOf, why]) => {
      const folder = await mkdtemp(join(tmpdir(), "millrace-tls-"));
      try {
        const environment = { ...urls, ...(await filesOf(folder)), MILLRACE_STORE_TIMEOUT_MS: "2000" };
        await expect(startStandalone({ environment, readyTimeoutMs: 15_000 })).rejects.toThrow(why);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );
});
