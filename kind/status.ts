/** `npm run kind:status`: what runs, what does not, and where. */
import { RELEASE } from "./chart.ts";
import { type Cluster, findCluster, kubectl } from "./cluster.ts";
import { nameOption, runCommand } from "./options.ts";
import { urls } from "./urls.ts";

interface Pod {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly message?: string;
    }[];
  };
}

await runCommand({ options: nameOption }, async ({ name }) => {
  const cluster = await findCluster(name);
  if (cluster === undefined) {
    process.stdout.write(`there is no cluster ${name}: npm run kind:up\n`);
    process.exitCode = 1;
    return;
  }
  const nodes = await kubectl(cluster, ["get", "nodes", "--request-timeout=10s"]).catch(() => undefined);
  if (nodes === undefined) {
    process.stdout.write(`cluster ${name} does not answer; npm run kind:up starts what is stopped\n`);
    process.exitCode = 1;
    return;
  }
  process.stdout.write(nodes);
  const pods = await podsOf(cluster);
  const waiting = pods.flatMap((pod) => {
    const ready = pod.status.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status === "True" || pod.status.phase === "Succeeded") return [];
    return [`  ${pod.metadata.namespace}/${pod.metadata.name}: ${pod.status.phase}, ${ready?.message ?? ""}`];
  });
  const images = pods
    .filter(({ metadata }) => metadata.namespace === RELEASE)
    .flatMap(({ spec }) => spec.containers.map(({ image }) => image));
  process.stdout.write(`
${await scalersOf(cluster)}${pods.length} pods${waiting.length === 0 ? ", all ready" : `, not ready:\n${waiting.join("\n")}`}
images: ${[...new Set(images)].toSorted().join(", ") || "none: the chart is not installed"}
${urls(cluster)}`);
});

async function podsOf(cluster: Cluster): Promise<readonly Pod[]> {
  const text = await kubectl(cluster, ["get", "pods", "--all-namespaces", "--output", "json"]);
  return (JSON.parse(text) as { readonly items: readonly Pod[] }).items;
}

/** How many workers there are, and why; nothing where the chart is not installed. */
async function scalersOf(cluster: Cluster): Promise<string> {
  const words = ["get", "queuescalers", "--namespace", RELEASE, "--ignore-not-found"];
  const table = await kubectl(cluster, words).catch(() => "");
  return table === "" ? "" : `${table}\n`;
}
