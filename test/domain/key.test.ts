import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  accesses,
  decodeKeys,
  encodeKeys,
  expiryMs,
  MAX_RATE,
  type StoredKey,
} from "../../src/domain/key.ts";
import { addKey, revokeKey, rotateKey } from "../../src/domain/key-changes.ts";

const hash = "0".repeat(64);
const key: StoredKey = { name: "shop", hash, access: ["write"], createdAt: "2026-11-30T12:00:00.000Z" };
const fileOf = (...keys: readonly unknown[]): string => JSON.stringify({ version: 1, keys });

const instant = fc
  .date({ min: new Date(0), max: new Date(253_402_300_799_999), noInvalidDate: true })
  .map((date) => date.toISOString());
const hex64 = fc
  .array(fc.integer({ min: 0, max: 255 }), { minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString("hex"));
const anyKey: fc.Arbitrary<StoredKey> = fc.record(
  {
    name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
    hash: hex64,
    access: fc.subarray([...accesses], { minLength: 1 }),
    createdAt: instant,
    expiresAt: instant,
    ratePerSecond: fc.integer({ min: 1, max: MAX_RATE }),
    eventsPerDay: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  },
  { requiredKeys: ["name", "hash", "access", "createdAt"] },
);
const anyKeys = fc.uniqueArray(anyKey, { selector: (one) => one.hash, maxLength: 8 });

describe("a file of keys", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(anyKeys, (keys) => {
        expect(decodeKeys(encodeKeys(keys))).toEqual(keys);
      }),
    );
  });

  test.for<readonly [string, string]>([
    ["", "it is not JSON"],
    ["[]", "it must be an object of version and keys"],
    [JSON.stringify({ version: 2, keys: [] }), "/version is 2; it must be 1"],
    [JSON.stringify({ keys: [] }), "/version is missing; it must be 1"],
    [JSON.stringify({ version: 1 }), "/keys must be a list of at most 100000 keys"],
    [JSON.stringify({ version: 1, keys: {} }), "/keys must be a list of at most 100000 keys"],
    [JSON.stringify({ version: 1, keys: [], more: 1 }), '"more" is not known; there are version and keys'],
    [fileOf(1), "/keys/0 is 1; it must be an object"],
    [fileOf(key, {}), "/keys/1/name is missing; it must be 1 to 63 letters"],
    [fileOf({ ...key, name: "-a" }), '/keys/0/name is "-a"; it must be 1 to 63 letters'],
    [fileOf({ ...key, name: "a".repeat(64) }), "/keys/0/name is"],
    [fileOf({ ...key, access: [] }), "/keys/0/access is []; it must be a list of 'write', 'read', 'admin'"],
    [fileOf({ ...key, access: ["write", "all"] }), '/keys/0/access is ["write","all"]; it must be'],
    [fileOf({ ...key, access: ["read", "read"] }), '/keys/0/access is ["read","read"]; it must be'],
    [fileOf({ ...key, createdAt: "today" }), '/keys/0/createdAt is "today"; it must be an RFC 3339'],
    [fileOf({ ...key, expiresAt: "2026-02-30T00:00:00Z" }), "/keys/0/expiresAt is"],
    [fileOf({ ...key, ratePerSecond: 0 }), "/keys/0/ratePerSecond is 0; it must be an integer from 1"],
    [fileOf({ ...key, eventsPerDay: 1.5 }), "/keys/0/eventsPerDay is 1.5; it must be an integer from 1"],
    [fileOf({ ...key, expires: 1 }), '/keys/0: "expires" is not known; the fields are name, hash'],
    [fileOf(key, key), "/keys/1/hash is that of /keys/0; it must be its own"],
  ])("that holds %s is refused by its place and its fault", ([text, fault]) => {
    expect(() => decodeKeys(text)).toThrow(expect.objectContaining({ code: "INVALID_KEYS" }));
    expect(() => decodeKeys(text)).toThrow(fault);
  });

  test("is quoted nowhere with what may be a key", () => {
    const secret = "mlr_abcdefghijklmnop";
    for (const text of [fileOf({ ...key, hash: secret }), `{"version":1,"keys":["${secret}`]) {
      expect(() => decodeKeys(text)).toThrow(expect.objectContaining({ code: "INVALID_KEYS" }));
      expect(() => decodeKeys(text)).not.toThrow(secret);
    }
    expect(() => decodeKeys(fileOf({ ...key, hash: secret }))).toThrow("/keys/0/hash is ***; it must be");
  });
});

