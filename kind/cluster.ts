import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { cacheFolder } from "../test/parts/cache.ts";
import { command } from "../test/parts/command.ts";
import { startEngine } from "./offline/engine.ts";
import { raiseFence } from "./offline/fence.ts";
import { raiseLimits } from "./offline/limits.ts";
import { nodeImage } from "./offline/node-image.ts";
import { obtainPrograms, type Programs } from "./programs.ts";
import { step } from "./progress.ts";
import { startNodes, waitForRestart } from "./restart.ts";
import { chooseReach, ONLINE_NODE, type Reach, reachOf } from "./reach.ts";

export interface ClusterOptions {
  readonly name: string;
  /** Of 127.0.0.1: where the ingress is to be. A cluster that exists keeps those it was made with. */
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Undefined: online where the node image can be had from its registry, else offline. */
  readonly reach?: Reach | undefined;
}

export interface Cluster {
  readonly name: string;
  readonly reach: Reach;
  readonly programs: Programs;
  readonly kubeconfig: string;
  readonly context: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** The control plane first. */
  readonly nodes: readonly string[];
}

/** Resolves once all nodes and all pods of the system are ready. A cluster of that name is taken as it is, and started. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const reach = (await reachOf(options.name)) ?? options.reach ?? (await chooseReach());
  const programs = await step("programs", async () => obtainPrograms(reach));
  if (reach === "offline") {
    await step("Docker engine", startEngine);
    await raiseLimits();
  }
  if (reach === "offline") await raiseFence();
  const present = await nodesOf(programs, options.name);
  if (present.length === 0) await create(options, reach, programs);
  const startedMs = await startNodes(present);
  // Whatever became of the file that tells of the cluster.
  const exported = ["export", "kubeconfig", "--name", options.name];
  await command(programs.kind, exported, { environment: environment(options.name, reach) });
  const cluster = await found(options.name, reach, programs);
  if (startedMs !== undefined) {
    await step("start of the nodes", async () =>
      waitForRestart(startedMs, async (words) => kubectl(cluster, words)),
    );
  }
  if (reach === "offline") await answerForClusterOnly(cluster);
  await step("nodes and system", async () => settled(cluster));
  return cluster;
}

/** Undefined where there is no cluster of that name, or no engine. Nothing is started. */
export async function findCluster(name: string): Promise<Cluster | undefined> {
  const reach = await reachOf(name);
  return reach && found(name, reach, await obtainPrograms(reach));
}

export async function closeCluster({ name, programs, reach }: Cluster): Promise<void> {
  await command(programs.kind, ["delete", "cluster", "--name", name], {
    environment: environment(name, reach),
  });
  if (reach === "offline") await rm(kubeconfigOf(name, reach), { force: true });
}

/**
 * Makes images of the engine known to every node that takes pods, which the control plane does not. Those that a node
 * has already are passed over.
 */
export async function loadImages(cluster: Cluster, names: readonly string[]): Promise<void> {
  const workers = cluster.nodes.filter((node) => !node.endsWith("-control-plane"));
  const where = [`--name=${cluster.name}`, `--nodes=${workers.join(",")}`];
  // Where one of several is missing, kind would send all of them.
  for (const name of names) {
    await command(cluster.programs.kind, ["load", "docker-image", ...where, name]);
  }
}

/** What kubectl writes to its standard output. */
export async function kubectl(
  { programs, kubeconfig, context }: Cluster,
  words: readonly string[],
): Promise<string> {
  return command(programs.kubectl, ["--kubeconfig", kubeconfig, "--context", context, ...words]);
}

async function create(options: ClusterOptions, reach: Reach, programs: Programs): Promise<void> {
  const { name, httpPort, httpsPort } = options;
  const image = reach === "offline" ? await nodeImage() : ONLINE_NODE;
  const shape = parse(await readFile(join(import.meta.dirname, "cluster.yaml"), "utf8")) as Shape;
  for (const mapping of shape.nodes.flatMap((node) => node.extraPortMappings ?? [])) {
    mapping.hostPort = mapping.containerPort === 443 ? httpsPort : httpPort;
  }
  const folder = await mkdtemp(join(tmpdir(), "millrace-kind-"));
  try {
    const file = join(folder, "cluster.yaml");
    await writeFile(file, stringify(shape));
    const words = ["create", "cluster", "--name", name, "--image", image, "--config", file, "--wait", "0s"];
    await mkdir(cacheFolder(), { recursive: true });
    await step("cluster", async () =>
      command(programs.kind, words, { environment: environment(name, reach) }),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Shape {
  readonly nodes: readonly {
    readonly extraPortMappings?: readonly { readonly containerPort: number; hostPort: number }[];
  }[];
}

async function found(name: string, reach: Reach, programs: Programs): Promise<Cluster> {
  const nodes = await nodesOf(programs, name);
  const port = async (inside: number): Promise<number> => {
    const format = `{{(index (index .HostConfig.PortBindings "${inside}/tcp") 0).HostPort}}`;
    return Number(await command("docker", ["inspect", "--format", format, `${name}-control-plane`]));
  };
  return {
    name,
    reach,
    programs,
    kubeconfig: kubeconfigOf(name, reach),
    context: `kind-${name}`,
    httpPort: await port(80),
    httpsPort: await port(443),
    nodes,
  };
}

async function nodesOf({ kind }: Programs, name: string): Promise<readonly string[]> {
  const nodes = await command(kind, ["get", "nodes", "--name", name]);
  return nodes
    .split(/\s+/)
    .filter((node) => node.startsWith(`${name}-`))
    .toSorted();
}

/** The user's own, which kubectl reads by itself, except offline: kubectl too is then one that only this project knows. */
function kubeconfigOf(name: string, reach: Reach): string {
  if (reach === "offline") return join(cacheFolder(), `kind-${name}.kubeconfig`);
  return process.env["KUBECONFIG"]?.split(":", 1)[0] || join(homedir(), ".kube/config");
}

function environment(name: string, reach: Reach): NodeJS.ProcessEnv {
  return { ...process.env, KUBECONFIG: kubeconfigOf(name, reach) };
}

/**
 * No name of the world outside can be looked up, so that CoreDNS says at once that there is none, instead of asking in
 * vain. Refused, a name counts as one that may be there: whoever looks for a Service without pods would be told so.
 */
async function answerForClusterOnly(cluster: Cluster): Promise<void> {
  const of = ["--namespace", "kube-system", "configmap", "coredns"];
  const text = await kubectl(cluster, ["get", ...of, "--output", "jsonpath={.data.Corefile}"]);
  const Corefile = text
    .replace(/^ *forward [^{]*\{[^}]*\}\n/m, "")
    .replace(/^( *kubernetes cluster\.local in-addr\.arpa ip6\.arpa) \{/m, "$1 . {");
  if (Corefile === text) return;
  await kubectl(cluster, ["patch", ...of, "--patch", JSON.stringify({ data: { Corefile } })]);
}

async function settled(cluster: Cluster): Promise<void> {
  await kubectl(cluster, ["wait", "node", "--all", "--for=condition=Ready", "--timeout=180s"]);
  // What kind itself puts in: network, name service, storage.
  for (const [namespace, what] of [
    ["kube-system", "daemonset"],
    ["kube-system", "deployment/coredns"],
    cluster.reach === "online" ? ["local-path-storage", "deployment"] : ["node-storage", "daemonset"],
  ] as const) {
    await kubectl(cluster, ["rollout", "status", "--namespace", namespace, what, "--timeout=180s"]);
  }
}
