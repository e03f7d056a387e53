import { type App, Chart } from "cdk8s";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { Service } from "kubernetes-types/core/v1.d.ts";
import { disruptionBudget } from "./disruption-budget.ts";
import { rolePods } from "./role.ts";
import { metadata, selectorLabels } from "../names.ts";
import { more } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { values } from "../values.ts";

export const QUERY_PORT = 3001;

export function query(app: App): void {
  const chart = new Chart(app, "query");
  new Manifest<Deployment>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "Deployment" },
    {
      metadata: metadata("query"),
      spec: {
        replicas: values.query.replicas,
        selector: { matchLabels: selectorLabels("query") },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: rolePods({
          component: "query",
          roleValues: values.query,
          needs: ["store"],
          args: ["query"],
          ports: [{ name: "http", containerPort: QUERY_PORT }],
        }),
      },
    },
  );
  new Manifest<Service>(
    chart,
    "service",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata("query"),
      spec: {
        selector: selectorLabels("query"),
        ports: [{ name: "http", port: QUERY_PORT, targetPort: "http", appProtocol: "http" }],
      },
    },
  );
  disruptionBudget(chart, "query", more(values.query.replicas, 1));
}
