import { spawn } from "node:child_process";
import type { Namespace } from "./install.ts";

interface Moment {
  readonly seconds: number;
  readonly replicas: number;
  readonly ready: number;
}

/** The replicas of a Deployment, and those of them that are ready, from the start on until it is disposed of. */
export class Timeline implements Disposable {
  readonly #moments: Moment[] = [];
  readonly #stop: () => void;

  constructor({ cluster, name: namespace }: Namespace, deployment: string) {
    const begunMs = Date.now();
    const which = [
      "--kubeconfig",
      cluster.kubeconfig,
      "--context",
      cluster.context,
      "--namespace",
      namespace,
    ];
    const what = `jsonpath={.spec.replicas} {.status.readyReplicas}{"\\n"}`;
    const words = [...which, "get", "deployment", deployment, "--watch", "--output", what];
    const child = spawn(cluster.programs.kubectl, words, { stdio: ["ignore", "pipe", "inherit"] });
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [replicas = 0, ready = 0] = line.split(" ").map(Number);
        this.#add({ seconds: (Date.now() - begunMs) / 1000, replicas, ready });
      }
    });
    this.#stop = () => child.kill();
  }

  #add(moment: Moment): void {
    const { replicas, ready } = this.#moments.at(-1) ?? {};
    if (moment.replicas !== replicas || moment.ready !== ready) this.#moments.push(moment);
  }

  get replicas(): number | undefined {
    return this.#moments.at(-1)?.replicas;
  }
  get ready(): number | undefined {
    return this.#moments.at(-1)?.ready;
  }

  /** Such as `0.2 s 1 (1 ready), 4.1 s 3 (1 ready)`. */
  line(): string {
    return this.#moments
      .map(({ seconds, replicas, ready }) => `${seconds.toFixed(1)} s ${replicas} (${ready} ready)`)
      .join(", ");
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
