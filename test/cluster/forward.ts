import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Namespace } from "./install.ts";

const PATIENCE_MS = 30_000;

export interface Forward extends Disposable {
  /** Of 127.0.0.1. */
  readonly url: string;
}

/** `kubectl port-forward` to a pod of the Service, as a user does it, from a port that is free here. It ends with that pod. */
export async function forward(
  { cluster, name: namespace }: Namespace,
  service: string,
  port: number,
): Promise<Forward> {
  const where = ["--kubeconfig", cluster.kubeconfig, "--context", cluster.context, "--namespace", namespace];
  const words = [...where, "port-forward", "--address=127.0.0.1", `service/${service}`, `:${port}`];
  const child = spawn(cluster.programs.kubectl, words, { stdio: ["ignore", "pipe", "inherit"] });
  const overdue = setTimeout(() => child.kill(), PATIENCE_MS);
  try {
    const here = await new Promise<string>((done, fail) => {
      // Also what it says later, a line a connection: it would stand still if nobody read that.
      createInterface(child.stdout).on("line", (line) => {
        const address = /^Forwarding from (127\.0\.0\.1:\d+) /.exec(line)?.[1];
        if (address !== undefined) done(address);
      });
      child.once("error", fail);
      child.once("close", () => fail(new Error(`kubectl port-forward to ${service} ended without a port`)));
    });
    return { url: `http://${here}`, [Symbol.dispose]: () => child.kill() };
  } finally {
    clearTimeout(overdue);
  }
}
