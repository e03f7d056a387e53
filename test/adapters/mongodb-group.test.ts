import { MongoError, MongoNetworkError } from "mongodb";
import { describe, expect, test } from "vitest";
import { cut, documentId, keyOf } from "../../src/adapters/mongodb/document-id.ts";
import { type Fault, faultOf, wordsOf } from "../../src/adapters/mongodb/faults.ts";
import { byCodePoint, mergePage, type Source } from "../../src/adapters/mongodb/merge-page.ts";
import { databaseOf } from "../../src/adapters/mongodb/connection.ts";
import {
  type Bulk,
  sizeOf,
  type Verdict,
  type Write,
  WriteGroup,
} from "../../src/adapters/mongodb/write-group.ts";
import { MillraceError } from "../../src/errors.ts";
import type { PeriodCount } from "../../src/ports/store.ts";
import { seededRandom } from "../fault/random.ts";

function serverError(code: number, message = `error ${code}`): MongoError {
  const error = new MongoError(message);
  error.code = code;
  return error;
}
/** As the driver calls one of its own that it does not export. */
class PoolClearedOnNetworkError extends MongoNetworkError {
  override get name() {
    return "PoolClearedOnNetworkError";
  }
}
const named = (key: string): Write => ({ key, bytes: 100 });
const codesOf = (verdicts: readonly Verdict[]) =>
  verdicts.map((verdict) => (verdict instanceof MillraceError ? verdict.code : verdict));

/** A store that holds keys and takes commands as a whole or not at all; `judge` says why not. */
class Shelf implements Bulk<Write> {
  readonly kept = new Set<string>();
  readonly commands: string[][] = [];
  readonly pauses: number[] = [];
  down = false;
  judge: (keys: readonly string[]) => unknown = () => undefined;
  held: Promise<void> = Promise.resolve();

  async send(writes: readonly Write[]): Promise<ReadonlyMap<number, Fault>> {
    const keys = writes.map(({ key }) => key);
    this.commands.push(keys);
    await this.held;
    const failure = this.judge(keys);
    if (failure !== undefined) throw failure;
    const faults = new Map<number, Fault>();
    for (const [index, key] of keys.entries()) {
      if (this.kept.has(key)) faults.set(index, faultOf(serverError(11000)));
      this.kept.add(key);
    }
    return faults;
  }
  async outage() {
    return this.down ? new MillraceError("STORE_UNAVAILABLE", "the probe failed") : undefined;
  }
  async gather() {
    await new Promise(setImmediate);
  }
  async pause(tries: number) {
    this.pauses.push(tries);
  }
}