describe("a change of keys", () => {
  const nowMs = Date.parse("2026-12-01T00:00:00Z");
  const fresh = "1".repeat(64);
  const at = (ms: number): string => new Date(ms).toISOString();

  test("adds a key, unless its name is taken or none", () => {
    expect(addKey([key], { ...key, name: "ops", hash: fresh }).map(({ name }) => name)).toEqual([
      "shop",
      "ops",
    ]);
    expect(() => addKey([key], { ...key, hash: fresh })).toThrow(/there is a key shop/);
    expect(() => addKey([], { ...key, name: "a b" })).toThrow(/must be 1 to 63/);
  });

  test("revokes all of a name and no other", () => {
    fc.assert(
      fc.property(anyKeys, anyKey, (keys, one) => {
        const left = revokeKey([...keys, one], one.name);
        expect(left).toEqual(keys.filter(({ name }) => name !== one.name));
      }),
    );
    expect(() => revokeKey([key], "other")).toThrow("there is no key other");
  });

  test("rotates a key into one that may do the same, and ends that of before after the overlap", () => {
    const limited: StoredKey = { ...key, ratePerSecond: 5, expiresAt: at(Date.parse(key.createdAt) + 1000) };
    const live = { ...limited, expiresAt: at(nowMs + 60_000), createdAt: at(nowMs - 60_000) };
    const wanted = { name: "shop", hash: fresh, nowMs, expiresAt: undefined };
    expect(rotateKey([live], { ...wanted, overlapMs: 1000 })).toEqual([
      { ...live, expiresAt: at(nowMs + 1000) },
      { ...live, hash: fresh, createdAt: at(nowMs), expiresAt: at(nowMs + 120_000) },
    ]);
    expect(rotateKey([live], { ...wanted, overlapMs: 0 }).map((one) => one.hash)).toEqual([fresh]);
    // One that is over goes; one that ends sooner than the overlap still does.
    expect(rotateKey([limited, live], { ...wanted, overlapMs: 86_400_000 }).slice(0, -1)).toEqual([live]);
    expect(rotateKey([key], { ...wanted, overlapMs: 0 })).toEqual([
      { ...key, hash: fresh, createdAt: at(nowMs) },
    ]);
  });

  test("by rotation never lengthens the life of a key, and leaves the others alone", () => {
    fc.assert(
      fc.property(anyKeys, anyKey, fc.integer({ min: 0, max: 1e9 }), (keys, one, overlapMs) => {
        const before = [...keys.filter((other) => other.hash !== fresh), { ...one, hash }];
        // What lives on from the past of another one would be written down beyond the year 9999.
        const expiresAt = at(nowMs + 1000);
        const after = rotateKey(before, { name: one.name, hash: fresh, nowMs, overlapMs, expiresAt });
        expect(after.filter(({ name }) => name !== one.name)).toEqual(
          before.filter(({ name }) => name !== one.name),
        );
        const lengthened = before.filter((old) => {
          const now = after.find((other) => other.hash === old.hash);
          return now !== undefined && expiryMs(now) > expiryMs(old);
        });
        expect(lengthened).toEqual([]);
        expect(after.at(-1)).toMatchObject({ name: one.name, hash: fresh, access: one.access, expiresAt });
      }),
    );
  });
});
