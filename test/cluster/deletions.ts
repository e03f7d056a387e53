import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../fault/random.ts";
import { componentOf, isReady, type Namespace, type Pod, readySinceMs } from "./install.ts";

/** What all others depend on: left alone until these, and a collector, have been up together for so long, in which events are taken. */
const servers = ["rabbitmq", "mongodb"];
const REST_MS = 15_000;
/** Most of the pods that are down at a time: on a slow machine they take as long to be up again as to delete all of them. */
const MOST_DOWN = 0.25;
/** By force is as a node that dies: the container gets no time to end. */
type How = "kindly" | "by force";

/** Deletes one random pod after the other until `stop`, each component as often as the others, and counts them in `done`. */
export async function deletePods(
  namespace: Namespace,
  random: Random,
  done: Map<string, number>,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    await sleep(random.integer(1000, 3000), undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) break;
    const all = await namespace.pods();
    if (all.filter((pod) => !isReady(pod)).length > all.length * MOST_DOWN) continue;
    const taking = Math.max(...["collector", ...servers].map((component) => upSinceMs(all, component)));
    const rested = taking < Date.now() - REST_MS;
    const up = all.filter((pod) => rested || !servers.includes(componentOf(pod)));
    // Each has its turn the sooner the fewer it has had.
    const fewest = (pod: (typeof up)[number]) => done.get(componentOf(pod)) ?? Number.POSITIVE_INFINITY;
    const least = Math.min(...up.map(fewest));
    const candidates = up.filter((pod) => fewest(pod) === least && least < Number.POSITIVE_INFINITY);
    const victim = candidates[random.integer(0, Math.max(0, candidates.length - 1))];
    if (victim === undefined) continue;
    const how: How = random.chance(0.5) ? "kindly" : "by force";
    const force = how === "by force" ? ["--grace-period=0", "--force"] : [];
    await namespace.kubectl("delete", "pod", victim.metadata.name, "--wait=false", ...force);
    done.set(componentOf(victim), fewest(victim) + 1);
    console.log(`deleted ${how}: ${victim.metadata.name}`);
  }
}

/** When the first of its pods that are ready became so; infinite where none is. */
function upSinceMs(pods: readonly Pod[], component: string): number {
  return Math.min(...pods.filter((pod) => componentOf(pod) === component).map(readySinceMs));
}
