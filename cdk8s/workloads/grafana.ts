import { hash } from "node:crypto";
import { type App, Chart } from "cdk8s";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { ConfigMap, Container, EnvVar, Service } from "kubernetes-types/core/v1.d.ts";
import { emptyFolder, secretValue } from "./bundled.ts";
import { GRAFANA_PASSWORD_KEY, grafanaIsThere, grafanaSecret } from "./credentials.ts";
import { dashboardMaps } from "./dashboards.ts";
import { PROMETHEUS, SERVER_PORT } from "./prometheus.ts";
import { grafanaImage, metadata, nameOf, selectorLabels } from "../names.ts";
import { confined, httpProbe, podTemplate } from "../pod.ts";
import { type Expression, text, textOf } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { printText } from "../template/print.ts";
import { checksum, lines, type Templated } from "../template/tree.ts";
import { values } from "../values.ts";

const { bundled } = values.monitoring;
const { grafana: chosen } = bundled;
export const GRAFANA = "grafana";
export const GRAFANA_PORT = 3000;
/** Of its image. */
const USER = 472;
const FOLDER = "/etc/grafana/dashboards";
const PROVISIONING = "/etc/grafana/provisioning";

const sources = lines(
  "apiVersion: 1",
  "datasources:",
  "  - name: Prometheus",
  "    uid: prometheus",
  "    type: prometheus",
  "    access: proxy",
  text`    url: http://${nameOf(PROMETHEUS)}:${String(SERVER_PORT)}`,
  "    isDefault: true",
  "    editable: false",
  "    jsonData:",
  "      httpMethod: POST",
  text`      timeInterval: ${bundled.prometheus.interval}`,
);
const providers = lines(
  "apiVersion: 1",
  "providers:",
  "  - name: millrace",
  "    folder: Millrace",
  "    type: file",
  "    disableDeletion: true",
  "    options:",
  `      path: ${FOLDER}`,
);

/** What it would ask the world for, it is told not to: the policies let it reach Prometheus alone. */
const environment: readonly Templated<EnvVar>[] = [
  { name: "GF_SECURITY_ADMIN_USER", value: "admin" },
  { name: "GF_SECURITY_ADMIN_PASSWORD", valueFrom: secretValue(grafanaSecret, GRAFANA_PASSWORD_KEY) },
  { name: "GF_SECURITY_DISABLE_GRAVATAR", value: "true" },
  { name: "GF_AUTH_ANONYMOUS_ENABLED", value: textOf(chosen.anonymous) },
  { name: "GF_AUTH_ANONYMOUS_ORG_ROLE", value: "Viewer" },
  { name: "GF_USERS_ALLOW_SIGN_UP", value: "false" },
  { name: "GF_ANALYTICS_REPORTING_ENABLED", value: "false" },
  { name: "GF_ANALYTICS_CHECK_FOR_UPDATES", value: "false" },
  { name: "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", value: "false" },
  { name: "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED", value: "false" },
  { name: "GF_NEWS_NEWS_FEED_ENABLED", value: "false" },
  { name: "GF_SNAPSHOTS_EXTERNAL_ENABLED", value: "false" },
  { name: "GF_PLUGINS_PLUGIN_ADMIN_ENABLED", value: "false" },
  { name: "GF_PLUGINS_PREINSTALL_DISABLED", value: "true" },
  { name: "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED", value: "true" },
  { name: "GF_LOG_MODE", value: "console" },
  { name: "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", value: `${FOLDER}/millrace-overview.json` },
];

const provisioned = (kind: string) => ({
  name: "provisioning",
  mountPath: `${PROVISIONING}/${kind}/millrace.yaml`,
  subPath: `${kind}.yaml`,
  readOnly: true,
});
const server: Templated<Container> = {
  name: GRAFANA,
  image: grafanaImage,
  imagePullPolicy: chosen.image.pullPolicy,
  ports: [{ name: "http", containerPort: GRAFANA_PORT }],
  env: environment,
  resources: chosen.resources as Expression<object>,
  securityContext: confined,
  startupProbe: httpProbe("/api/health", "http", { periodSeconds: 2, failureThreshold: 90 }),
  livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 15, timeoutSeconds: 5, failureThreshold: 6 },
  readinessProbe: httpProbe("/api/health", "http", { periodSeconds: 5 }),
  volumeMounts: [
    { name: "state", mountPath: "/var/lib/grafana" },
    { name: "tmp", mountPath: "/tmp" },
    provisioned("datasources"),
    provisioned("dashboards"),
    { name: "dashboards", mountPath: FOLDER, readOnly: true },
  ],
};

/** One, for a try-out, with the dashboards and the bundled Prometheus. */
export function grafana(app: App): void {
  const chart = new Chart(app, GRAFANA);
  const presence = { condition: grafanaIsThere };
  new Manifest<ConfigMap>(
    chart,
    "provisioning",
    { apiVersion: "v1", kind: "ConfigMap" },
    {
      metadata: metadata(GRAFANA),
      data: { "datasources.yaml": sources, "dashboards.yaml": providers },
    },
    presence,
  );
  new Manifest<Deployment>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "Deployment" },
    {
      metadata: metadata(GRAFANA),
      spec: {
        replicas: 1,
        selector: { matchLabels: selectorLabels(GRAFANA) },
        template: podTemplate({
          component: GRAFANA,
          user: USER,
          podValues: chosen,
          // It is read once, at the start; the dashboards are looked at all the time.
          annotations: {
            "checksum/provisioning": checksum({
              lines: hash("sha256", `${printText(sources)}${printText(providers)}`),
              prometheus: nameOf(PROMETHEUS),
              interval: bundled.prometheus.interval,
            }),
          },
          graceSeconds: 30,
          containers: [server],
          volumes: [
            emptyFolder("state", "512Mi"),
            emptyFolder("tmp", "64Mi"),
            { name: "provisioning", configMap: { name: nameOf(GRAFANA) } },
            {
              name: "dashboards",
              projected: { sources: Array.from(dashboardMaps.values(), (name) => ({ configMap: { name } })) },
            },
          ],
        }),
      },
    },
    presence,
  );
  new Manifest<Service>(
    chart,
    "service",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata(GRAFANA),
      spec: {
        selector: selectorLabels(GRAFANA),
        ports: [{ name: "http", port: GRAFANA_PORT, targetPort: "http", appProtocol: "http" }],
      },
    },
    presence,
  );
}
