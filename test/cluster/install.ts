import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, kubectl } from "../../kind/cluster.ts";
import { obtainHelmFor } from "../../kind/programs.ts";
import { command } from "../parts/command.ts";

/** What these tests read of a pod. */
export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime: string;
    }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

/** One namespace of the cluster, and the commands that act in it. */
export class Namespace {
  readonly cluster: Cluster;
  readonly name: string;

  constructor(cluster: Cluster, name: string) {
    this.cluster = cluster;
    this.name = name;
  }

  /** Makes it, and has it enforce the restricted pod security standard. */
  async create(): Promise<void> {
    await kubectl(this.cluster, ["create", "namespace", this.name]);
    const enforce = "pod-security.kubernetes.io/enforce=restricted";
    await kubectl(this.cluster, ["label", "namespace", this.name, enforce]);
  }

  async remove(): Promise<void> {
    await kubectl(this.cluster, ["delete", "namespace", this.name, "--wait=true", "--timeout=180s"]);
  }

  async kubectl(...words: readonly string[]): Promise<string> {
    return kubectl(this.cluster, ["--namespace", this.name, ...words]);
  }

  async helm(...words: readonly string[]): Promise<string> {
    const { reach, kubeconfig, context } = this.cluster;
    const where = ["--kubeconfig", kubeconfig, "--kube-context", context, "--namespace", this.name];
    return command(await obtainHelmFor(reach), [...words, ...where]);
  }

  /** Makes the objects as they are given, or makes those that are there like that. */
  async apply(...objects: readonly object[]): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "millrace-apply-"));
    try {
      const file = join(folder, "objects.json");
      await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
      await this.kubectl("apply", "--server-side", "--filename", file);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  /** Those of the kind, such as `pods`. */
  async list<T>(kind: string, selector = ""): Promise<readonly T[]> {
    const text = await this.kubectl("get", kind, "--output=json", `--selector=${selector}`);
    return (JSON.parse(text) as { readonly items: readonly T[] }).items;
  }

  /** Those that are not on their way out. */
  async pods(component?: string): Promise<readonly Pod[]> {
    const selector = component === undefined ? "" : `app.kubernetes.io/component=${component}`;
    const pods = await this.list<Pod>("pods", selector);
    return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  }

  /** Resolves once every pod is ready that is not on its way out, and there are some. Rejects with what those say that are not. */
  async waitForPods(seconds = 300): Promise<void> {
    for (const deadline = Date.now() + seconds * 1000; ; await sleep(1000)) {
      const pods = await this.pods();
      const waiting = pods.filter((pod) => !isReady(pod)).map(({ metadata }) => metadata.name);
      if (pods.length > 0 && waiting.length === 0) return;
      if (Date.now() < deadline) continue;
      const said = waiting.map(async (name) => `${name}:\n${await this.kubectl("logs", name, "--tail=20")}`);
      throw new Error(`not ready after ${seconds} s: ${(await Promise.all(said)).join("\n")}`);
    }
  }

  /** Kind and name of all there is in it, apart from what Kubernetes puts into every namespace. */
  async contents(): Promise<readonly string[]> {
    const kinds = await this.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name");
    const listed = kinds
      .trim()
      .split("\n")
      .filter((kind) => !/^events|metrics\.k8s\.io$/.test(kind));
    const names = await this.kubectl("get", listed.join(","), "--output=name", "--ignore-not-found");
    const always = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
    return names
      .trim()
      .split("\n")
      .filter((name) => name !== "" && !always.includes(name))
      .toSorted();
  }
}

export const componentOf = (pod: Pod): string => pod.metadata.labels["app.kubernetes.io/component"] ?? "";

/** In milliseconds since 1970, to the second; infinite for a pod that is not ready. */
export function readySinceMs(pod: Pod): number {
  const ready = pod.status.conditions?.find(({ type, status }) => type === "Ready" && status === "True");
  return ready === undefined ? Number.POSITIVE_INFINITY : Date.parse(ready.lastTransitionTime);
}

export const isReady = (pod: Pod): boolean => Number.isFinite(readySinceMs(pod));

export function restartsOf(pod: Pod): number {
  return (pod.status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
}
