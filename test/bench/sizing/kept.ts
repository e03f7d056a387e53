import { randomUUIDv7 } from "node:crypto";
import { accountName } from "../../../src/domain/account-name.ts";
import { dayOf, distinctName } from "../../../src/domain/distinct-name.ts";
import type { AcceptedEvent } from "../../../src/domain/envelope.ts";
import { hourlyLog } from "../../../src/domain/hourly-log.ts";
import type { Broker } from "../../../src/ports/broker.ts";
import type { Store } from "../../../src/ports/store.ts";
import { batchBodies, bodiesFor, usualShape } from "../bodies.ts";
import { encodePost } from "../connection.ts";
import { messageOf } from "../messages.ts";
import type { Progress } from "../rounds.ts";
import { type Batch, BATCHES, type Figure } from "./figure.ts";

/** A store that is filled with one thing after the other, and how large the parts of it are. */
export interface KeptStore extends AsyncDisposable {
  readonly store: Store;
  /** Bytes on the disk with indexes, by table or collection. */
  sizes(): Promise<Readonly<Record<string, number>>>;
  /** Where each kind of thing is kept: names of `sizes`. */
  readonly places: Readonly<Record<"usernames" | "counts" | "hour" | "marks" | "claims", readonly string[]>>;
}
export interface KeptBroker extends AsyncDisposable {
  readonly broker: Broker;
  /** Bytes on the disk. */
  size(): Promise<number>;
}

const USERNAMES = 50_000;
const METRICS = 200;
const DAYS = 50;
const CLAIMS = 10_000;
const CLAIMS_A_MESSAGE = 100;
/** Enough that pages that are half empty make no difference, and few enough for a slow disk. */
const HOUR_EVENTS: Readonly<Record<Batch, number>> = { 1: 5000, 100: 50_000, 1000: 100_000 };
const WAITING_EVENTS: Readonly<Record<Batch, number>> = { 1: 10_000, 100: 200_000, 1000: 300_000 };
const AT_A_TIME = 250;
const DAY_MS = 86_400_000;

/** What one of each thing takes in a store, with names as the load has them. */
export async function keptBytes(
  open: () => Promise<KeptStore>,
  progress: Progress,
): Promise<readonly Figure[]> {
  const section = "Bytes in the store, indexes included";
  const nowMs = Date.now();
  await using one = await open();
  const { store, places } = one;
  const grownBy = async (kinds: readonly (keyof KeptStore["places"])[], fill: () => Promise<void>) => {
    const total = (sizes: Readonly<Record<string, number>>, names: readonly string[]) =>
      names.reduce((sum, name) => sum + (sizes[name] ?? 0), 0);
    const before = await one.sizes();
    await fill();
    const after = await one.sizes();
    return kinds.map((kind) => total(after, places[kind]) - total(before, places[kind]));
  };

  progress(`store: ${USERNAMES} usernames`);
  const [usernames = 0] = await grownBy(["usernames"], () =>
    inMessages(USERNAMES, 1000, (first, count) => {
      const events = Array.from({ length: count }, (_, i) => eventOf(`user-${first + i}`, "reads", nowMs));
      return store.apply(accountName.fold({ id: randomUUIDv7(), events }), nowMs);
    }),
  );
  progress(`store: ${METRICS} metrics on ${DAYS} days`);
  const [counts = 0] = await grownBy(["counts"], async () => {
    await inMessages(METRICS * DAYS, 500, (first, count) => {
      const events = Array.from({ length: count }, (_, i) => {
        const number = first + i;
        return eventOf("ann", `metric-${number % METRICS}`, nowMs - Math.floor(number / METRICS) * DAY_MS);
      });
      return store.apply(distinctName.fold({ id: randomUUIDv7(), events }), nowMs);
    });
    // Adds them up where that is not done yet, and merges none.
    const first = dayOf(nowMs - 10_000 * DAY_MS);
    while ((await store.unmergedSince()) !== undefined) await store.mergeMonths(first, nowMs);
  });
  progress(`store: ${CLAIMS} ids of events`);
  const [claims = 0] = await grownBy(["claims"], () =>
    inMessages(CLAIMS, CLAIMS_A_MESSAGE, async (_first, count) => {
      const eventIds = Array.from({ length: count }, () => randomUUIDv7());
      const messageId = randomUUIDv7();
      for (const projection of ["distinctName", "hourlyLog"] as const)
        await store.claim({ projection, messageId, eventIds }, nowMs);
    }),
  );
  const hours = new Map<Batch, number>();
  const marks = new Map<Batch, number>();
  let begun = 0;
  for (const batch of BATCHES) {
    const events = HOUR_EVENTS[batch];
    const from = begun;
    begun += events;
    progress(`store: ${events} events in messages of ${batch}`);
    const [hour = 0, mark = 0] = await grownBy(["hour", "marks"], async () => {
      await inMessages(events, batch, async (first, count) => {
        // No two of a user in one second: those of the same metric would share a row.
        const number = from + first;
        const atMs = nowMs - 1000 * Math.floor(number / usualShape.usernames);
        const id = randomUUIDv7();
        const accepted = eventsIn(number, count, atMs);
        const changes = [hourlyLog, distinctName].map((view) => view.fold({ id, events: accepted }));
        await Promise.all(changes.map((change) => store.apply(change, nowMs)));
      });
      const first = dayOf(nowMs - 10_000 * DAY_MS);
      while ((await store.unmergedSince()) !== undefined) await store.mergeMonths(first, nowMs);
    });
    hours.set(batch, hour / events);
    marks.set(batch, mark / (events / batch));
  }
  const byBatch = (of: ReadonlyMap<Batch, number>) => ({
    1: of.get(1) ?? 0,
    100: of.get(100) ?? 0,
    1000: of.get(1000) ?? 0,
  });
  return [
    { section, name: "a username", unit: "bytes", value: usernames / USERNAMES },
    { section, name: "a metric on a day, or in a month", unit: "bytes", value: counts / (METRICS * DAYS) },
    { section, name: "an event of the last hour", unit: "bytes", value: byBatch(hours) },
    { section, name: "the id of a message, remembered", unit: "bytes", value: byBatch(marks) },
    { section, name: "the id of an event, remembered", unit: "bytes", value: claims / CLAIMS },
  ];
}

