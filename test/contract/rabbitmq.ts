import { randomUUID } from "node:crypto";
import { systemClock } from "../../src/adapters/clock.ts";
import { managementOf } from "../../src/adapters/rabbitmq/backlog.ts";
import { openRabbitmqBroker } from "../../src/adapters/rabbitmq/broker.ts";
import type { BrokerWorld } from "./broker.ts";

export interface RabbitmqAt {
  readonly url: string;
  readonly managementUrl: string;
}

/** A virtual host of its own on a RabbitMQ, deleted at the end. */
export async function rabbitmqBroker(at: RabbitmqAt): Promise<BrokerWorld & { readonly brokerUrl: string }> {
  const { url: api, authorization } = managementOf({ url: at.url }, at.managementUrl);
  const vhost = `contract-${randomUUID()}`;
  const user = decodeURIComponent(new URL(at.url).username || "guest");
  const ask = async (method: "PUT" | "DELETE", path: string, body: object = {}): Promise<void> => {
    const headers = { authorization, "content-type": "application/json" };
    const response = await fetch(new URL(path, api), { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  };
  await ask("PUT", `api/vhosts/${vhost}`);
  await ask("PUT", `api/permissions/${vhost}/${user}`, { configure: ".*", write: ".*", read: ".*" });
  const broker = new URL(at.url);
  broker.pathname = `/${vhost}`;
  const settings = {
    brokerUrl: broker.href,
    brokerManagementUrl: at.managementUrl,
    confirmTimeoutMs: 10_000,
  };
  return {
    brokerUrl: broker.href,
    open: async () => openRabbitmqBroker(settings, systemClock, () => {}),
    [Symbol.asyncDispose]: () => ask("DELETE", `api/vhosts/${vhost}`),
  };
}
