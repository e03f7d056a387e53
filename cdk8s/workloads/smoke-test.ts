import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type App, Chart } from "cdk8s";
import type { Pod } from "kubernetes-types/core/v1.d.ts";
import { COLLECTOR_PORT } from "./collector.ts";
import { QUERY_PORT } from "./query.ts";
import { ROLE_USER } from "./role.ts";
import { metadata, millraceImage, nameOf } from "../names.ts";
import { confined, podTemplate } from "../pod.ts";
import { any, either, filled, text } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { when } from "../template/tree.ts";
import { values } from "../values.ts";

/** Above the minute that its steps have, with time for the image. */
const DEADLINE_SECONDS = 180;
export const SMOKE_TEST = "smoke-test";
const name = nameOf(SMOKE_TEST);
const { keys, writeKeys } = values;

/** Of one run: gone with it when it passes, and with the next one otherwise. */
const hook = {
  "helm.sh/hook": "test",
  "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
};

/** `helm test`: an event goes the whole way. The plain manifests have none, as kubectl has no such command. */
export function smokeTest(app: App): void {
  const chart = new Chart(app, SMOKE_TEST);
  const program = readFileSync(join(import.meta.dirname, "smoke-test.mjs"), "utf8");
  const { spec } = podTemplate({
    component: SMOKE_TEST,
    user: ROLE_USER,
    podValues: values.query,
    graceSeconds: 1,
    containers: [
      {
        name: SMOKE_TEST,
        image: millraceImage,
        imagePullPolicy: values.image.pullPolicy,
        command: ["node", "--input-type=module", "--eval", program],
        env: [
          { name: "COLLECTOR", value: text`http://${nameOf("collector")}:${String(COLLECTOR_PORT)}` },
          { name: "QUERY", value: text`http://${nameOf("query")}:${String(QUERY_PORT)}` },
          when(any(filled(keys.existingSecret), filled(writeKeys.existingSecret)), {
            name: "KEY",
            valueFrom: {
              secretKeyRef: {
                name: either(keys.existingSecret, writeKeys.existingSecret),
                key: "key",
                optional: true,
              },
            },
          }),
        ],
        resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { memory: "128Mi" } },
        securityContext: confined,
      },
    ],
    volumes: [],
  }) as { spec: object };
  const { topologySpreadConstraints: _, volumes: __, ...pod } = spec as Record<string, unknown>;
  new Manifest<Pod>(
    chart,
    "pod",
    { apiVersion: "v1", kind: "Pod" },
    {
      metadata: metadata(SMOKE_TEST, name, hook),
      spec: { ...pod, restartPolicy: "Never", activeDeadlineSeconds: DEADLINE_SECONDS } as never,
    },
    { chartOnly: true },
  );
}
