import { fork } from "node:child_process";
import { access, constants, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  bytesText,
  fault,
  type Finding,
  lateAt,
  type Problem,
  sweeperProblem,
  warning,
} from "../../domain/diagnosis.ts";
import { projectionNames } from "../../domain/projection.ts";
import type { Check } from "../../ports/check.ts";
import type { FileFacts, FileName } from "./doctor-file.ts";

export interface EmbeddedDoctorSettings {
  readonly dataDir: string;
  readonly backlogMaxBytes: number;
  readonly sweepIntervalMs: number;
  /** Which are of this install: one alone where the other setting names a server. */
  readonly files: readonly FileName[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export function embeddedChecks(settings: EmbeddedDoctorSettings): readonly Check[] {
  const folder: Check = {
    name: "data folder",
    todo: "let the user that runs Millrace own the folder, with mode 0700, on a disk that works",
    run: async () => (await notOfThisRole(settings)) ?? dataFolder(settings),
  };
  const file = (name: FileName): Check => ({
    name: `${name} file`,
    after: "data folder",
    todo: `stop what works on it and copy the folder before you do anything else; then see docs/backup.md. A large file needs longer: --timeout-ms`,
    run: async (stop) => {
      const path = join(settings.dataDir, `${name}.sqlite`);
      const facts = await factsOf(name, path, stop);
      if (facts === undefined)
        return { found: `${path} is not there; the first start makes it`, problems: [] };
      return name === "broker" ? brokerFile(facts, settings) : storeFile(facts, settings);
    },
  });
  return [folder, ...settings.files.map(file)];
}

/** A role that has no use for the broker or the store has neither its URL nor a folder to write in; one that has a use is told by the file. */
async function notOfThisRole({
  dataDir,
  files: [name, ...others],
}: EmbeddedDoctorSettings): Promise<Finding | undefined> {
  if (name === undefined || others.length > 0) return undefined;
  const path = join(resolve(dataDir), `${name}.sqlite`);
  const isAbsent = await stat(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
  if (!isAbsent) return undefined;
  const found = `MILLRACE_${name.toUpperCase()}_URL names no server: a role that needs the ${name} would use a file in ${resolve(dataDir)}`;
  return { found, problems: [], skipped: true };
}

async function dataFolder({ dataDir, backlogMaxBytes, files }: EmbeddedDoctorSettings) {
  const path = resolve(dataDir);
  const there = await nearest(path);
  const facts = await stat(there);
  const problems: Problem[] = [];
  const user = process.getuid?.();
  if (!facts.isDirectory()) {
    return { found: path, problems: [fault(`${there} is no folder`, "set MILLRACE_DATA_DIR to one")] };
  }
  const usable = await access(there, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!usable) {
    problems.push(
      fault(
        `user ${user} cannot write in ${there}, which user ${facts.uid} owns (mode ${modeOf(facts.mode)})`,
        `chown -R ${user} ${there}, or set MILLRACE_DATA_DIR to a folder of that user`,
      ),
    );
  }
  if (there === path && (facts.mode & 0o077) !== 0) {
    problems.push(
      warning(
        `others than its owner may use ${path} (mode ${modeOf(facts.mode)}); usernames are in there`,
        `chmod 0700 ${path}`,
      ),
    );
  }
  const disk = await statfs(there);
  const free = disk.bavail * disk.bsize;
  const used = await bytesIn(join(path, "broker.sqlite"));
  const wanted = files.includes("broker") ? Math.max(0, backlogMaxBytes - used) : 0;
  if (free < LEAST_FREE_BYTES) {
    problems.push(
      fault(
        `${bytesText(free)} are free on the disk of ${there}; a full disk refuses events`,
        "make room, or move the folder to a larger disk while Millrace is stopped",
      ),
    );
  } else if (free < wanted) {
    problems.push(
      warning(
        `${bytesText(free)} are free on the disk of ${there}, and the backlog may grow by ${bytesText(wanted)} more`,
        "make room, or lower MILLRACE_BACKLOG_MAX_BYTES so that a long outage does not fill the disk",
      ),
    );
  }
  const state =
    there === path ? `mode ${modeOf(facts.mode)}, owner ${facts.uid}` : "not there; the first start makes it";
  return { found: `${path}: ${state}, ${bytesText(free)} free`, problems };
}

/** Below this the write-ahead logs alone may fill the disk. */
const LEAST_FREE_BYTES = 128 * 1024 * 1024;

const modeOf = (mode: number): string => `0${(mode & 0o777).toString(8).padStart(3, "0")}`;

/** The folder itself, or the one above in which it would be made. */
async function nearest(path: string): Promise<string> {
  const there = await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
  return there || dirname(path) === path ? path : nearest(dirname(path));
}

const bytesIn = async (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** Undefined where there is no such file. A process of its own reads it, which ends when it takes too long: SQLite cannot be told. */
async function factsOf(name: FileName, path: string, stop: AbortSignal): Promise<FileFacts | undefined> {
  const there = await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
  if (!there) return undefined;
  const child = fork(join(import.meta.dirname, "doctor-file.ts"), {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  stop.addEventListener("abort", () => child.kill("SIGKILL"), { once: true });
  const answer = Promise.withResolvers<FileFacts | string>();
  child.once("error", answer.reject);
  child.once("message", (message) => answer.resolve(message as FileFacts | string));
  child.once("exit", (code, signal) =>
    answer.reject(new Error(`what read ${path} ended with ${signal ?? code}`)),
  );
  child.send({ name, path });
  const facts = await answer.promise;
  child.kill("SIGKILL");
  if (typeof facts === "string") throw new Error(`${path}: ${facts}`);
  return facts;
}

function brokerFile(facts: FileFacts, { backlogMaxBytes, dataDir }: EmbeddedDoctorSettings) {
  const problems = [...soundness(facts)];
  if (facts.usedBytes >= backlogMaxBytes) {
    problems.push(
      fault(
        `its messages take ${bytesText(facts.usedBytes)}, and at ${bytesText(backlogMaxBytes)} events are refused`,
        "see why the workers do not keep up (the log, /readyz); raise MILLRACE_BACKLOG_MAX_BYTES if the disk has room",
      ),
    );
  } else if (facts.usedBytes >= backlogMaxBytes * 0.8) {
    problems.push(
      warning(
        `its messages take ${bytesText(facts.usedBytes)} of at most ${bytesText(backlogMaxBytes)}`,
        "see why the workers do not keep up (the log, /readyz)",
      ),
    );
  }
  const queues = projectionNames.map((queue, at) => {
    const dead = facts.counts[`dead ${at}`] ?? 0;
    if (dead > 0) {
      problems.push(
        warning(
          `${dead} dead letters in ${queue}`,
          `millrace dead-letters list --queue ${queue} tells why; then replay, repair or drop them`,
        ),
      );
    }
    return `${queue} ${facts.counts[`due ${at}`] ?? 0}`;
  });
  const found = `${join(dataDir, "broker.sqlite")}: ${shapeOf(facts)}, backlog ${queues.join(", ")}`;
  return { found, problems };
}

function storeFile(facts: FileFacts, { now, sweepIntervalMs }: EmbeddedDoctorSettings) {
  const problems = [...soundness(facts)];
  const gone = sweeperProblem(
    { leaseUntilMs: facts.counts["lease"], oldestSecond: facts.counts["oldest second"] },
    lateAt(now(), sweepIntervalMs),
    "run `millrace sweeper`, or `millrace standalone`",
  );
  if (gone !== undefined) problems.push(gone);
  return { found: `store.sqlite: ${shapeOf(facts)}, ${facts.counts["account"] ?? 0} usernames`, problems };
}

const shapeOf = ({ sqlite, bytes, walBytes, journal }: FileFacts): string =>
  `${bytesText(bytes)} and ${bytesText(walBytes)} of ${journal}, SQLite ${sqlite}`;

function* soundness({ faults, journal, missing, laterVersion }: FileFacts): Generator<Problem> {
  if (faults.length > 0) {
    yield fault(
      `the file is damaged: ${faults.join("; ")}`,
      "stop Millrace, copy the folder, and restore the last backup into a new one (docs/backup.md)",
    );
  }
  if (laterVersion !== undefined) {
    yield fault(
      `it is of version ${laterVersion}, which this Millrace does not know`,
      "run the Millrace that wrote it, or a later one (docs/upgrades.md)",
    );
  }
  if (missing.length > 0) {
    yield warning(
      `it lacks ${missing.join(", ")}`,
      "the next start makes it; if it stays, it is no file of Millrace",
    );
  }
  if (journal !== "wal") {
    yield warning(
      `its journal mode is ${journal}; a start makes it wal`,
      "start Millrace; if it stays, the file system has no shared memory: use a local disk",
    );
  }
}
