import { randomUUID } from "node:crypto";
import { MongoClient } from "mongodb";
import { systemClock } from "../../src/adapters/clock.ts";
import { openMongodbStore } from "../../src/adapters/mongodb/store.ts";
import type { StoreWorld } from "./store.ts";

export interface MongodbWorld extends StoreWorld {
  /** With this world's database as its path. */
  readonly url: string;
}

/** Worlds on one server, each a database of its own that is dropped at the end. */
export function mongodbStore(url: string): () => Promise<MongodbWorld> {
  return async () => {
    const database = `test-${randomUUID()}`;
    const storeUrl = urlOf(url, database);
    return {
      url: storeUrl,
      open: async () =>
        openMongodbStore(
          { storeUrl, storePoolSize: 10, storeTimeoutMs: 10_000, dedupWindowMs: 86_400_000 },
          systemClock,
        ),
      async [Symbol.asyncDispose]() {
        await using client = new MongoClient(url, { serverSelectionTimeoutMS: 10_000 });
        await client.db(database).dropDatabase();
      },
    };
  };
}

/** The URL with another database as its path; whoever it names is still known where the URL says. */
function urlOf(url: string, database: string): string {
  const parts = new URL(url);
  if (parts.username !== "" && !parts.searchParams.has("authSource")) {
    parts.searchParams.set("authSource", parts.pathname.slice(1) || "admin");
  }
  parts.pathname = `/${database}`;
  return parts.href;
}
