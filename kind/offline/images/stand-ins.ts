import { mongo } from "./mongo.ts";
import { node } from "./node.ts";
import { prometheus } from "./prometheus.ts";
import { rabbitMq } from "./rabbitmq.ts";
import { ensure } from "./stand-in.ts";

/**
 * Builds what is missing or out of date of the images that the chart and the Dockerfile name, from packages, for a
 * machine that cannot pull them; with nothing to do, it takes less than a second. Resolves with the names. An image
 * of such a name that is no stand-in is kept. Rejects with PartMissing where the packages cannot be had.
 */
export async function standInImages(): Promise<readonly string[]> {
  const standIns = [await node(), rabbitMq, mongo, prometheus];
  // One by one: each keeps the disk and a core busy.
  for (const standIn of standIns) await ensure(standIn);
  return standIns.map(({ name }) => name);
}
