import { setTimeout as sleep } from "node:timers/promises";
import { command } from "../test/parts/command.ts";

const PATIENCE_MS = 180_000;

/** Starts the nodes that are stopped. Resolves with the instant before, or undefined where all were running. */
export async function startNodes(nodes: readonly string[]): Promise<number | undefined> {
  if (nodes.length === 0) return undefined;
  const running = await command("docker", ["inspect", "--format", "{{.State.Running}}", ...nodes]);
  if (!running.includes("false")) return undefined;
  const begunMs = Date.now();
  await command("docker", ["start", ...nodes]);
  return begunMs;
}

/**
 * Resolves once the API server knows how nodes and pods are since they were started, and all are ready as far as they
 * become so in two minutes. At first it denies everything, and then tells how they were before. `kubectl` is for this
 * cluster.
 */
export async function waitForRestart(
  sinceMs: number,
  kubectl: (words: readonly string[]) => Promise<string>,
): Promise<void> {
  const nodes = `{.items[*].status.conditions[?(@.type=="Ready")].lastHeartbeatTime}`;
  const pods = "{.items[*].status.containerStatuses[*].state.running.startedAt}";
  const deadline = Date.now() + PATIENCE_MS;
  for (const [kind, times] of [
    ["nodes", nodes],
    ["pods", pods],
  ] as const) {
    const words = ["get", kind, "--all-namespaces", "--output", `jsonpath=${times}`, "--request-timeout=5s"];
    for (;;) {
      // Kubernetes tells whole seconds.
      const told = await kubectl(words).catch(() => "");
      if (told !== "" && told.split(" ").every((time) => Date.parse(time) > sinceMs - 1000)) break;
      if (Date.now() > deadline) throw new Error(`after the start, not all ${kind} report to the API server`);
      await sleep(500);
    }
  }
  const ready = [
    "--all",
    "--all-namespaces",
    "--field-selector=status.phase=Running",
    "--for=condition=Ready",
  ];
  // One of the chart may be broken, which an upgrade is to repair.
  await kubectl(["wait", "pod", ...ready, "--timeout=120s"]).catch(() => {});
}
