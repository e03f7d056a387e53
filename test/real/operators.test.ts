import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, inject } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { KeyRing } from "../../src/http/keys.ts";
import { createQuery } from "../../src/query/server.ts";
import { openBroker, workOff } from "../commands/work-off.ts";
import { mongodbStore } from "../contract/mongodb.ts";
import { operatorQueries } from "../security/operator-queries.ts";
import { tryAttack } from "../security/try.ts";

const storeAt = inject("store");

describe.skipIf(storeAt === undefined)("in front of a MongoDB-wire server with rows", () => {
  tryAttack("mongodbOperators", async (answered) => {
    await using parts = new AsyncDisposableStack();
    const world = parts.use(await mongodbStore(storeAt?.url ?? "")());
    const store = parts.use(await world.open());
    await store.ready();
    const dataDir = await mkdtemp(join(tmpdir(), "millrace-operators-"));
    parts.defer(() => rm(dataDir, { recursive: true, force: true }));
    const broker = parts.use(openBroker(dataDir));
    const event = { username: "u", metric: "m", count: 1, atMs: Date.now(), id: undefined };
    await workOff(broker, store, [encodeRows(randomUUIDv7(), [rowsOf([event])])], projectionNames);

    const settings = { host: "127.0.0.1", allowedHosts: [], queryMaxRows: 100, requestTimeoutMs: 30_000 };
    const keys = new KeyRing({ writeKeyHashes: [], keysFile: "", keysRequiredFor: [] }, [], Date.now);
    const query = await createQuery(
      { store, clock: systemClock, emit: () => {}, keys, serveConsole: undefined },
      settings,
    );
    parts.defer(() => query.close());
    for (const url of ["/accounts", "/metrics/hourly_logs/per_user?username=u", "/metrics/distinct_names"]) {
      const found = await query.inject({ url });
      expect({ url, rows: found.json<unknown[]>().length }).toEqual({ url, rows: 1 });
    }
    for (const url of operatorQueries) {
      const { statusCode, body } = await query.inject({ url });
      answered(statusCode);
      if (statusCode === 200) expect({ url, body }).toEqual({ url, body: "[]" });
    }
  });
});
