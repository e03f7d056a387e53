import type { KubernetesObject } from "./objects.ts";
import { brokerVariables, labels, metadata, pods, probes, toDns } from "./sound-parts.ts";
import { scaled } from "./sound-scaled.ts";
import { watched } from "./sound-watched.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** A release in which no check finds fault: a collector and a worker, which are scaled, their broker, the operator, and a Prometheus. */
export function soundObjects(): KubernetesObject[] {
  return structuredClone([
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata("account") },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: metadata("settings"),
      data: { MILLRACE_HOST: "0.0.0.0", MILLRACE_MAX_ATTEMPTS: "7" },
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata("credentials"),
      data: { password: base64("twelve-bytes"), store: base64("mongodb://store.example.org/tiny") },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: metadata("collector"),
      spec: {
        selector: { matchLabels: labels("collector") },
        template: pods(
          "collector",
          {
            args: ["collector"],
            ports: [
              { name: "http", containerPort: 3000 },
              { name: "admin", containerPort: 9090 },
            ],
            envFrom: [{ configMapRef: { name: "tiny-settings" } }],
            env: [{ name: "NODE_OPTIONS", value: "--max-old-space-size=96" }, ...brokerVariables],
            volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
            ...probes("admin"),
          },
          [{ name: "tmp", emptyDir: { sizeLimit: "1Mi" } }],
        ),
      },
    },
    {
      apiVersion: "apps/v1",
      kind: "StatefulSet",
      metadata: metadata("rabbitmq"),
      spec: {
        replicas: 3,
        serviceName: "tiny-rabbitmq",
        selector: { matchLabels: labels("rabbitmq") },
        template: pods("rabbitmq", {
          ports: [
            { name: "amqp", containerPort: 5672 },
            { name: "management", containerPort: 15672 },
          ],
          volumeMounts: [{ name: "data", mountPath: "/data" }],
          ...probes("amqp"),
        }),
        volumeClaimTemplates: [
          {
            metadata: { name: "data", labels: labels("rabbitmq") },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
          },
        ],
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("collector"),
      spec: {
        selector: labels("collector"),
        ports: [{ name: "http", port: 80, targetPort: "http" }],
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("rabbitmq"),
      spec: {
        clusterIP: "None",
        selector: labels("rabbitmq"),
        ports: [
          { name: "amqp", port: 5672, targetPort: "amqp" },
          { name: "management", port: 15672, targetPort: "management" },
        ],
      },
    },
    {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: metadata("collector"),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "tiny-collector" },
        minReplicas: 2,
        maxReplicas: 4,
        metrics: [
          {
            type: "Resource",
            resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } },
          },
        ],
      },
    },
    {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: metadata("collector"),
      spec: { maxUnavailable: 1, selector: { matchLabels: labels("collector") } },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: metadata("all"),
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: metadata("collector"),
      spec: {
        podSelector: { matchLabels: labels("collector") },
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ ports: [{ port: "http" }] }],
        egress: [
          { to: [{ podSelector: { matchLabels: labels("rabbitmq") } }], ports: [{ port: 5672 }] },
          toDns,
        ],
      },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: metadata("rabbitmq"),
      spec: {
        podSelector: { matchLabels: labels("rabbitmq") },
        policyTypes: ["Ingress"],
        ingress: [
          { from: [{ podSelector: { matchLabels: labels("collector") } }], ports: [{ port: "amqp" }] },
          { from: [{ podSelector: { matchLabels: labels("worker") } }], ports: [{ port: "amqp" }] },
          { from: [{ podSelector: { matchLabels: labels("operator") } }], ports: [{ port: "management" }] },
        ],
      },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: metadata("ingress"),
      spec: {
        rules: [
          {
            http: {
              paths: [
                {
                  path: "/",
                  pathType: "Prefix",
                  backend: { service: { name: "tiny-collector", port: { name: "http" } } },
                },
              ],
            },
          },
        ],
      },
    },
    ...scaled(),
    ...watched(),
  ] satisfies object[]) as KubernetesObject[];
}
