import type { Chart } from "cdk8s";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.d.ts";
import { metadata, selectorLabels } from "../names.ts";
import { all, type Expression } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { values } from "../values.ts";

/** At most one pod of the component is taken away at a time, so that of a single one there is nothing to guard. */
export function disruptionBudget(chart: Chart, component: string, several: Expression<boolean>): void {
  new Manifest<PodDisruptionBudget>(
    chart,
    "disruption-budget",
    { apiVersion: "policy/v1", kind: "PodDisruptionBudget" },
    {
      metadata: metadata(component),
      spec: { maxUnavailable: 1, selector: { matchLabels: selectorLabels(component) } },
    },
    { condition: all(values.podDisruptionBudgets.enabled, several) },
  );
}
