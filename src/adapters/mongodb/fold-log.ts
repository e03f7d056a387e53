import type { AnyBulkWriteOperation } from "mongodb";
import { MillraceError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { PeriodCount } from "../../ports/store.ts";
import type { Runner } from "./connection.ts";
import { assertOnlyThere, faultOf } from "./faults.ts";
import type { FoldDocument, TotalDocument } from "./schema.ts";

/** What a fold adds to the totals, and the parts it thereby counts. */
export interface FoldContent {
  readonly rows: readonly PeriodCount[];
  readonly parts: readonly string[];
}
export interface Fold extends FoldContent {
  /** 0 before the first. */
  readonly number: number;
  readonly finished: boolean;
  /** When this process read it, or what it was made of, by its clock. */
  readonly readAtMs: number;
}

const ROWS_A_COMMAND = 500;
const PARTS_A_COMMAND = 1000;
/** A process that was stopped for longer starts over. Folds and empty totals are kept for much longer: see expiry.ts. */
const STALE_MS = 3_600_000;

/**
 * The totals change by a log of folds, one after the other. A fold is inserted once, whoever tries, and never changed; only
 * then is it applied, by anybody and any number of times: each total knows the last fold that it took (`upTo`) and takes no
 * fold twice. Then the parts that it counted become marks, and it is finished; before that there is no next one. So a
 * process may stop for good or go on late at any step, without a transaction and without trust in a lease:
 * - its insert is refused, as that number is taken;
 * - a row is refused, as its total is up to this fold or a later one;
 * - a part that it marks has been marked, as have those of every finished fold.
 */
export class FoldLog {
  readonly #runner: Runner;
  readonly #clock: Clock;
  /** The number seen last: as the latest is never deleted, nothing below needs to be searched. */
  #seen = 0;

  constructor(runner: Runner, clock: Clock) {
    this.#runner = runner;
    this.#clock = clock;
  }

  /** The latest fold; with its content, if it is not finished. */
  async latest(): Promise<Fold> {
    const readAtMs = this.#clock.now();
    let found = await this.#latestFrom(this.#seen);
    if (found === null) {
      const taken = await this.#taken();
      // Only now, so that `taken` is nothing of a first fold that came in between.
      found = await this.#latestFrom(0);
      if (found === null) return { number: taken, finished: true, rows: [], parts: [], readAtMs };
    }
    const { _id: number, finished, rows = [], parts = [] } = found;
    this.#seen = number;
    return { number, finished, rows, parts, readAtMs };
  }

  #latestFrom(number: number): Promise<FoldDocument | null> {
    return this.#runner.run(({ fold }) =>
      fold.find({ _id: { $gte: number } }, { ...this.#runner.bound, sort: { _id: -1 }, limit: 1 }).next(),
    );
  }

  /** The last fold that any total has taken: not 0 where folds were deleted by hand, or left out of a backup. */
  async #taken(): Promise<number> {
    const found = await this.#runner.run(({ total }) =>
      total.find({}, { ...this.#runner.bound, sort: { upTo: -1 }, limit: 1 }).next(),
    );
    return found?.upTo ?? 0;
  }

  /**
   * Adds the fold after `previous`, which must be finished, with what was read since. Resolves to it, or to undefined where
   * another has added one.
   */
  async add(previous: Fold, content: FoldContent, nowMs: number): Promise<Fold | undefined> {
    const number = previous.number + 1;
    const { rows, parts } = content;
    const added = await this.#runner.run(async ({ fold }) => {
      this.#assertFresh(previous);
      try {
        await fold.insertOne({ _id: number, at: nowMs, finished: false, parts, rows });
        return true;
      } catch (thrown) {
        if (faultOf(thrown).kind === "there") return false;
        throw thrown;
      }
    });
    return added ? { number, finished: false, rows, parts, readAtMs: previous.readAtMs } : undefined;
  }

  /** Takes a fold to its end, from wherever it is. */
  async finish(fold: Fold): Promise<void> {
    if (fold.finished) return;
    const { number } = fold;
    const updates = fold.rows
      .map((row) => updateOf(row, number))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
    for (let i = 0; i < updates.length; i += ROWS_A_COMMAND) {
      const some = updates.slice(i, i + ROWS_A_COMMAND).map(({ update }) => update);
      await this.#runner.run(async ({ total }) => {
        this.#assertFresh(fold);
        try {
          await total.bulkWrite(some, { ordered: false });
        } catch (thrown) {
          // Every write that was refused met a total that had taken it.
          assertOnlyThere(thrown);
        }
      });
    }
    const parts = fold.parts.toSorted();
    for (let i = 0; i < parts.length; i += PARTS_A_COMMAND) {
      const some = parts.slice(i, i + PARTS_A_COMMAND);
      await this.#runner.run(({ distinctName }) =>
        distinctName.updateMany({ _id: { $in: some }, open: 1 }, { $unset: { rows: "", open: "" } }),
      );
    }
    await this.#runner.run((collections) =>
      collections.fold.updateOne(
        { _id: number },
        { $set: { finished: true }, $unset: { rows: "", parts: "" } },
      ),
    );
  }

  #assertFresh({ readAtMs }: Fold): void {
    if (this.#clock.now() - readAtMs > STALE_MS) {
      throw new MillraceError("STORE_UNAVAILABLE", "this process was stopped for long; it starts over");
    }
  }
}

/** The id of a total. Of one granularity they sort by period, then metric. */
export function totalId({ period, metric }: { readonly period: string; readonly metric: string }): string {
  return `${period.length === 10 ? "day" : "month"} ${period} ${metric}`;
}

/** Adds a row to its total unless that has taken this fold before: then no document matches, and the id is taken. */
function updateOf(
  { period, metric, count }: PeriodCount,
  number: number,
): { readonly key: string; readonly update: AnyBulkWriteOperation<TotalDocument> } {
  const key = totalId({ period, metric });
  return {
    key,
    update: {
      updateOne: {
        filter: { _id: key, upTo: { $lt: number } },
        update: { $inc: { count }, $set: { upTo: number, last: count, period, metric } },
        upsert: true,
      },
    },
  };
}
