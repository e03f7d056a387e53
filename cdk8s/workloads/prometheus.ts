import { hash } from "node:crypto";
import { type App, Chart } from "cdk8s";
import type { StatefulSet } from "kubernetes-types/apps/v1.d.ts";
import type { ConfigMap, Container, Service } from "kubernetes-types/core/v1.d.ts";
import { claimTemplates, DATA, dataVolume } from "./bundled.ts";
import { ADMIN_PORT, adminNames, type Component, components, OPERATOR } from "./components.ts";
import { ruleText } from "../monitoring-files.ts";
import { metadata, nameOf, prometheusImage, selectorLabels } from "../names.ts";
import { confined, httpProbe, podTemplate } from "../pod.ts";
import { type Expression, releaseNamespace, text, textOf } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { printText } from "../template/print.ts";
import { checksum, type Conditional, lines, type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { bundled } = values.monitoring;
const { prometheus: chosen } = bundled;
export const PROMETHEUS = "prometheus";
export const SERVER_PORT = 9090;
/** Of its image: nobody. */
const USER = 65_534;
const FOLDER = "/etc/prometheus";
const RULES = "rules.yaml";

/** The pods of a component, by the records of its headless Service: that takes no right in Kubernetes. */
function job(component: Component): readonly (string | Expression<string>)[] {
  return [
    text`  - job_name: millrace/${component}`,
    // Its series say by `namespace` whose QueueScaler they are of.
    ...(component === OPERATOR ? ["    honor_labels: true"] : []),
    "    dns_sd_configs:",
    ...["A", "AAAA"].flatMap((type) => [
      text`      - names: [${adminNames[component]}]`,
      `        type: ${type}`,
      `        port: ${ADMIN_PORT}`,
      "        refresh_interval: 10s",
    ]),
    "    relabel_configs:",
    // A record has an address and no pod's name.
    "      - source_labels: [__address__]",
    "        regex: (.+):[0-9]+",
    "        target_label: instance",
    "      - target_label: namespace",
    text`        replacement: "${releaseNamespace}"`,
  ];
}

const configuration = lines(
  "global:",
  text`  scrape_interval: ${chosen.interval}`,
  text`  scrape_timeout: ${chosen.interval}`,
  text`  evaluation_interval: ${chosen.interval}`,
  "rule_files:",
  `  - ${FOLDER}/${RULES}`,
  "scrape_configs:",
  ...Object.values(components).flatMap(job),
  ...job(OPERATOR).map(
    (line): Conditional<string | Expression<string>> => when(values.operator.enabled, line),
  ),
);

const server: Templated<Container> = {
  name: PROMETHEUS,
  image: prometheusImage,
  imagePullPolicy: chosen.image.pullPolicy,
  // Those that each version since 2.42 knows.
  args: [
    `--config.file=${FOLDER}/prometheus.yaml`,
    "--storage.tsdb.path=/prometheus",
    text`--storage.tsdb.retention.time=${chosen.retention}`,
    text`--storage.tsdb.retention.size=${chosen.retentionSize}`,
  ],
  ports: [{ name: "http", containerPort: SERVER_PORT }],
  resources: chosen.resources as Expression<object>,
  securityContext: confined,
  // It reads what was written ahead before it is ready.
  startupProbe: httpProbe("/-/ready", "http", { periodSeconds: 2, failureThreshold: 150 }),
  livenessProbe: httpProbe("/-/healthy", "http", { periodSeconds: 15, failureThreshold: 6 }),
  readinessProbe: httpProbe("/-/ready", "http", { periodSeconds: 5 }),
  volumeMounts: [
    { name: DATA, mountPath: "/prometheus" },
    { name: "configuration", mountPath: FOLDER, readOnly: true },
  ],
};

/** One, for a try-out: it reads the metrics of this release alone. */
export function prometheus(app: App): void {
  const chart = new Chart(app, PROMETHEUS);
  const presence = { condition: bundled.enabled };
  new Manifest<ConfigMap>(
    chart,
    "configuration",
    { apiVersion: "v1", kind: "ConfigMap" },
    { metadata: metadata(PROMETHEUS), data: { "prometheus.yaml": configuration, [RULES]: ruleText } },
    presence,
  );
  new Manifest<StatefulSet>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "StatefulSet" },
    {
      metadata: metadata(PROMETHEUS),
      spec: {
        serviceName: nameOf(PROMETHEUS),
        replicas: 1,
        selector: { matchLabels: selectorLabels(PROMETHEUS) },
        template: podTemplate({
          component: PROMETHEUS,
          user: USER,
          podValues: chosen,
          // It is read once, at the start.
          annotations: {
            "checksum/configuration": checksum({
              files: hash("sha256", `${printText(configuration)}${ruleText.content}`),
              interval: chosen.interval,
              collector: adminNames.collector,
              namespace: releaseNamespace,
              operator: textOf(values.operator.enabled),
            }),
          },
          graceSeconds: 60,
          containers: [server],
          volumes: [
            dataVolume(chosen.persistence),
            { name: "configuration", configMap: { name: nameOf(PROMETHEUS) } },
          ],
        }),
        volumeClaimTemplates: claimTemplates(chosen.persistence),
      },
    },
    presence,
  );
  new Manifest<Service>(
    chart,
    "service",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata(PROMETHEUS),
      spec: {
        selector: selectorLabels(PROMETHEUS),
        ports: [{ name: "http", port: SERVER_PORT, targetPort: "http", appProtocol: "http" }],
      },
    },
    presence,
  );
}
