import { readFileSync } from "node:fs";

/** On Linux, whatever the kernel's own. */
const TICKS_PER_SECOND = 100;

/** Time that processes have had on a core, with that of their children that have ended, in seconds; 0 but on Linux. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

function ticksOf(pid: number): number {
  try {
    // What stands before the last bracket is the name of the program, whatever is in it.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  } catch {
    return 0;
  }
}
