import { askBroker, askManagement, askStore } from "./ask.ts";
import type { BrokerPart, StorePart } from "./part.ts";

/** The broker that MILLRACE_TEST_BROKER_URL names, undefined where it is not set. Rejects when it does not answer. */
export async function namedBroker(): Promise<BrokerPart | undefined> {
  const url = process.env["MILLRACE_TEST_BROKER_URL"];
  if (!url) return undefined;
  const managementUrl = process.env["MILLRACE_TEST_BROKER_MANAGEMENT_URL"] || managementOf(url);
  const version = await answered("MILLRACE_TEST_BROKER_URL", url, () => askBroker(url));
  await answered("MILLRACE_TEST_BROKER_MANAGEMENT_URL", managementUrl, () => askManagement(managementUrl));
  return { ...named("MILLRACE_TEST_BROKER_URL", url, version), managementUrl, ctl: refused("rabbitmqctl") };
}

/** The store that MILLRACE_TEST_STORE_URL names, undefined where it is not set. Rejects when it does not answer. */
export async function namedStore(): Promise<StorePart | undefined> {
  const url = process.env["MILLRACE_TEST_STORE_URL"];
  if (!url) return undefined;
  const version = await answered("MILLRACE_TEST_STORE_URL", url, () => askStore(url));
  return named("MILLRACE_TEST_STORE_URL", url, version);
}

/** Of the same host, with the same name and password, on the port that RabbitMQ uses by default. */
function managementOf(brokerUrl: string): string {
  const { username, password, hostname } = new URL(brokerUrl);
  return `http://${username || "guest"}:${password || "guest"}@${hostname}:15672`;
}

async function answered<T>(variable: string, url: string, ask: () => Promise<T>): Promise<T> {
  return ask().catch((error: unknown) => {
    const { host } = new URL(url);
    throw new Error(`${variable}: ${host} does not answer as it should: ${String(error)}`, { cause: error });
  });
}

function named(variable: string, url: string, version: string): StorePart {
  const refuse = refused(variable);
  return {
    url,
    version,
    own: false,
    pids: [],
    kill: refuse,
    start: refuse,
    stop: refuse,
    pause: refuse,
    resume: refuse,
    [Symbol.asyncDispose]: async () => {},
  };
}

function refused(what: string): () => Promise<never> {
  return async () => {
    throw new Error(`not of a server that this run did not start (${what})`);
  };
}
