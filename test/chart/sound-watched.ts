import { labels, metadata, pods, probes, toDns } from "./sound-parts.ts";

const admin = (component: string) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadata(component, `tiny-${component}-admin`),
  spec: {
    clusterIP: "None",
    selector: labels(component),
    ports: [{ name: "admin", port: 9090, targetPort: "admin" }],
  },
});
const monitor = (component: string, honorLabels: boolean) => ({
  apiVersion: "monitoring.coreos.com/v1",
  kind: "PodMonitor",
  metadata: metadata("monitor", `tiny-${component}`),
  spec: {
    selector: { matchLabels: labels(component) },
    podMetricsEndpoints: [
      { port: "admin", honorLabels, relabelings: [{ targetLabel: "instance" }, { targetLabel: "job" }] },
    ],
  },
});
const everyRole = ["collector", "operator", "query", "worker"];
const readers = ["prometheus", "query"];
const job = (component: string) =>
  [
    `- job_name: millrace/${component}`,
    `  honor_labels: ${component === "operator"}`,
    `  dns_sd_configs: [{ names: [tiny-${component}-admin], port: 9090 }]`,
  ].join("\n");
const peers = (components: readonly string[]) =>
  components.map((component) => ({ podSelector: { matchLabels: labels(component) } }));

/** A Prometheus that reads every role and itself, and a query API that does so for its console; policies for both. */
export const watched = (): readonly object[] => [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata("query"),
    spec: {
      replicas: 1,
      selector: { matchLabels: labels("query") },
      template: pods("query", {
        args: ["query"],
        ports: [
          { name: "http", containerPort: 3001 },
          { name: "admin", containerPort: 9090 },
        ],
        envFrom: [{ configMapRef: { name: "tiny-settings" } }],
        env: [
          { name: "NODE_OPTIONS", value: "--max-old-space-size=96" },
          {
            name: "MILLRACE_STORE_URL",
            valueFrom: { secretKeyRef: { name: "tiny-credentials", key: "store" } },
          },
          {
            name: "MILLRACE_CONSOLE_SOURCES",
            value: everyRole
              .map(
                (component) =>
                  `${component === "worker" ? "hourlyLog" : component}=tiny-${component}-admin:9090`,
              )
              .join(),
          },
        ],
        ...probes("admin"),
      }),
    },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata("query"),
    spec: {
      podSelector: { matchLabels: labels("query") },
      policyTypes: ["Egress"],
      egress: [{ to: peers(everyRole), ports: [{ port: 9090 }] }, toDns],
    },
  },
  ...everyRole.map(admin),
  ...everyRole.map((component) => monitor(component, component === "operator")),
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadata("prometheus"),
    data: {
      "prometheus.yaml": `scrape_configs:\n${everyRole.map(job).join("\n")}\n`,
      "datasources.yaml": "datasources: [{ url: http://tiny-prometheus:9090 }]\n",
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata("prometheus"),
    spec: { selector: labels("prometheus"), ports: [{ name: "http", port: 9090, targetPort: "http" }] },
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata("prometheus"),
    spec: {
      replicas: 1,
      selector: { matchLabels: labels("prometheus") },
      template: pods(
        "prometheus",
        {
          ports: [{ name: "http", containerPort: 9090 }],
          volumeMounts: [
            { name: "configuration", mountPath: "/etc/prometheus.yaml", subPath: "prometheus.yaml" },
          ],
          ...probes("http"),
        },
        [{ name: "configuration", configMap: { name: "tiny-prometheus" } }],
      ),
    },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata("prometheus"),
    spec: {
      podSelector: { matchLabels: labels("prometheus") },
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: peers(["prometheus"]), ports: [{ port: "http" }] }],
      egress: [{ to: peers([...everyRole, "prometheus"]), ports: [{ port: 9090 }] }, toDns],
    },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata("admin"),
    spec: {
      podSelector: {
        matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: everyRole }],
      },
      policyTypes: ["Ingress"],
      ingress: [{ from: peers(readers), ports: [{ port: 9090 }] }],
    },
  },
];
