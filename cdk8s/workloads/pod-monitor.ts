import { type App, Chart } from "cdk8s";
import { components, OPERATOR } from "./components.ts";
import { metadata, nameOf, releaseLabels } from "../names.ts";
import { all, type Expression, lacksApi, overlaid, text } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { ruleText } from "../monitoring-files.ts";
import { spread } from "../template/tree.ts";
import { values } from "../values.ts";

const { podMonitor, rules } = values.monitoring;
const API_VERSION = "monitoring.coreos.com/v1";

/** Of Prometheus' operator, whose types Kubernetes itself does not have. */
interface Monitoring {
  apiVersion?: string;
  kind?: string;
  metadata?: unknown;
  spec?: object;
}

function monitoringObject(
  chart: Chart,
  id: string,
  object: {
    readonly kind: string;
    readonly value: string;
    readonly metadata: unknown;
    readonly spec: object;
  },
  condition: Expression<boolean>,
): void {
  const { kind, value, ...body } = object;
  new Manifest<Monitoring>(chart, id, { apiVersion: API_VERSION, kind }, body, {
    condition,
    obstacle: {
      condition: lacksApi(API_VERSION),
      message: text`${value} makes a ${kind}, and this cluster does not know ${API_VERSION}: install the operator of Prometheus first, or leave it off (helm template has to be told of it: --api-versions ${API_VERSION})`,
    },
  });
}

const labelled = (
  component: string,
  name: Expression<string>,
  labels: Expression<Record<string, string>>,
) => {
  const own = metadata(component, name);
  return { ...own, labels: { ...own.labels, "+": spread(overlaid(values.commonLabels, labels)) } };
};

/** Where a Prometheus of others finds the metrics of every role. */
export function podMonitors(app: App): void {
  const chart = new Chart(app, "pod-monitor");
  const monitor = (
    id: string,
    selected: readonly string[],
    { honorLabels, condition }: { readonly honorLabels: boolean; readonly condition: Expression<boolean> },
  ): void =>
    monitoringObject(
      chart,
      id,
      {
        kind: "PodMonitor",
        value: "monitoring.podMonitor.enabled",
        metadata: labelled("pod-monitor", nameOf(id), podMonitor.labels),
        spec: {
          selector: {
            matchLabels: releaseLabels(),
            matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: [...selected] }],
          },
          podMetricsEndpoints: [
            {
              port: "admin",
              path: "/metrics",
              interval: podMonitor.interval,
              honorLabels,
              relabelings: [
                { sourceLabels: ["__meta_kubernetes_pod_name"], targetLabel: "instance" },
                {
                  sourceLabels: ["__meta_kubernetes_pod_label_app_kubernetes_io_component"],
                  targetLabel: "job",
                  replacement: "millrace/$1",
                },
              ],
            },
          ],
        },
      },
      condition,
    );
  monitor("roles", Object.values(components), { honorLabels: false, condition: podMonitor.enabled });
  // Its series say by `namespace` whose QueueScaler they are of.
  monitor(OPERATOR, [OPERATOR], {
    honorLabels: true,
    condition: all(podMonitor.enabled, values.operator.enabled),
  });
}

/** The alerts for a Prometheus of others. */
export function prometheusRule(app: App): void {
  monitoringObject(
    new Chart(app, "prometheus-rule"),
    "rules",
    {
      kind: "PrometheusRule",
      value: "monitoring.rules.enabled",
      metadata: labelled("rules", nameOf("rules"), rules.labels),
      spec: ruleText.parsed,
    },
    rules.enabled,
  );
}
