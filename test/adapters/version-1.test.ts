import { Ajv } from "ajv";
import * as fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedBroker } from "../../src/adapters/embedded/broker.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { attemptOf, messageOf, propertiesOf, retryHeaders } from "../../src/adapters/rabbitmq/message.ts";
import { accountName } from "../../src/domain/account-name.ts";
import { distinctName } from "../../src/domain/distinct-name.ts";
import { type AcceptedEvent, decodeMessage, encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import type { Broker, Delivery } from "../../src/ports/broker.ts";

const fixtures = resolve(import.meta.dirname, "../fixtures/version-1");
const readJson = (name: string): unknown => JSON.parse(readFileSync(join(fixtures, name), "utf8"));

interface Written {
  readonly properties: {
    readonly messageId: string;
    readonly contentType: string;
    readonly headers: Readonly<Record<string, unknown>>;
  };
  readonly attempt: number;
  readonly body: string;
  readonly events: readonly Omit<AcceptedEvent, "id">[];
}
const envelopes = readJson("envelopes.json") as readonly [Written, Written, Written, Written];
const NOW = Date.parse("2026-11-24T12:00:01.250Z");

const folders = mkdtempSync(join(tmpdir(), "millrace-version-1-"));
afterAll(() => rmSync(folders, { recursive: true, force: true }));
/** A data folder as version 1 left it. */
function oldFolder(): string {
  const folder = mkdtempSync(join(folders, "data-"));
  for (const name of ["store", "broker"]) {
    const bytes = gunzipSync(readFileSync(join(fixtures, `${name}.sqlite.gz`)));
    writeFileSync(join(folder, `${name}.sqlite`), bytes);
  }
  return folder;
}
const openBroker = (dataDir: string): Broker =>
  openEmbeddedBroker({ dataDir, backlogMaxBytes: 2 ** 32, confirmTimeoutMs: 20_000 }, systemClock);

function inFile<T>(path: string, look: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path);
  try {
    return look(database);
  } finally {
    database.close();
  }
}
const versionIn = (path: string): unknown =>
  inFile(path, (database) => database.prepare("PRAGMA user_version").get()?.["user_version"]);

