import { type App, Chart } from "cdk8s";
import { roleWorkload } from "./role.ts";
import { more } from "../template/expression.ts";
import { values } from "../values.ts";

type Projection = keyof typeof values.workers;
const components: Readonly<Record<Projection, string>> = {
  accountName: "worker-account-name",
  distinctName: "worker-distinct-name",
  hourlyLog: "worker-hourly-log",
};
export const workerComponents = Object.values(components);

export function workers(app: App): void {
  for (const [projection, component] of Object.entries(components) as [Projection, string][]) {
    const workerValues = values.workers[projection];
    roleWorkload(new Chart(app, component), {
      component,
      roleValues: workerValues,
      replicas: workerValues.replicas,
      several: more(workerValues.replicas, 1),
      needs: ["broker", "store"],
      args: ["worker", projection],
    });
  }
}
