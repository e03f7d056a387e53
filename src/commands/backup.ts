import { randomUUIDv7 } from "node:crypto";
import { MillraceError } from "../errors.ts";
import type { BackupSource, RestoreTarget } from "../ports/backup.ts";
import { aligned } from "./aligned.ts";
import { type BackupFacts, FORMAT, type Progress, writeBackup } from "./backup-file.ts";
import { readBackup, verifyBackup } from "./backup-reader.ts";
import { showLine, type Terminal } from "./progress.ts";

/** Where the work is shown while it goes on. */
export interface Shown {
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Writes all that a store keeps to a file, and reads that file again. Resolves to what there is to say of it. */
export async function backup(
  source: BackupSource,
  at: { readonly path: string; readonly millrace: string; readonly nowMs: number },
  shown: Shown,
): Promise<string> {
  const { path, millrace, nowMs } = at;
  const head = {
    format: FORMAT,
    id: randomUUIDv7(),
    millrace,
    kind: source.kind,
    startedAtMs: nowMs,
  } as const;
  await withProgress("written", shown, (progress) => writeBackup(path, head, source.rows(), progress));
  const facts = await withProgress("verified", shown, (progress) => verifyBackup(path, progress));
  return summary("backed up", path, facts);
}

/** Reads a backup to its end. Resolves to what there is to say of it; rejects with BACKUP_DAMAGED where it is not whole. */
export async function verify(path: string, shown: Shown): Promise<string> {
  return summary(
    "whole",
    path,
    await withProgress("verified", shown, (progress) => verifyBackup(path, progress)),
  );
}

/** Verifies a backup, and only then takes it into the store. Resolves to what there is to say of it. */
export async function restore(
  open: () => Promise<RestoreTarget>,
  path: string,
  shown: Shown,
): Promise<string> {
  const { head } = await withProgress("verified", shown, (progress) => verifyBackup(path, progress));
  await using target = await open();
  if (target.kind !== head.kind) {
    throw new MillraceError(
      "BACKUP_MISMATCH",
      `it is of a store of the kind '${head.kind}', and the store here is of the kind '${target.kind}': set MILLRACE_STORE_URL to one of the same kind`,
    );
  }
  await target.begin(head);
  let left = 0;
  const facts = await withProgress("restored", shown, async (progress) => {
    const all = readBackup(path, progress);
    for (;;) {
      const next = await all.next();
      if (next.done === true) return next.value;
      left += next.value.rows.length - (await target.write(next.value));
    }
  });
  await target.commit();
  const without = left === 0 ? "" : `\nleft out: ${left} claims of messages that are not in it`;
  return summary("restored", path, facts) + without;
}

function summary(done: string, path: string, { head, rows, bytes }: BackupFacts): string {
  const begun = new Date(head.startedAtMs).toISOString();
  const what = `${done}: ${path}, of ${begun}, kind ${head.kind}, Millrace ${head.millrace}, ${bytes} bytes`;
  return `${what}\n${aligned(Array.from(rows, ([section, count]) => [section, String(count)]))}`;
}

async function withProgress<T>(
  verb: string,
  { terminal, environment }: Shown,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const progress: Progress = { rows: 0, bytes: 0 };
  const mebibytes = (): string => (progress.bytes / 1024 / 1024).toFixed(1);
  const done = showLine(terminal, environment, () => `${verb}: ${progress.rows} rows, ${mebibytes()} MiB`);
  try {
    return await work(progress);
  } finally {
    done();
  }
}