/** What an event takes in a broker while nobody fetches it, of messages of so many. */
export async function waitingBytes(
  open: () => Promise<KeptBroker>,
  progress: Progress,
): Promise<readonly Figure[]> {
  const value: Record<Batch, number> = { 1: 0, 100: 0, 1000: 0 };
  for (const batch of BATCHES) {
    const events = WAITING_EVENTS[batch];
    progress(`broker: ${events} events in messages of ${batch}`);
    await using one = await open();
    const bodies = batchBodies(bodiesFor(batch), batch);
    const before = await one.size();
    await inMessages(events, batch, (first) =>
      one.broker.publish(messageOf(bodies[(first / batch) % bodies.length] ?? "", Date.now())),
    );
    value[batch] = ((await one.size()) - before) / events;
  }
  const section = "Bytes in the broker, all three queues together";
  return [{ section, name: "an event that waits", unit: "bytes", value }];
}

/** Bytes of an event on its way, of bodies and heads alone. */
export function wireBytes(): readonly Figure[] {
  const section = "Bytes on the wire, without those of TCP and TLS";
  const of = (bytes: (batch: Batch) => number) => ({
    1: bytes(1),
    100: bytes(100) / 100,
    1000: bytes(1000) / 1000,
  });
  const body = (batch: Batch) => batchBodies(1, batch)[0] ?? "";
  const request = (batch: Batch) => {
    const text = batch === 1 ? body(1).slice(1, -1) : body(batch);
    const url = `http://127.0.0.1:3000/${batch === 1 ? "event" : "events"}`;
    return encodePost(url, Buffer.from(text)).byteLength;
  };
  return [
    { section, name: "request", unit: "bytes", value: of(request) },
    {
      section,
      name: "message, once to the broker and once to each worker",
      unit: "bytes",
      value: of((batch) => messageOf(body(batch), Date.now()).body.byteLength),
    },
  ];
}

const eventOf = (username: string, metric: string, atMs: number): AcceptedEvent => ({
  username,
  metric,
  count: 1,
  atMs,
  id: undefined,
});

/** The events of the load from this number on. */
function eventsIn(first: number, count: number, atMs: number): readonly AcceptedEvent[] {
  const { usernames, metrics } = usualShape;
  return Array.from({ length: count }, (_, i) => {
    const number = first + i;
    const username = `user-${String(number % usernames).padStart(6, "0")}`;
    return { ...eventOf(username, `metric-${Math.floor(number / 7) % metrics}`, atMs), count: number % 1000 };
  });
}

/** Does the work for all of so many things, some of them at a time. */
async function inMessages(
  all: number,
  perMessage: number,
  work: (first: number, count: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  async function drive(): Promise<void> {
    while (next < all) {
      const first = next;
      next += perMessage;
      await work(first, Math.min(perMessage, all - first));
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, drive));
}