describe("a group of writes", () => {
  test("is what arrived while the last command was under way, sorted by key", async () => {
    const shelf = new Shelf();
    const { promise, resolve } = Promise.withResolvers<void>();
    shelf.held = promise;
    const group = new WriteGroup(shelf);
    const first = group.write([named("m"), named("a")]);
    await expect.poll(() => shelf.commands.length).toBe(1);
    const later = Array.from({ length: 50 }, (_, i) => group.write([named(`k${(i * 7) % 50}`)]));
    resolve();
    await Promise.all([first, ...later]);
    expect(shelf.commands.map((keys) => keys.length)).toEqual([2, 50]);
    for (const keys of shelf.commands) expect(keys).toEqual(keys.toSorted());
  });

  test("tells each caller what became of its own", async () => {
    const shelf = new Shelf();
    shelf.kept.add("old");
    const group = new WriteGroup(shelf);
    const verdicts = await Promise.all([
      group.write([named("z"), named("old")]),
      group.write([named("b"), named("z")]),
    ]);
    expect(verdicts).toEqual([
      ["written", "there"],
      ["written", "there"],
    ]);
  });

  test("that holds a bad write is halved until that one is alone", async () => {
    const shelf = new Shelf();
    shelf.judge = (keys) => (keys.includes("k77") ? serverError(2, "no such value") : undefined);
    const group = new WriteGroup(shelf);
    const verdicts = await Promise.all(Array.from({ length: 200 }, (_, i) => group.write([named(`k${i}`)])));
    expect(codesOf(verdicts.flat()).filter((one) => one !== "written")).toEqual(["CHANGE_REFUSED"]);
    expect(codesOf(verdicts[77] ?? [])).toEqual(["CHANGE_REFUSED"]);
    expect(shelf.kept.size).toBe(199);
    expect(shelf.commands.length).toBeLessThan(20);
  });

  test("is not halved while the store is unwell: whatever it says is not the writes' fault", async () => {
    for (const code of [1, 2]) {
      const shelf = new Shelf();
      shelf.down = true;
      shelf.judge = () => serverError(code, "something is wrong");
      const verdicts = await new WriteGroup(shelf).write(["a", "b", "c"].map(named));
      expect(codesOf(verdicts)).toEqual(["STORE_UNAVAILABLE", "STORE_UNAVAILABLE", "STORE_UNAVAILABLE"]);
      expect(shelf.commands).toHaveLength(1);
    }
  });

  test("with a write that fails for an unknown reason while others are taken tells of it alone", async () => {
    const shelf = new Shelf();
    shelf.judge = (keys) => (keys.includes("b") ? serverError(1, "unexpected internal error") : undefined);
    const verdicts = await new WriteGroup(shelf).write(["a", "b", "c"].map(named));
    expect(codesOf(verdicts)).toEqual(["written", "INTERNAL", "written"]);
  });

  test("is tried again after a deadlock, and given up after some", async () => {
    const shelf = new Shelf();
    let deadlocks = 3;
    shelf.judge = () => (deadlocks-- > 0 ? serverError(1, "deadlock detected") : undefined);
    expect(await new WriteGroup(shelf).write([named("a")])).toEqual(["written"]);
    expect(shelf.pauses).toEqual([1, 2, 3]);
    deadlocks = Number.POSITIVE_INFINITY;
    expect(codesOf(await new WriteGroup(shelf).write([named("b"), named("c")]))).toEqual([
      "STORE_UNAVAILABLE",
      "STORE_UNAVAILABLE",
    ]);
    expect(shelf.commands.length).toBeLessThan(20);
  });

  test("goes on after a failure", async () => {
    const shelf = new Shelf();
    const group = new WriteGroup(shelf);
    shelf.judge = () => new MongoNetworkError("connection reset");
    expect(codesOf(await group.write([named("a")]))).toEqual(["STORE_UNAVAILABLE"]);
    shelf.judge = () => undefined;
    expect(await group.write([named("a")])).toEqual(["written"]);
  });

  test.for([
    ["few", [100, 100, 100], 3],
    ["more than a command takes", Array.from({ length: 3000 }, () => 1), 1000],
    ["large ones", [2_000_000, 2_000_000, 2_000_000], 2],
    ["one that is too large for any company", [9_000_000, 1], 1],
    ["none", [], 0],
  ] as const)("takes of %s so many", ([, sizes, taken]) => {
    expect(sizeOf(sizes.map((bytes) => ({ key: "", bytes })))).toBe(taken);
  });
});

describe("a fault", () => {
  test.for([
    ["a duplicate key", serverError(11000), "there"],
    ["a deadlock of PostgreSQL", serverError(1, "deadlock detected"), "passing"],
    ["a write conflict", serverError(112), "passing"],
    ["a time-out of the server", serverError(50), "unavailable"],
    ["a server that is no primary any more", serverError(10107), "unavailable"],
    ["a shutdown", serverError(91), "unavailable"],
    ["a wrong password", serverError(18), "unavailable"],
    ["a write that is not known to last", serverError(64), "unavailable"],
    ["a broken connection", new MongoNetworkError("reset"), "unavailable"],
    [
      "an error of node's own socket",
      Object.assign(new Error("write ECONNRESET"), { code: "ECONNRESET", syscall: "write" }),
      "unavailable",
    ],
    [
      "a pool that was cleared by the driver's watch",
      new PoolClearedOnNetworkError("interrupted"),
      "unavailable",
    ],
    ["a bad value", serverError(2), "refused"],
    ["a document that is too large", serverError(10334), "refused"],
    ["a validator's no", serverError(121), "refused"],
    [
      "an index key that is too long",
      serverError(1, "index row requires 9032 bytes, maximum size is 8191"),
      "refused",
    ],
    ["an internal error", serverError(1, "unexpected"), "unknown"],
    ["a code that nobody knows", serverError(987_654), "unknown"],
    ["something thrown that is no error", "text", "unknown"],
  ] as const)("that is %s is known", ([, thrown, kind]) => {
    expect(faultOf(thrown).kind).toBe(kind);
  });

  test("with one of the labels for what passes is passing", () => {
    const error = serverError(987_654);
    error.addErrorLabel("TransientTransactionError");
    expect(faultOf(error).kind).toBe("passing");
  });

  test("is told without the password of a URL", () => {
    const url = "mongodb://ann:s3/cr@t@host/db";
    expect(wordsOf(new Error(`Invalid connection string "${url}"`))).toBe(
      'Error: Invalid connection string "mongodb://***@host/db"',
    );
  });
});

