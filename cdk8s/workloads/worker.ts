import { type App, Chart } from "cdk8s";
import { variableOf } from "../../src/settings.ts";
import { workerComponents as components } from "./components.ts";
import { queueScaler } from "./queue-scaler.ts";
import { roleWorkload } from "./role.ts";
import { all, any, digits, more, not } from "../template/expression.ts";
import { when } from "../template/tree.ts";
import { values } from "../values.ts";

type Projection = keyof typeof components;

export function workers(app: App): void {
  for (const [projection, component] of Object.entries(components) as [
    Projection,
    (typeof components)[Projection],
  ][]) {
    const workerValues = values.workers[projection];
    const { scaling } = workerValues;
    const chart = new Chart(app, component);
    roleWorkload(chart, {
      component,
      roleValues: workerValues,
      // Where the operator sets it, nobody else may.
      replicas: when(not(scaling.enabled), workerValues.replicas),
      several: any(
        all(scaling.enabled, more(scaling.maxReplicas, 1)),
        all(not(scaling.enabled), more(workerValues.replicas, 1)),
      ),
      needs: ["broker", "store"],
      args: ["worker", projection],
      // What is late to the operator is late to the metrics.
      env: [{ name: variableOf("maxWaitSeconds"), value: digits(scaling.maxWaitSeconds) }],
    });
    queueScaler(chart, projection, component);
  }
}

/** Whether there is a QueueScaler. */
export const someAreScaled = any(...Object.values(values.workers).map(({ scaling }) => scaling.enabled));
