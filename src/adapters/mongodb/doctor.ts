import type { Db, MongoClient } from "mongodb";
import {
  fault,
  type Finding,
  lateAt,
  type Problem,
  sweeperProblem,
  timeOf,
  warning,
} from "../../domain/diagnosis.ts";
import { UPKEEP_LEASE } from "../../domain/retention.ts";
import { MillraceError } from "../../errors.ts";
import type { Check, ClockSource } from "../../ports/check.ts";
import { clientOf, type ConnectionSettings, databaseOf, guarantees, RESTORE_LEASE } from "./connection.ts";
import { faultOf, wordsOf } from "./faults.ts";
import { assertVersion, collectionsOf, lookAtSchema, type SchemaFacts } from "./schema.ts";

export interface MongodbDoctorSettings extends ConnectionSettings {
  readonly sweepIntervalMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Checks of a store, by one client that is closed with `parts`. They write what `/readyz` writes: the probe. */
export function mongodbChecks(
  settings: MongodbDoctorSettings,
  parts: AsyncDisposableStack,
): { readonly checks: readonly Check[]; readonly clock: ClockSource } {
  let client: MongoClient | undefined;
  const name = databaseOf(settings.storeUrl);
  const database = (): Db => {
    if (client === undefined) {
      client = clientOf(settings);
      parts.defer(() => client?.close());
    }
    return client.db(name, guarantees);
  };
  const inTime = { maxTimeMS: settings.storeTimeoutMs };
  const checks: readonly Check[] = [
    {
      name: "store",
      todo: "see that the server of MILLRACE_STORE_URL runs and answers from here: a firewall, a stopped process or a set without a primary keep it from it",
      run: async () => reach(database(), settings.storeUrl),
    },
    {
      name: "store schema",
      after: "store",
      todo: "see the server's log",
      run: async () => schemaFinding(await translated(() => lookAtSchema(database()))),
    },
    {
      name: "store write",
      after: "store",
      todo: "see the server's log; a set without a majority of its members takes no write",
      run: () => translated(() => write(database(), settings, inTime)),
    },
    {
      name: "store upkeep",
      after: "store",
      todo: "see the server's log",
      run: () => translated(() => upkeep(database(), settings, inTime)),
    },
  ];
  const clock: ClockSource = {
    of: "the store",
    read: async () => {
      const { localTime } = await database().admin().command({ hello: 1 });
      return localTime instanceof Date ? { atMs: localTime.getTime(), withinMs: 1 } : undefined;
    },
  };
  return { checks, clock };
}

async function reach(database: Db, url: string): Promise<Finding> {
  const place = placeOf(url);
  const beganMs = performance.now();
  try {
    await database.admin().command({ ping: 1 });
    const tookMs = Math.round(performance.now() - beganMs);
    const wire = await assertVersion(database);
    const found = `${place}, database '${database.databaseName}': wire version ${wire}, answered in ${tookMs} ms`;
    return { found, problems: [] };
  } catch (error) {
    return { found: place, problems: [unreached(error)] };
  }
}

/** Without name, password and options. */
function placeOf(url: string): string {
  const found = /^(mongodb(?:\+srv)?:\/\/)(?:[^/@]*@)?([^/?]*)/.exec(url);
  return found === null ? "" : `${found[1]}${found[2]}`;
}

const REACH = "see that the server of MILLRACE_STORE_URL runs, and answers from here";

function unreached(error: unknown): Problem {
  const what = error instanceof MillraceError ? (error.detail ?? error.message) : wordsOf(error);
  if (error instanceof MillraceError && error.code === "STORE_MISMATCH")
    return fault(what, "upgrade the server");
  if (/auth/i.test(what)) return fault(what, "mend user, password or authSource in MILLRACE_STORE_URL");
  if (/certificate|TLS|SSL/i.test(what))
    return fault(what, "see docs/tls.md: the authority, or the host's name");
  return fault(what, REACH);
}

/** The driver's errors in the words of ours. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw faultOf(error).error;
  }
}

function schemaFinding({ missing, wrong, nothingThere }: SchemaFacts): Finding {
  const problems = wrong.map(({ detail = "" }) => {
    // The last sentence is what to do.
    const cut = detail.lastIndexOf(". ");
    return fault(detail.slice(0, cut), detail.slice(cut + 2));
  });
  if (problems.length === 0 && nothingThere) {
    return { found: "nothing is there yet; the next start of a role makes it", problems };
  }
  if (missing.length > 0) {
    problems.push(
      warning(
        `${missing.join(", ")}: missing, so that reads are slow or what is old stays`,
        "start a worker, the sweeper or the query API anew: each makes what is missing",
      ),
    );
  }
  return { found: problems.length === 0 ? "all collections and indexes are there" : "", problems };
}

async function write(
  database: Db,
  { now }: MongodbDoctorSettings,
  inTime: { readonly maxTimeMS: number },
): Promise<Finding> {
  const { probe } = collectionsOf(database);
  const beganMs = performance.now();
  await probe.updateOne({ _id: "probe" }, { $set: { at: now() } }, { upsert: true });
  const writtenMs = performance.now();
  await probe.findOne({ _id: "probe" }, inTime);
  const [wrote, read] = [writtenMs - beganMs, performance.now() - writtenMs].map(Math.round) as [
    number,
    number,
  ];
  const found = `a write in ${wrote} ms, a read in ${read} ms`;
  const slow = wrote + read >= SLOW_MS;
  return {
    found,
    problems: slow
      ? [
          warning(
            `${found}: views lag behind`,
            "see the load, the disk and the replication lag of the server",
          ),
        ]
      : [],
  };
}

/** A write and a read that take longer, in milliseconds, are told. */
const SLOW_MS = 1000;

async function upkeep(
  database: Db,
  { now, sweepIntervalMs }: MongodbDoctorSettings,
  inTime: { readonly maxTimeMS: number },
): Promise<Finding> {
  const { lease, distinctName, hourlyLog } = collectionsOf(database);
  const [sweeper, restore, oldest, oldestLog] = await Promise.all([
    lease.findOne({ _id: UPKEEP_LEASE }, inTime),
    lease.findOne({ _id: RESTORE_LEASE }, inTime),
    distinctName.findOne({ open: 1 }, { ...inTime, projection: { at: 1 }, sort: { at: 1 } }),
    hourlyLog.findOne({}, { ...inTime, projection: { last: 1 }, sort: { last: 1 } }),
  ]);
  const problems: Problem[] = [];
  if (restore !== null) {
    problems.push(
      fault(
        `a restore of the backup ${restore.holder} is under way, or was cut short: no role opens the store`,
        "let it end; if no `millrace restore` runs, run it again with the same file",
      ),
    );
  }
  const run = "run `millrace sweeper`; if one runs, its /readyz and log tell what keeps it";
  const until = sweeper?.until;
  const lateAtMs = lateAt(now(), sweepIntervalMs);
  const gone = sweeperProblem({ leaseUntilMs: until, oldestSecond: oldestLog?.last }, lateAtMs, run);
  if (gone !== undefined) problems.push(gone);
  if (oldest !== null && oldest.at < lateAtMs) {
    problems.push(
      warning(
        `counts of distinct names wait to be added up since ${timeOf(oldest.at)}`,
        `${run} (docs/runbooks/millrace-compaction-lag.md)`,
      ),
    );
  }
  const held =
    until === undefined ? "no sweeper has the lease" : `a sweeper has the lease until ${timeOf(until)}`;
  const waits =
    oldest === null
      ? "nothing waits to be added up"
      : `the oldest count that waits to be added up is of ${timeOf(oldest.at)}`;
  return { found: `${held}; ${waits}`, problems };
}
