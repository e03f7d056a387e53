import { type Cluster, findCluster } from "../../kind/cluster.ts";
import { command } from "../parts/command.ts";

/** Beside a cluster that somebody works with. */
export const NAME = "millrace-test";
const PORTS = ["--http-port", "18080", "--https-port", "18443"];

/** `npm run kind:up`, as a user runs it, with the values file; resolves once it says that all is ready. */
export async function kindUp(
  valuesFile: string,
): Promise<{ readonly cluster: Cluster; readonly seconds: number }> {
  const begun = Date.now();
  await command(process.execPath, ["kind/up.ts", "--name", NAME, ...PORTS, "--values", valuesFile], {
    folder: `${import.meta.dirname}/../..`,
  });
  const cluster = await findCluster(NAME);
  if (cluster === undefined) throw new Error("kind:up ended well, and there is no cluster");
  return { cluster, seconds: (Date.now() - begun) / 1000 };
}
