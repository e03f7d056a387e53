import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";

/** A process that has been through all that must still end in good order. */
export async function stopAll({ processes }: Cluster): Promise<readonly string[]> {
  const faults = Array.from(processes.values(), async (one) => {
    const exit = await one.stop();
    if (exit.code === 0) return [];
    return [`${one.name} was told to end and ended with ${JSON.stringify(exit)}\n${one.log().slice(-2000)}`];
  });
  return (await Promise.all(faults)).flat();
}

/** Resolves to the folder. */
export async function keepLogs({ processes }: Cluster): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-logs-"));
  for (const one of processes.values()) await writeFile(join(folder, `${one.name}.log`), one.log());
  return folder;
}
