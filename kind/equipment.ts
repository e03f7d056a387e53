import { join } from "node:path";
import { type Cluster, kubectl } from "./cluster.ts";

/** Puts in, or brings up to date, what the chart relies on in any cluster: an ingress controller and metrics. */
export async function equip(cluster: Cluster): Promise<void> {
  const files = ["ingress.yaml", "metrics-server.yaml"].flatMap((name) => [
    "--filename",
    join(import.meta.dirname, name),
  ]);
  await kubectl(cluster, ["apply", "--server-side", "--force-conflicts", ...files]);
  for (const [namespace, name] of [
    ["ingress", "deployment/traefik"],
    ["kube-system", "deployment/metrics-server"],
  ] as const) {
    await kubectl(cluster, ["rollout", "status", "--namespace", namespace, name, "--timeout=300s"]);
  }
}
