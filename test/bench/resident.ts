import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** Bytes of memory a process has in RAM; undefined once it has ended. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  try {
    if (process.platform === "linux") {
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    }
    const { stdout } = await promisify(execFile)("ps", ["-o", "rss=", "-p", String(pid)]);
    return Number(stdout.trim()) * 1024;
  } catch {
    return undefined;
  }
}

/** Bytes of memory that processes have in RAM, with their parts of what they share; 0 but on Linux. */
export async function sharedOutBytes(pids: readonly number[]): Promise<number> {
  const sizes = pids.map(async (pid) => {
    // A process may have ended since it was listed.
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
  });
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Samples until disposed. */
export function watchResident(pid: number): { peakBytes(): number } & Disposable {
  let peak = 0;
  const timer = setInterval(() => {
    void residentBytes(pid).then((bytes) => (peak = Math.max(peak, bytes ?? 0)));
  }, 250);
  return { peakBytes: () => peak, [Symbol.dispose]: () => clearInterval(timer) };
}