describe("an envelope of version 1", () => {
  const amqp = ({ properties, body }: Written) =>
    ({ properties, content: Buffer.from(body), fields: {} }) as unknown as Parameters<typeof messageOf>[0];

  test.for(envelopes)("is read as it was meant: $properties.messageId", (written) => {
    const message = amqp(written);
    expect(decodeMessage(messageOf(message))).toEqual({
      id: written.properties.messageId,
      events: written.events,
    });
    expect(attemptOf(message)).toBe(written.attempt);
  });

  test.for(envelopes)(
    "is written to the byte as it was: $properties.messageId",
    ({ properties, body, events }) => {
      const full = events.map((event) => ({ id: undefined, ...event }));
      const message = encodeRows(properties.messageId, [rowsOf(full)]);
      expect(Buffer.from(message.body).toString("utf8")).toBe(body);
      const { messageId, contentType } = propertiesOf(message);
      expect({ messageId, contentType }).toEqual({
        messageId: properties.messageId,
        contentType: properties.contentType,
      });
    },
  );

  test("is what is written, whatever the events are, and a retry is told as it was", () => {
    const fits = new Ajv({ strict: false }).compile(readJson("envelope.schema.json") as object);
    const name = fc
      .string({ unit: "binary", minLength: 1, maxLength: 256 })
      .filter((text) => text.isWellFormed() && !text.includes("\0"));
    const event = fc.record({
      username: name,
      metric: name,
      count: fc.maxSafeInteger(),
      atMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
      id: fc.option(name, { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.uuid({ version: 7 }), fc.array(event, { minLength: 1, maxLength: 5 }), (id, events) => {
        const { body } = encodeRows(id, [rowsOf(events)]);
        const fit = fits(JSON.parse(Buffer.from(body).toString("utf8")));
        expect([fit, fits.errors]).toEqual([true, null]);
      }),
    );
    expect(retryHeaders(3)).toEqual(envelopes[1].properties.headers);
  });

  test("the schema of its reader takes what it wrote, and no other version", () => {
    const fits = new Ajv({ strict: false }).compile(readJson("envelope.schema.json") as object);
    for (const { body } of envelopes) expect(fits(JSON.parse(body))).toBe(true);
    const [first] = envelopes;
    expect(fits(JSON.parse(first.body.replace("envelope/1", "envelope/2")))).toBe(false);
  });
});

describe("a store file of version 1", () => {
  const page = { limit: 100, after: undefined };

  test("is read as it was, gets its number, and knows what it has counted", async () => {
    const folder = oldFolder();
    await using store = await openEmbeddedStore(folder);
    const days = { granularity: "day", from: undefined, to: undefined, page } as const;
    const before = {
      days: await store.distinctNames(days),
      users: await store.hourlyPerUser({ username: undefined, metric: undefined, page }, NOW),
      accounts: await store.accounts({ sinceMs: undefined, page }),
    };
    expect(before.days).toEqual([
      { period: "1970-01-01", metric: 'naïve "quoted"\n', count: 1 },
      { period: "2026-11-24", metric: "reads", count: 3 },
      { period: "2026-11-24", metric: "writes", count: 1 },
    ]);
    expect(before.users.map(({ username, metric, count }) => [username, metric, count])).toEqual([
      ["ann", "reads", 2],
      ["bob", "writes", 1],
      ["cid", "reads", 1],
    ]);
    expect(before.accounts.map(({ username }) => username).toSorted()).toEqual([
      "Zoë 🦊",
      "ann",
      "bob",
      "cid",
    ]);
    // Delivered again, as after a crash during the update.
    const [first, second] = envelopes;
    for (const { properties, body } of [first, second]) {
      const message = {
        id: properties.messageId,
        contentType: properties.contentType,
        body: Buffer.from(body),
      };
      for (const projection of [accountName, distinctName, hourlyLog]) {
        await store.apply(projection.fold(decodeMessage(message)), NOW);
      }
    }
    const claim = { projection: "hourlyLog", messageId: "another", eventIds: ["id:7", "id:8"] } as const;
    expect(await store.claim(claim, NOW)).toEqual(new Set(["id:7"]));
    expect({
      days: await store.distinctNames(days),
      users: await store.hourlyPerUser({ username: undefined, metric: undefined, page }, NOW),
      accounts: await store.accounts({ sinceMs: undefined, page }),
    }).toEqual(before);
    expect(versionIn(join(folder, "store.sqlite"))).toBe(1);
  });
});

describe("a broker file of version 1", () => {
  test("goes on where it was", async () => {
    const folder = oldFolder();
    await using broker = openBroker(folder);
    const letters = await Array.fromAsync(broker.deadLetters.list("distinctName"));
    expect(letters.map(({ message, reason }) => [message.id, reason])).toEqual([
      [envelopes[1].properties.messageId, "CHANGE_REFUSED: too wide"],
    ]);
    const taken: Delivery[] = [];
    const stop = new AbortController();
    await broker.consume({ queue: "distinctName", prefetch: 8, stop: stop.signal }, async (delivery) => {
      taken.push(delivery);
      await delivery.settle({ kind: "ack" });
      if (taken.length === 2) stop.abort();
    });
    const told = new Set(taken.map(({ message }) => message.id));
    expect(told).toEqual(new Set([envelopes[2].properties.messageId, envelopes[3].properties.messageId]));
    const third = taken.find(({ message }) => message.id === envelopes[2].properties.messageId);
    expect(third?.attempt).toBeGreaterThan(1);
    expect(await broker.backlog("hourlyLog")).toMatchObject({ ready: 4, deadLetters: 0 });
    expect(versionIn(join(folder, "broker.sqlite"))).toBe(1);
  });
});

/** What a program of version 1 reads and writes is there as it knows it; what it does not know, it need not fill. */
test.for(["store", "broker"] as const)(
  "a %s file that this version has opened is one for version 1 still",
  async (name) => {
    const tablesOf = (path: string) =>
      inFile(path, (database) => {
        const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
        return new Map(
          tables.map(({ name: table }) => [
            String(table),
            database
              .prepare(
                'SELECT name, type, pk, "notnull" AS needed, dflt_value AS fallback FROM pragma_table_info(?)',
              )
              .all(String(table)),
          ]),
        );
      });
    const folder = oldFolder();
    const path = join(folder, `${name}.sqlite`);
    const before = tablesOf(path);
    expect(before.size).toBeGreaterThan(2);
    if (name === "store") await (await openEmbeddedStore(folder))[Symbol.asyncDispose]();
    else {
      await using broker = openBroker(folder);
      await broker.ready();
    }
    const after = tablesOf(path);
    for (const [table, columns] of before) {
      const now = after.get(table) ?? [];
      expect([table, now.slice(0, columns.length)]).toEqual([table, columns]);
      const added = now
        .slice(columns.length)
        .filter((one) => one["needed"] === 1 && one["fallback"] === null);
      expect([table, added]).toEqual([table, []]);
    }
  },
);

describe("a file of a later version stays as it is, and the error names both and what to do:", () => {
  const words = (name: string) =>
    expect.stringMatching(
      new RegExp(
        `${name}\\.sqlite is of version 2, and this Millrace knows version 1\\. Run the Millrace that wrote it`,
      ),
    );
  function laterFolder(name: string): { readonly folder: string; readonly path: string } {
    const folder = oldFolder();
    const path = join(folder, `${name}.sqlite`);
    inFile(path, (database) => database.exec("PRAGMA user_version = 2"));
    return { folder, path };
  }

  test("the store's", async () => {
    const { folder, path } = laterFolder("store");
    const before = readFileSync(path);
    await expect(openEmbeddedStore(folder)).rejects.toMatchObject({
      code: "STORE_MISMATCH",
      detail: words("store"),
    });
    expect(versionIn(path)).toBe(2);
    expect(readFileSync(path).length).toBe(before.length);
  });

  test("the broker's", async () => {
    const { folder, path } = laterFolder("broker");
    await using broker = openBroker(folder);
    const refused = { code: "BROKER_MISMATCH", detail: words("broker") };
    await expect(broker.ended).rejects.toMatchObject(refused);
    await expect(broker.ready()).rejects.toMatchObject(refused);
    expect(versionIn(path)).toBe(2);
  });
});
