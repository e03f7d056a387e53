import { type App, Chart } from "cdk8s";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import { disruptionBudget } from "./disruption-budget.ts";
import { rolePods } from "./role.ts";
import { metadata, selectorLabels } from "../names.ts";
import { more } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
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
    const chart = new Chart(app, component);
    const workerValues = values.workers[projection];
    new Manifest<Deployment>(
      chart,
      "pods",
      { apiVersion: "apps/v1", kind: "Deployment" },
      {
        metadata: metadata(component),
        spec: {
          replicas: workerValues.replicas,
          selector: { matchLabels: selectorLabels(component) },
          strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          template: rolePods({
            component,
            roleValues: workerValues,
            needs: ["broker", "store"],
            args: ["worker", projection],
          }),
        },
      },
    );
    disruptionBudget(chart, component, more(workerValues.replicas, 1));
  }
}
