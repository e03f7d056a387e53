import { image, labelKeys, persistence, pods, resources } from "./pod-values.ts";
import { group, nameValue, type Schema, textMap, textValue, toggle } from "./template/values.ts";

const duration: Schema = { pattern: "^([0-9]+(ms|[smhdwy]))+$" };
/** Of a label or annotation: a name, with a domain before it or without. */
const key: Schema = { pattern: "^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$" };
const ofOperator = "for Prometheus' operator; the cluster must know monitoring.coreos.com/v1.";

export const monitoring = group("Who reads the metrics, and what becomes of them; see docs/kubernetes.md.", {
  podMonitor: group("Where a Prometheus of yours finds the metrics.", {
    enabled: toggle(false, `Whether there are PodMonitors, ${ofOperator}`),
    interval: textValue("15s", "How often it reads them.", duration),
    labels: textMap({}, "Their further labels, which your Prometheus selects them by.", labelKeys),
  }),
  rules: group("The alerts, and what they are worked out from.", {
    enabled: toggle(false, `Whether there is a PrometheusRule, ${ofOperator}`),
    labels: textMap({}, "Its further labels, which your Prometheus selects it by.", labelKeys),
  }),
  dashboards: group("The dashboards, for the sidecar of a Grafana of yours.", {
    enabled: toggle(false, "Whether there are ConfigMaps with the label that it looks for."),
    label: textValue("grafana_dashboard", "That label.", key),
    labelValue: textValue("1", "Its value.", { pattern: "^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$" }),
    folder: textValue(
      "Millrace",
      "Folder that they are shown in, by the annotation `grafana_folder`; empty for none.",
    ),
    labels: textMap({}, "Their further labels.", labelKeys),
    annotations: textMap({}, "Their further annotations."),
  }),
  bundled: group(
    "A Prometheus and a Grafana of the release's own, for a try-out: one pod each, with the rules and the dashboards.",
    {
      enabled: toggle(
        false,
        "Whether they are there. They need no operator, no right in Kubernetes and no value of those above.",
      ),
      prometheus: group("The Prometheus. It shows alerts, and sends none to anybody.", {
        image: image("prom/prometheus", "v3.16.0", "the bundled Prometheus"),
        interval: textValue("15s", "How often it reads the metrics and works out the rules.", duration),
        retention: textValue("15d", "How long it keeps them.", duration),
        retentionSize: textValue("6GB", "How much it keeps at most; less than its volume has.", {
          pattern: "^[0-9]+[KMGT]B$",
        }),
        persistence: persistence("8Gi", "what was measured"),
        resources: resources(
          { cpu: "100m", memory: "256Mi" },
          { memory: "1Gi" },
          "What it asks for, and may use.",
        ),
        ...pods(),
      }),
      grafana: group("The Grafana. It keeps nothing of its own: what is made in it is gone with its pod.", {
        enabled: toggle(true, "Whether there is one beside the bundled Prometheus."),
        image: image("grafana/grafana", "13.2.3", "the bundled Grafana"),
        existingSecret: nameValue(
          "",
          "Secret with `grafana-admin-password`, of its user `admin`; by default made, and kept.",
        ),
        anonymous: toggle(
          false,
          "Whether all who reach it may look at the dashboards without a password. They still may change nothing.",
        ),
        resources: resources(
          { cpu: "100m", memory: "192Mi" },
          { memory: "512Mi" },
          "What it asks for, and may use.",
        ),
        ...pods(),
      }),
    },
  ),
});
