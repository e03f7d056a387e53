import { ADMIN_PORT } from "../../cdk8s/workloads/components.ts";
import { componentOf, type Namespace } from "./install.ts";

/** Pods that hold no Millrace. */
const SERVERS = ["grafana", "mongodb", "prometheus", "rabbitmq"];

/** Where the metrics of every pod of a role are, as `10.244.1.7:9090`. */
export async function adminAddresses(millrace: Namespace): Promise<readonly string[]> {
  const pods = (await millrace.pods()).filter((pod) => !SERVERS.includes(componentOf(pod)));
  return pods.map(({ status }) => `${status.podIP}:${ADMIN_PORT}`);
}

/** What keeps those that are read from being those that are there, each once; empty where nothing does. */
export function differences(there: readonly string[], read: readonly string[]): readonly string[] {
  return [
    ...there.filter((one) => !read.includes(one)).map((one) => `there, and not read: ${one}`),
    ...read.filter((one) => !there.includes(one)).map((one) => `read, and not there: ${one}`),
    ...read.filter((one, at) => read.indexOf(one) < at).map((one) => `read twice: ${one}`),
  ];
}
