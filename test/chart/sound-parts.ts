// Pieces of the release in sound.ts.

export const labels = (component: string) => ({
  "app.kubernetes.io/name": "millrace",
  "app.kubernetes.io/instance": "tiny",
  "app.kubernetes.io/component": component,
});
export const metadata = (component: string, name = `tiny-${component}`) => ({
  name,
  labels: {
    ...labels(component),
    "app.kubernetes.io/version": "1.0.0",
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": "millrace-1.0.0",
  },
});

export function pods(
  component: string,
  container: object,
  volumes: readonly object[] = [],
  more: object = {},
) {
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
      ...more,
    },
  };
}

export const probes = (port: string) => ({
  startupProbe: { httpGet: { path: "/healthz", port } },
  livenessProbe: { httpGet: { path: "/healthz", port } },
  readinessProbe: { httpGet: { path: "/readyz", port } },
});
export const toDns = {
  to: [{ namespaceSelector: {} }],
  ports: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
  ],
};

export const brokerVariables = [
  { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "tiny-credentials", key: "password" } } },
  { name: "MILLRACE_BROKER_URL", value: "amqp://tiny:$(PASSWORD)@tiny-rabbitmq:5672" },
];
