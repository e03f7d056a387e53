import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedBroker } from "../../src/adapters/embedded/broker.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import type { BrokerWorld } from "./broker.ts";
import type { StoreWorld } from "./store.ts";

const temporary = (): Promise<string> => mkdtemp(join(tmpdir(), "millrace-contract-"));

export async function embeddedBroker(
  backlogMaxBytes = 2 ** 32,
): Promise<BrokerWorld & { readonly dataDir: string }> {
  const dataDir = await temporary();
  return {
    dataDir,
    open: async () => openEmbeddedBroker({ dataDir, backlogMaxBytes, confirmTimeoutMs: 10_000 }, systemClock),
    [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }),
  };
}

export async function embeddedStore(): Promise<StoreWorld & { readonly dataDir: string }> {
  const dataDir = await temporary();
  return {
    dataDir,
    open: () => openEmbeddedStore(dataDir),
    [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }),
  };
}