describe("a page merged from several sources", () => {
  const counts = (random: ReturnType<typeof seededRandom>): readonly PeriodCount[] => {
    const sums = new Map<string, PeriodCount>();
    for (let i = random.integer(0, 60); i > 0; i -= 1) {
      const period = `2096-11-${random.integer(10, 14)}`;
      const metric = random.pick(["a", "b", "Ω", "\uFFFD", "👩‍🚀", "ab", "z"]);
      sums.set(`${period} ${metric}`, { period, metric, count: random.integer(-2, 2) });
    }
    return Array.from(sums.values()).toSorted(byCodePoint);
  };

  test("is the first rows of the sum of all, whatever the limit and the cursor", async () => {
    const random = seededRandom(7);
    for (let round = 0; round < 500; round += 1) {
      const all = [counts(random), counts(random), counts(random)];
      const sources = all.map(
        (rows): Source =>
          async ({ after, limit }) =>
            rows.filter((row) => after === undefined || byCodePoint(row, after) > 0).slice(0, limit),
      );
      const sums = new Map<string, PeriodCount>();
      for (const one of all.flat()) {
        const key = `${one.period} ${one.metric}`;
        sums.set(key, { ...one, count: one.count + (sums.get(key)?.count ?? 0) });
      }
      const whole = Array.from(sums.values())
        .filter(({ count }) => count !== 0)
        .toSorted(byCodePoint);
      const limit = random.integer(1, 20);
      const after = random.chance(0.5) ? whole[random.integer(0, whole.length - 1)] : undefined;
      const page = await mergePage(sources, { from: undefined, to: undefined, after, limit });
      const start = after === undefined ? 0 : whole.indexOf(after) + 1;
      expect(page).toEqual(whole.slice(start, start + limit));
    }
  });

  test("is in the order of UTF-8, which is that of code points", () => {
    const metrics = ["z", "Ω", "\uFFFD", "👩‍🚀", "a", "ab", "\uE000", "𐀀"];
    const sorted = metrics.map((metric) => ({ period: "2096-11", metric })).toSorted(byCodePoint);
    expect(sorted.map(({ metric }) => metric)).toEqual(
      metrics.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
  });
});

describe("documents of a message", () => {
  test("are cut by rows and by bytes, and hold each row once, in order", () => {
    const rows = Array.from({ length: 12_345 }, (_, i) => i);
    const small = cut(rows, () => 10);
    expect(small.map((part) => part.length)).toEqual([5000, 5000, 2345]);
    expect(small.flat()).toEqual(rows);
    const large = cut(rows.slice(0, 10), () => 3_000_000);
    expect(large.map((part) => part.length)).toEqual([2, 2, 2, 2, 2]);
    expect(cut([1, 2], () => 1e9)).toEqual([[1], [2]]);
    expect(cut([], () => 1)).toEqual([]);
  });

  test("have ids that are short, and that no other message's documents have", () => {
    expect(documentId("m1", 0)).toBe("m1");
    const ids = ["m1", "m1/1", "m".repeat(4096), "Ω".repeat(150)].flatMap((id) =>
      [0, 1, 2].map((part) => documentId(id, part)),
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(Buffer.byteLength(id)).toBeLessThanOrEqual(200);
    expect(keyOf("x".repeat(200))).toBe("x".repeat(200));
  });
});

describe("the database of a URL", () => {
  test.for([
    ["mongodb://host", "millrace"],
    ["mongodb://host/", "millrace"],
    ["mongodb://host/?replicaSet=rs", "millrace"],
    ["mongodb://ann:p%2Fw@a:1,b:2/events?authSource=admin", "events"],
    ["mongodb+srv://host/my%20events", "my events"],
  ] as const)("%s is %s", ([url, name]) => {
    expect(databaseOf(url)).toBe(name);
  });
});
