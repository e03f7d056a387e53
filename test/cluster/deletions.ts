import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../fault/random.ts";
import { componentOf, type Namespace, readySinceMs } from "./install.ts";

/** What all others depend on, and how long it is left alone: else the whole would never be up at once. */
const servers = ["rabbitmq", "mongodb"];
const REST_MS = 15_000;
/** By force is as a node that dies: the container gets no time to end. */
type How = "kindly" | "by force";

/** Deletes one random pod after the other until `stop`, each component as often as the others. Resolves to what it did. */
export async function deletePods(
  namespace: Namespace,
  random: Random,
  components: readonly string[],
  stop: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const done: Record<string, number> = Object.fromEntries(components.map((name) => [name, 0]));
  while (!stop.aborted) {
    await sleep(random.integer(1000, 3000), undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) break;
    const rested = Date.now() - REST_MS;
    const all = await namespace.pods();
    const up = all.filter((pod) => !servers.includes(componentOf(pod)) || readySinceMs(pod) < rested);
    // Each has its turn the sooner the fewer it has had.
    const fewest = (pod: (typeof up)[number]) => done[componentOf(pod)] ?? Number.POSITIVE_INFINITY;
    const least = Math.min(...up.map(fewest));
    const candidates = up.filter((pod) => fewest(pod) === least && least < Number.POSITIVE_INFINITY);
    const victim = candidates[random.integer(0, Math.max(0, candidates.length - 1))];
    if (victim === undefined) continue;
    const how: How = random.chance(0.5) ? "kindly" : "by force";
    const force = how === "by force" ? ["--grace-period=0", "--force"] : [];
    await namespace.kubectl("delete", "pod", victim.metadata.name, "--wait=false", ...force);
    done[componentOf(victim)] = (done[componentOf(victim)] ?? 0) + 1;
    console.log(`deleted ${how}: ${victim.metadata.name}`);
  }
  return done;
}
