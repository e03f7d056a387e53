import { readFile, writeFile } from "node:fs/promises";
import { note } from "../progress.ts";

/** Each kubelet, container runtime and kube-proxy takes some, and all nodes share those of one user. */
const LEAST: Readonly<Record<string, number>> = {
  "/proc/sys/fs/inotify/max_user_instances": 1024,
  "/proc/sys/fs/inotify/max_user_watches": 524_288,
};

/** Kernels come with room for the notifications of two small clusters; a third fails with "too many open files". */
export async function raiseLimits(): Promise<void> {
  for (const [file, least] of Object.entries(LEAST)) {
    if (Number(await readFile(file, "utf8")) >= least) continue;
    await writeFile(file, String(least)).then(
      () => note(`raised ${file} to ${least}, until the next start of this machine`),
      () => note(`${file} is low and cannot be raised: a second or third cluster may fail`),
    );
  }
}
