import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../../test/parts/cache.ts";
import { command } from "../../test/parts/command.ts";
import { stopEngine } from "./engine.ts";
import { removeNetwork } from "./fence.ts";
import { NODE_REPOSITORY } from "./node-image.ts";

/** Of the cache, which the tests share: what only clusters need. */
const OURS = /^(kind|hyperkube|addons|pause|traefik)\b/;

/** Removes what the offline path keeps from cluster to cluster: images, network, programs, and the engine if it is ours. */
export async function removeKept(): Promise<void> {
  const list = [
    "image",
    "ls",
    "--format",
    "{{.Repository}}:{{.Tag}}",
    `--filter=reference=${NODE_REPOSITORY}*`,
  ];
  const images = await command("docker", list).catch(() => "");
  for (const image of images.split("\n").filter(Boolean)) {
    await command("docker", ["image", "rm", image]).catch(() => {});
  }
  await removeNetwork();
  await stopEngine();
  for (const name of await readdir(cacheFolder()).catch(() => [])) {
    if (OURS.test(name)) await rm(join(cacheFolder(), name), { recursive: true, force: true });
  }
}
