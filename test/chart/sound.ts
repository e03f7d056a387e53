import type { KubernetesObject } from "./objects.ts";

const labels = (component: string) => ({
  "app.kubernetes.io/name": "millrace",
  "app.kubernetes.io/instance": "tiny",
  "app.kubernetes.io/component": component,
});
const metadata = (component: string, name = `tiny-${component}`) => ({
  name,
  labels: {
    ...labels(component),
    "app.kubernetes.io/version": "1.0.0",
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": "millrace-1.0.0",
  },
});

function pods(component: string, container: object, volumes: readonly object[] = []) {
  return {
    metadata: { labels: labels(component) },
    spec: {
      automountServiceAccountToken: false,
      serviceAccountName: "tiny-account",
      terminationGracePeriodSeconds: 20,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: component,
          image: "registry.example/millrace:1.0.0",
          resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          ...container,
        },
      ],
      volumes,
    },
  };
}

const probes = (port: string) => ({
  startupProbe: { httpGet: { path: "/healthz", port } },
  livenessProbe: { httpGet: { path: "/healthz", port } },
  readinessProbe: { httpGet: { path: "/readyz", port } },
});
const toDns = {
  to: [{ namespaceSelector: {} }],
  ports: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
  ],
};

/** A release in which no check finds fault: a collector that is scaled, and its broker. */
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
      data: { password: Buffer.from("twelve-bytes").toString("base64") },
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
            env: [
              { name: "NODE_OPTIONS", value: "--max-old-space-size=96" },
              {
                name: "PASSWORD",
                valueFrom: { secretKeyRef: { name: "tiny-credentials", key: "password" } },
              },
              { name: "MILLRACE_BROKER_URL", value: "amqp://tiny:$(PASSWORD)@tiny-rabbitmq:5672" },
            ],
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
          ports: [{ name: "amqp", containerPort: 5672 }],
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
        ports: [{ name: "amqp", port: 5672, targetPort: "amqp" }],
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
  ] satisfies KubernetesObject[]) as KubernetesObject[];
}
