import { randomUUIDv7 } from "node:crypto";
import type { Filter } from "mongodb";
import type { MongodbRows } from "../../domain/backup-rows.ts";
import { UPKEEP_LEASE } from "../../domain/retention.ts";
import { MillraceError } from "../../errors.ts";
import type { BackupSource, Rows } from "../../ports/backup.ts";
import type { Clock } from "../../ports/clock.ts";
import { Connection, type ConnectionSettings } from "./connection.ts";
import { FoldLog } from "./fold-log.ts";
import { releaseLease, seizeLease } from "./lease.ts";
import { type Pick, pages } from "./pages.ts";
import type { HourlyDocument, PartDocument } from "./schema.ts";

/** The lease is held for so long at a time, in milliseconds, and renewed when a third of it is over. */
const HELD_MS = 30_000;
/** Longest wait for a sweeper that has lost the lease: its own is no longer, and a step of it is shorter. */
const STEP_MS = 10_000;

/**
 * All documents, while workers go on inserting them. No snapshot is asked for, which not every server has: see docs/backup.md for
 * why this order of reading, and what the restore leaves out, come to the same.
 */
export function openMongodbBackup(settings: ConnectionSettings, clock: Clock): BackupSource {
  const connection = new Connection(settings, clock);
  return {
    kind: "mongodb",
    rows: () => rowsIn(connection, clock),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

async function* rowsIn(connection: Connection, clock: Clock): AsyncGenerator<Rows> {
  await using hold = new Hold(connection, clock);
  await hold.take();
  const log = new FoldLog(connection, clock);
  const fold = await log.latest();
  await log.finish(fold);
  for await (const some of documentsIn(connection)) {
    await hold.renew();
    // Its counts are those of one fold, with the documents that were not in it: a further one would be in some of them.
    if (some.section === "claim") await assertUnfolded(log, fold.number);
    yield some;
  }
  await assertUnfolded(log, fold.number);
}

async function assertUnfolded(log: FoldLog, number: number): Promise<void> {
  if ((await log.latest()).number === number) return;
  throw new MillraceError(
    "STORE_UNAVAILABLE",
    "a sweeper that had lost its lease has added counts up meanwhile; make the backup again",
  );
}

/** Section by section: claims last, so that those of every document before them are among them. */
async function* documentsIn(connection: Connection): AsyncGenerator<Rows> {
  for await (const page of pages(connection, ({ accountName }) => accountName)) {
    const rows: MongodbRows["accountName"][] = page.map(({ _id, firstSeen }) => ({ _id, firstSeen }));
    yield { section: "accountName", rows };
  }
  for await (const page of wholeMessages(connection, ({ hourlyLog }) => hourlyLog)) {
    yield { section: "hourlyLog", rows: page.map(hourlyRow) };
  }
  for await (const page of pages(connection, ({ total }) => total)) {
    const rows = page.map(({ _id, period, metric, count, upTo, last }): MongodbRows["total"] => ({
      _id,
      period,
      metric,
      count,
      upTo,
      last,
    }));
    yield { section: "total", rows };
  }
  for await (const page of wholeMessages(connection, ({ distinctName }) => distinctName)) {
    yield { section: "distinctName", rows: page.map(partRow) };
  }
  for await (const page of pages(connection, ({ claim }) => claim)) {
    const rows: MongodbRows["claim"][] = page.map(({ _id, message, at, expiresAt }) => ({
      _id,
      message,
      at,
      expiresAt: expiresAt.getTime(),
    }));
    yield { section: "claim", rows };
  }
}

function hourlyRow({ _id, last, expiresAt, parts, totals, users }: HourlyDocument): object {
  return { _id, last, expiresAt: expiresAt.getTime(), ...(parts && { parts }), totals, users };
}

function partRow({ _id, at, parts, open, rows }: PartDocument): object {
  return { _id, at, ...(parts && { parts }), ...(open && { open }), ...(rows && { rows }) };
}

/** Of a message with several documents, all at once with its first one; none where one of them is not there yet. */
async function* wholeMessages<Document extends HourlyDocument | PartDocument>(
  connection: Connection,
  pick: Pick<Document>,
): AsyncGenerator<readonly Document[]> {
  for await (const page of pages(connection, pick)) {
    const single = page.filter(({ parts }) => parts === undefined);
    if (single.length > 0) yield single;
    for (const first of page.filter(({ _id, parts }) => parts?.[0] === _id)) {
      const ids = first.parts?.slice(1) ?? [];
      const others = await connection.run((collections) =>
        pick(collections)
          .find<Document>({ _id: { $in: ids } } as Filter<Document>, connection.bound)
          .toArray(),
      );
      const message = [first, ...others];
      // One that has been added to the totals cannot be left out any more.
      const counted = message.some((one) => "at" in one && one.open === undefined);
      if (others.length === ids.length || counted) yield message;
    }
  }
}

/** The sweepers' lease, taken from them for as long as the backup goes on. */
class Hold implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #holder = `backup ${randomUUIDv7()}`;
  #untilMs = 0;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** Resolves once the sweeper that had it, if any, has ended its step. */
  async take(): Promise<void> {
    const othersUntilMs = await this.#seize();
    await this.#clock.sleep(Math.min(STEP_MS, Math.max(0, othersUntilMs - this.#clock.now())));
  }

  async renew(): Promise<void> {
    if (this.#untilMs - this.#clock.now() < (HELD_MS * 2) / 3) await this.#seize();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It ends by itself soon, too.
    await releaseLease(this.#connection, UPKEEP_LEASE, this.#holder).catch(() => {});
  }

  async #seize(): Promise<number> {
    this.#untilMs = this.#clock.now() + HELD_MS;
    const lease = { name: UPKEEP_LEASE, holder: this.#holder, untilMs: this.#untilMs };
    return seizeLease(this.#connection, lease);
  }
}
