import { hash } from "node:crypto";
import { type App, Chart } from "cdk8s";
import type { StatefulSet } from "kubernetes-types/apps/v1.d.ts";
import type { ConfigMap, Container, EnvVar, Service } from "kubernetes-types/core/v1.d.ts";
import { BROKER_PASSWORD_KEY, brokerIsBundled, brokerSecret, ERLANG_COOKIE_KEY } from "./credentials.ts";
import {
  claimTemplates,
  DATA,
  dataVolume,
  emptyFolder,
  listens,
  SERVER_USER,
  secretValue,
} from "./bundled.ts";
import { disruptionBudget } from "./disruption-budget.ts";
import { rabbitmqImage, metadata, nameOf, selectorLabels } from "../names.ts";
import { confined, podTemplate } from "../pod.ts";
import { all, digits, type Expression, more, not, text } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { printText } from "../template/print.ts";
import { checksum, Conditional, lines, type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { rabbitmq } = values;
const COMPONENT = "rabbitmq";
export const BROKER_USER = "millrace";
export const AMQP_PORT = 5672;
export const MANAGEMENT_PORT = 15672;
export const PROMETHEUS_PORT = 15692;
/** Between the nodes of a cluster: where they ask for each other, and where they meet. */
const EPMD_PORT = 4369;
const NODES_PORT = 25672;
export const CLUSTER_PORTS = [EPMD_PORT, NODES_PORT];
/** Of commands such as rabbitmqctl, which each node of the cluster answers to by itself: the first and the last. */
export const TOOL_PORTS = [35672, 35682] as const;
const FOLDER = "/var/lib/rabbitmq";

/** How a role finds the broker: where it is bundled, with the password put into the URL by Kubernetes. */
export const brokerEnv: readonly (Conditional<Templated<EnvVar>> | Templated<EnvVar>)[] = [
  when(brokerIsBundled, {
    name: "BROKER_PASSWORD",
    valueFrom: secretValue(brokerSecret, BROKER_PASSWORD_KEY),
  }),
  when(
    brokerIsBundled,
    {
      name: "MILLRACE_BROKER_URL",
      value: text`amqp://${BROKER_USER}:$(BROKER_PASSWORD)@${nameOf(COMPONENT)}:${String(AMQP_PORT)}`,
    },
    {
      name: "MILLRACE_BROKER_URL",
      valueFrom: secretValue(rabbitmq.external.existingSecret, rabbitmq.external.urlKey),
    },
  ),
  when(not(brokerIsBundled), {
    name: "MILLRACE_BROKER_MANAGEMENT_URL",
    valueFrom: {
      secretKeyRef: {
        name: rabbitmq.external.existingSecret,
        key: rabbitmq.external.managementUrlKey,
        optional: true,
      },
    },
  }),
];

const nodes = nameOf("rabbitmq-nodes");
/** The resolver of a pod adds the namespace and the cluster's domain; a long name needs no more than a dot. */
const nodeOf = (pod: string | Expression<string>): Expression<string> => text`rabbit@${pod}.${nodes}`;

const several = more(rabbitmq.replicas, 1);
const peers = [0, 1, 2, 3, 4].map((ordinal) => ({
  line: text`cluster_formation.classic_config.nodes.${String(ordinal + 1)} = ${nodeOf(text`${nameOf(COMPONENT)}-${String(ordinal)}`)}`,
  condition: more(rabbitmq.replicas, ordinal),
}));
const configuration = lines(
  "cluster_name = millrace",
  "cluster_formation.peer_discovery_backend = classic_config",
  ...peers.map(({ line, condition }) => when(condition, line)),
  // A node that gave up on the others would start as a cluster of its own, which nothing mends: its probe ends it before that.
  "cluster_formation.discovery_retry_limit = 600",
  "cluster_formation.discovery_retry_interval = 1000",
  "cluster_partition_handling = pause_minority",
  // A queue that was made before all nodes were there gets its other members later.
  "quorum_queue.continuous_membership_reconciliation.enabled = true",
  text`quorum_queue.continuous_membership_reconciliation.target_group_size = ${digits(rabbitmq.replicas)}`,
  "quorum_queue.continuous_membership_reconciliation.interval = 10000",
  "queue_leader_locator = balanced",
  // What one log file of the quorum queues holds is in memory as well, several times over.
  "raft.wal_max_size_bytes = 67108864",
  // Of the container's limit, which the environment tells: RabbitMQ does not always see it by itself.
  "vm_memory_high_watermark.relative = 0.6",
  "disk_free_limit.absolute = 512MB",
  "log.console = true",
  "log.console.level = warning",
  "log.console.use_colors = off",
);

const environment: readonly Templated<EnvVar>[] = [
  { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
  { name: "RABBITMQ_USE_LONGNAME", value: "true" },
  { name: "RABBITMQ_NODENAME", value: nodeOf("$(POD_NAME)") },
  { name: "RABBITMQ_DEFAULT_USER", value: BROKER_USER },
  { name: "RABBITMQ_DEFAULT_PASS", valueFrom: secretValue(brokerSecret, BROKER_PASSWORD_KEY) },
  {
    name: "MEMORY_LIMIT",
    valueFrom: { resourceFieldRef: { containerName: COMPONENT, resource: "limits.memory" } },
  },
  {
    name: "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
    // Schedulers that wait busily would take the processor from their neighbours.
    value:
      "+sbwt none +sbwtdcpu none +sbwtdio none -rabbit total_memory_available_override_value $(MEMORY_LIMIT)",
  },
];

/** The cookie that the nodes and their commands know each other by: a file that none but its owner can read. */
const cookie: Templated<Container> = {
  name: "cookie",
  image: rabbitmqImage,
  imagePullPolicy: rabbitmq.image.pullPolicy,
  command: [
    "sh",
    "-c",
    `umask 077 && rm -f ${FOLDER}/.erlang.cookie && cat /cookie/${ERLANG_COOKIE_KEY} > ${FOLDER}/.erlang.cookie && chmod 400 ${FOLDER}/.erlang.cookie`,
  ],
  securityContext: confined,
  resources: rabbitmq.resources as Expression<object>,
  volumeMounts: [
    { name: DATA, mountPath: FOLDER },
    { name: "cookie", mountPath: "/cookie", readOnly: true },
  ],
};

const server: Templated<Container> = {
  name: COMPONENT,
  image: rabbitmqImage,
  imagePullPolicy: rabbitmq.image.pullPolicy,
  ports: [
    { name: "amqp", containerPort: AMQP_PORT },
    { name: "management", containerPort: MANAGEMENT_PORT },
    { name: "prometheus", containerPort: PROMETHEUS_PORT },
    { name: "epmd", containerPort: EPMD_PORT },
    { name: "nodes", containerPort: NODES_PORT },
  ],
  env: environment,
  resources: rabbitmq.resources as Expression<object>,
  securityContext: confined,
  ...listens("amqp"),
  lifecycle: when(several, {
    // Until the others can do without it.
    preStop: { exec: { command: ["rabbitmq-upgrade", "await_online_quorum_plus_one", "--timeout", "30"] } },
  }),
  volumeMounts: [
    { name: DATA, mountPath: FOLDER },
    {
      name: "configuration",
      mountPath: "/etc/rabbitmq/conf.d/20-millrace.conf",
      subPath: "rabbitmq.conf",
      readOnly: true,
    },
    { name: "tmp", mountPath: "/tmp" },
    { name: "log", mountPath: "/var/log/rabbitmq" },
  ],
};

export function rabbitMq(app: App): void {
  const chart = new Chart(app, COMPONENT);
  const presence = { condition: brokerIsBundled };
  new Manifest<ConfigMap>(
    chart,
    "configuration",
    { apiVersion: "v1", kind: "ConfigMap" },
    { metadata: metadata(COMPONENT), data: { "rabbitmq.conf": configuration } },
    presence,
  );
  new Manifest<StatefulSet>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "StatefulSet" },
    {
      metadata: metadata(COMPONENT),
      spec: {
        serviceName: nodes,
        replicas: rabbitmq.replicas,
        // Nodes wait for each other.
        podManagementPolicy: "Parallel",
        selector: { matchLabels: selectorLabels(COMPONENT) },
        template: podTemplate({
          component: COMPONENT,
          user: SERVER_USER,
          podValues: rabbitmq,
          // It is read once, at the start.
          annotations: {
            "checksum/configuration": checksum({
              lines: hash("sha256", printText(configuration)),
              nodes,
              replicas: digits(rabbitmq.replicas),
            }),
          },
          graceSeconds: 90,
          initContainers: [cookie],
          containers: [server],
          volumes: [
            dataVolume(rabbitmq.persistence),
            { name: "configuration", configMap: { name: nameOf(COMPONENT) } },
            {
              name: "cookie",
              secret: {
                secretName: brokerSecret,
                items: [{ key: ERLANG_COOKIE_KEY, path: ERLANG_COOKIE_KEY }],
              },
            },
            emptyFolder("tmp", "64Mi"),
            emptyFolder("log", "64Mi"),
          ],
        }),
        volumeClaimTemplates: claimTemplates(rabbitmq.persistence),
      },
    },
    presence,
  );
  new Manifest<Service>(
    chart,
    "service",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata(COMPONENT),
      spec: {
        selector: selectorLabels(COMPONENT),
        ports: [
          { name: "amqp", port: AMQP_PORT, targetPort: "amqp", appProtocol: "amqp" },
          { name: "management", port: MANAGEMENT_PORT, targetPort: "management", appProtocol: "http" },
        ],
      },
    },
    presence,
  );
  new Manifest<Service>(
    chart,
    "nodes",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata(COMPONENT, nodes),
      spec: {
        clusterIP: "None",
        // A node looks for the others before it is ready.
        publishNotReadyAddresses: true,
        selector: selectorLabels(COMPONENT),
        ports: [{ name: "amqp", port: AMQP_PORT, targetPort: "amqp" }],
      },
    },
    presence,
  );
  disruptionBudget(chart, COMPONENT, all(brokerIsBundled, several));
}
