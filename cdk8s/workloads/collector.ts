import { type App, Chart } from "cdk8s";
import type { HorizontalPodAutoscaler } from "kubernetes-types/autoscaling/v2.d.ts";
import { keysFile, writeKeyHashes } from "./keys.ts";
import { roleWorkload } from "./role.ts";
import { metadata, nameOf } from "../names.ts";
import { all, any, digits, more, not, text } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { when } from "../template/tree.ts";
import { values } from "../values.ts";

export const COLLECTOR_PORT = 3000;
const { autoscaling } = values.collector;

export function collector(app: App): void {
  const chart = new Chart(app, "collector");
  const several = any(
    all(autoscaling.enabled, more(autoscaling.maxReplicas, 1)),
    all(not(autoscaling.enabled), more(values.collector.replicas, 1)),
  );
  roleWorkload(chart, {
    component: "collector",
    roleValues: values.collector,
    // Where the autoscaler sets it, nobody else may.
    replicas: when(not(autoscaling.enabled), values.collector.replicas),
    several,
    needs: ["broker"],
    args: ["collector"],
    httpPort: COLLECTOR_PORT,
    env: [writeKeyHashes, keysFile.env],
    files: [keysFile],
  });
  new Manifest<HorizontalPodAutoscaler>(
    chart,
    "autoscaler",
    { apiVersion: "autoscaling/v2", kind: "HorizontalPodAutoscaler" },
    {
      metadata: metadata("collector"),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: nameOf("collector") },
        minReplicas: autoscaling.minReplicas,
        maxReplicas: autoscaling.maxReplicas,
        metrics: [
          {
            type: "Resource",
            resource: {
              name: "cpu",
              target: { type: "Utilization", averageUtilization: autoscaling.targetCpuPercent },
            },
          },
        ],
        // It comes at once, and goes one pod at a time.
        behavior: {
          scaleUp: { stabilizationWindowSeconds: 0 },
          scaleDown: { policies: [{ type: "Pods", value: 1, periodSeconds: 60 }] },
        },
      },
    },
    {
      condition: autoscaling.enabled,
      obstacle: {
        condition: more(autoscaling.minReplicas, autoscaling.maxReplicas),
        message: text`collector.autoscaling.minReplicas is ${digits(autoscaling.minReplicas)}; it must not be above maxReplicas, which is ${digits(autoscaling.maxReplicas)}`,
      },
    },
  );
}
