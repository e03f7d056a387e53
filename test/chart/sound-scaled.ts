import { brokerVariables, labels, metadata, pods, probes, toDns } from "./sound-parts.ts";

/** A role that serves nothing. */
const role = (component: string, args: readonly string[], env: readonly object[], more: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: metadata(component),
  spec: {
    selector: { matchLabels: labels(component) },
    template: pods(
      component,
      {
        args,
        ports: [{ name: "admin", containerPort: 9090 }],
        envFrom: [{ configMapRef: { name: "tiny-settings" } }],
        env: [{ name: "NODE_OPTIONS", value: "--max-old-space-size=96" }, ...env],
        ...probes("admin"),
      },
      [],
      more,
    ),
  },
});
const toBroker = (component: string, port: number) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: metadata(component),
  spec: {
    podSelector: { matchLabels: labels(component) },
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: labels("rabbitmq") } }], ports: [{ port }] }, toDns],
  },
});
const withReplicas = (replicas: number, { spec, ...rest }: ReturnType<typeof role>) => ({
  ...rest,
  spec: { ...spec, replicas },
});
const rbac = "rbac.authorization.k8s.io";

/** The operator, with no more rights than it takes for one worker, and that worker. */
export const scaled = (): readonly object[] => [
  { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata("operator") },
  {
    apiVersion: `${rbac}/v1`,
    kind: "Role",
    metadata: metadata("operator"),
    rules: [
      { apiGroups: ["apps"], resources: ["deployments/scale"], verbs: ["get", "patch"] },
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["tiny-credentials"], verbs: ["get"] },
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: metadata("operator"),
    roleRef: { apiGroup: rbac, kind: "Role", name: "tiny-operator" },
    subjects: [{ kind: "ServiceAccount", name: "tiny-operator" }],
  },
  withReplicas(
    1,
    role(
      "operator",
      ["operator"],
      [
        {
          name: "MILLRACE_OPERATOR_LEASE_NAMESPACE",
          valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } },
        },
      ],
      { serviceAccountName: "tiny-operator", automountServiceAccountToken: true },
    ),
  ),
  role(
    "worker",
    ["worker", "hourlyLog"],
    [
      ...brokerVariables,
      { name: "MILLRACE_STORE_URL", valueFrom: { secretKeyRef: { name: "tiny-credentials", key: "store" } } },
      { name: "MILLRACE_MAX_WAIT_SECONDS", value: "30" },
    ],
  ),
  toBroker("operator", 15672),
  toBroker("worker", 5672),
  {
    apiVersion: "millrace.io/v1alpha1",
    kind: "QueueScaler",
    metadata: metadata("worker"),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "tiny-worker" },
      queue: { name: "hourlyLog" },
      brokerRef: {
        url: "http://tiny@tiny-rabbitmq:15672",
        secret: { name: "tiny-credentials", passwordKey: "password" },
      },
      replicas: { min: 0, max: 3 },
      objective: { maxWaitSeconds: 30 },
    },
  },
];
