import { readdir, stat } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join } from "node:path";

/** What the figures of a run depend on besides the code. */
export function machineFacts(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gib = Math.round(totalmem() / 1024 ** 3);
  return `${availableParallelism()} cores (${model}), ${gib} GiB, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
}

/** Bytes of all files in a folder and those below it. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
