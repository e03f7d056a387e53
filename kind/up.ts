/** `npm run kind:up`: a cluster on this machine with Millrace in it, made or brought up to date. */
import { lock } from "../test/parts/cache.ts";
import { installChart } from "./chart.ts";
import { openCluster } from "./cluster.ts";
import { equip } from "./equipment.ts";
import { nameOption, portOf, runCommand } from "./options.ts";
import { step } from "./progress.ts";
import { urls } from "./urls.ts";

const options = {
  ...nameOption,
  "http-port": { type: "string", default: "80" },
  "https-port": { type: "string", default: "443" },
  offline: { type: "boolean", default: false },
  online: { type: "boolean", default: false },
  "no-chart": { type: "boolean", default: false },
  values: { type: "string", multiple: true, default: [] as string[] },
} as const;

await runCommand({ options }, async (chosen) => {
  // Two at a time would make the same cluster. Elsewhere than on Linux there is no such lock.
  using _ = process.platform === "linux" ? await lock(`kind-${chosen.name}-up`) : undefined;
  const cluster = await openCluster({
    name: chosen.name,
    httpPort: portOf(chosen["http-port"]),
    httpsPort: portOf(chosen["https-port"]),
    reach: chosen.offline ? "offline" : chosen.online ? "online" : undefined,
  });
  await step("ingress controller and metrics", async () => equip(cluster));
  if (!chosen["no-chart"]) await installChart(cluster, chosen.values);
  process.stdout.write(urls(cluster));
});
