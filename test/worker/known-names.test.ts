import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedErasure } from "../../src/adapters/embedded/erasure.ts";
import { FORGOTTEN_WITHIN_MS } from "../../src/domain/erasure.ts";
import type { Change } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { ChangeStore, Store } from "../../src/ports/store.ts";
import { withKnownNames } from "../../src/worker/known-names.ts";
import { embeddedStore } from "../contract/embedded.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");

let world: Awaited<ReturnType<typeof embeddedStore>>;
let store: Store;
/** The names of each change that got as far as the store. */
let asked: string[][];
/** The embedded store, which tells what it is asked, and fails while `broken`. */
let watched: ChangeStore;
let broken: boolean;
beforeEach(async () => {
  world = await embeddedStore();
  store = await world.open();
  asked = [];
  broken = false;
  watched = {
    claim: (claim, nowMs) => store.claim(claim, nowMs),
    erasures: () => store.erasures(),
    async apply(change, nowMs) {
      asked.push(change.projection === "accountName" ? change.sightings.map((one) => one.username) : []);
      if (broken) throw new MillraceError("STORE_UNAVAILABLE", "pulled out");
      await store.apply(change, nowMs);
    },
  };
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

let messages = 0;
const seen = (...sightings: readonly (readonly [string, number])[]): Change => ({
  projection: "accountName",
  messageId: `m${(messages += 1)}`,
  sightings: sightings.map(([username, firstSeenMs]) => ({ username, firstSeenMs })),
});
const oneRead = (messageId: string): Change => ({
  projection: "distinctName",
  messageId,
  counts: [{ day: "2026-11-24", metric: "reads", count: 1 }],
});
const claimOf = (messageId: string) => ({ projection: "distinctName", messageId, eventIds: ["e"] }) as const;
const firstSeenMs = async (username: string): Promise<number | undefined> =>
  (await store.account(username))?.firstSeenMs;

test("a name that is known is not asked about again, and a new one beside it is", async () => {
  const knowing = withKnownNames(watched, 10);
  await knowing.apply(seen(["ann", NOW]), NOW);
  await knowing.apply(seen(["ann", NOW]), NOW);
  await knowing.apply(seen(["ann", NOW + 1], ["bob", NOW]), NOW);
  expect(asked).toEqual([["ann"], ["bob"]]);
  expect([await firstSeenMs("ann"), await firstSeenMs("bob")]).toEqual([NOW, NOW]);
});

test("an earlier sight of a name that is known still reaches the store, and is what is known from then on", async () => {
  const knowing = withKnownNames(watched, 10);
  for (const atMs of [NOW, NOW - 500, NOW - 200, NOW - 900]) await knowing.apply(seen(["ann", atMs]), NOW);
  expect(asked).toHaveLength(3);
  expect(await firstSeenMs("ann")).toBe(NOW - 900);
});

test("no more names are known than the limit, and the oldest is forgotten first", async () => {
  const knowing = withKnownNames(watched, 2);
  for (const name of ["ann", "bob", "cid"]) await knowing.apply(seen([name, NOW]), NOW);
  asked.length = 0;
  await knowing.apply(seen(["cid", NOW], ["bob", NOW]), NOW);
  expect(asked).toEqual([]);
  await knowing.apply(seen(["ann", NOW]), NOW);
  expect(asked).toEqual([["ann"]]);
  await knowing.apply(seen(["bob", NOW]), NOW);
  expect(asked).toEqual([["ann"], ["bob"]]);
});

test("one change with more names than the limit is stored whole and known in part", async () => {
  const knowing = withKnownNames(watched, 3);
  const names = Array.from({ length: 50 }, (_, i) => `user ${i}`);
  await knowing.apply(seen(...names.map((name) => [name, NOW] as const)), NOW);
  asked.length = 0;
  await knowing.apply(seen(...names.map((name) => [name, NOW] as const)), NOW);
  expect(asked).toEqual([names.slice(0, 47)]);
  const page = { limit: 100, after: undefined };
  expect(await store.accounts({ sinceMs: undefined, page })).toHaveLength(50);
});

test("with a limit of 0 every sight reaches the store", async () => {
  const knowing = withKnownNames(watched, 0);
  for (let i = 0; i < 3; i += 1) await knowing.apply(seen(["ann", NOW]), NOW);
  expect(asked).toEqual([["ann"], ["ann"], ["ann"]]);
});

test("a name is not known when the store failed to take it", async () => {
  const knowing = withKnownNames(watched, 10);
  broken = true;
  await expect(knowing.apply(seen(["ann", NOW]), NOW)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  broken = false;
  expect(await firstSeenMs("ann")).toBeUndefined();
  await knowing.apply(seen(["ann", NOW]), NOW);
  expect(await firstSeenMs("ann")).toBe(NOW);
});

test("an earlier sight that the store failed to take does not hide the next one", async () => {
  const knowing = withKnownNames(watched, 10);
  await knowing.apply(seen(["ann", NOW]), NOW);
  broken = true;
  await expect(knowing.apply(seen(["ann", NOW - 5]), NOW)).rejects.toThrow("pulled out");
  broken = false;
  await knowing.apply(seen(["ann", NOW - 3]), NOW);
  expect(await firstSeenMs("ann")).toBe(NOW - 3);
});

test("changes of the other views and claims pass as they are", async () => {
  const knowing = withKnownNames(watched, 10);
  for (const messageId of ["a", "b", "a"]) await knowing.apply(oneRead(messageId), NOW);
  const page = { limit: 10, after: undefined };
  const filter = { granularity: "day", from: undefined, to: undefined, page } as const;
  expect(await store.distinctNames(filter)).toEqual([{ period: "2026-11-24", metric: "reads", count: 2 }]);
  expect(await knowing.claim(claimOf("a"), NOW)).toEqual(new Set());
  expect(await knowing.claim(claimOf("b"), NOW)).toEqual(new Set(["e"]));
});

test("within a second of an erasure every name is forgotten, so that a later sight makes its account anew", async () => {
  const knowing = withKnownNames(watched, 10);
  await knowing.apply(seen(["ann", NOW], ["bob", NOW]), NOW);
  await using erasure = openEmbeddedErasure(world.dataDir, systemClock);
  expect((await erasure.round("ann", 0)).erased).toMatchObject({ accounts: 1 });
  asked.length = 0;
  await knowing.apply(seen(["bob", NOW + 1]), NOW + FORGOTTEN_WITHIN_MS - 1);
  expect(asked).toEqual([]);
  await knowing.apply(seen(["ann", NOW + 2000]), NOW + FORGOTTEN_WITHIN_MS);
  expect(asked).toEqual([["ann"]]);
  expect([await firstSeenMs("ann"), await firstSeenMs("bob")]).toEqual([NOW + 2000, NOW]);
});

test("a change in hand while its name is erased leaves nothing known of it", async () => {
  const entered = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let held = true;
  const knowing = withKnownNames(
    {
      ...watched,
      async apply(change, nowMs) {
        await watched.apply(change, nowMs);
        if (!held) return;
        entered.resolve();
        await released.promise;
      },
    },
    10,
  );
  const inHand = knowing.apply(seen(["ann", NOW]), NOW);
  await entered.promise;
  held = false;
  await using erasure = openEmbeddedErasure(world.dataDir, systemClock);
  await erasure.round("ann", 0);
  await knowing.apply(seen(["bob", NOW]), NOW + FORGOTTEN_WITHIN_MS);
  released.resolve();
  await inHand;
  await knowing.apply(seen(["ann", NOW + 2000]), NOW + FORGOTTEN_WITHIN_MS + 1);
  expect(await firstSeenMs("ann")).toBe(NOW + 2000);
});
