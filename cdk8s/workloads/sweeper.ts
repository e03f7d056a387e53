import { type App, Chart } from "cdk8s";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import { disruptionBudget } from "./disruption-budget.ts";
import { rolePods } from "./role.ts";
import { metadata, selectorLabels } from "../names.ts";
import { more } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { values } from "../values.ts";

export function sweeper(app: App): void {
  const chart = new Chart(app, "sweeper");
  new Manifest<Deployment>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "Deployment" },
    {
      metadata: metadata("sweeper"),
      spec: {
        replicas: values.sweeper.replicas,
        selector: { matchLabels: selectorLabels("sweeper") },
        template: rolePods({
          component: "sweeper",
          roleValues: values.sweeper,
          needs: ["store"],
          args: ["sweeper"],
        }),
      },
    },
  );
  disruptionBudget(chart, "sweeper", more(values.sweeper.replicas, 1));
}
