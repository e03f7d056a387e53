import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { customResourceDefinition } from "../operator/custom-resource.ts";
import { API_VERSION, KIND, PLURAL, VERSION } from "../operator/queue-scaler.ts";
import { millraceApp } from "./app.ts";
import { dashboardTexts, ruleText } from "./monitoring-files.ts";
import {
  fullName,
  longName,
  chartName,
  grafanaImage,
  millraceImage,
  mongodbImage,
  prometheusImage,
  rabbitmqImage,
  serviceAccountName,
} from "./names.ts";
import { notes } from "./notes.ts";
import { printManifests } from "./template/manifest.ts";
import { printNamed, printText } from "./template/print.ts";
import { valuesSchema, valuesTable, valuesYaml } from "./template/reference.ts";
import { defaultsOf } from "./template/values.ts";
import { declarations } from "./values.ts";
import { adminNames } from "./workloads/components.ts";
import { settingsChecksum } from "./workloads/settings.ts";

const root = join(import.meta.dirname, "..");
const WRITTEN = "Written by `npm run synth` from cdk8s/. Change that, not this.";
const { version, description, license } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly version: string;
  readonly description: string;
  readonly license: string;
};

/** What the templates use by name. */
const named = [
  chartName,
  longName,
  fullName,
  serviceAccountName,
  millraceImage,
  rabbitmqImage,
  mongodbImage,
  prometheusImage,
  grafanaImage,
  settingsChecksum,
  ...Object.values(adminNames),
];

export { version };
export const defaults = defaultsOf(declarations);

/** Every file of the chart, by its path in it. */
export function chartFiles(): ReadonlyMap<string, string> {
  const { app, tokens } = millraceApp();
  const templates = [...printManifests(app, tokens)].map(([name, text]): [string, string] => [
    `templates/${name}.yaml`,
    `{{- /* ${WRITTEN} */ -}}\n${text}`,
  ]);
  return new Map([
    ["Chart.yaml", `# ${WRITTEN}\n${stringify(chartYaml(), { lineWidth: 0 })}`],
    ["values.yaml", `# ${WRITTEN}\n\n${valuesYaml(declarations)}\n`],
    ["values.schema.json", `${JSON.stringify(valuesSchema(declarations), undefined, 2)}\n`],
    ["README.md", readme()],
    [".helmignore", "# Neither of the chart.\n.git/\n*.tgz\n"],
    ["LICENSE", readFileSync(join(root, "LICENSE"), "utf8")],
    // Helm makes it before all else, and never touches it again.
    [`crds/${PLURAL}.yaml`, `# ${WRITTEN}\n${stringify(customResourceDefinition, { lineWidth: 0 })}`],
    ["templates/_helpers.tpl", `{{- /* ${WRITTEN} */ -}}\n${printNamed(named)}`],
    ["templates/NOTES.txt", printText(notes)],
    ...[ruleText, ...dashboardTexts.values()].map(({ path, content }): [string, string] => [path, content]),
    ...templates,
  ]);
}

/** Of a workload that is not Millrace's own. */
const exampleScaler = {
  apiVersion: API_VERSION,
  kind: KIND,
  metadata: { name: "mailer" },
  spec: {
    scaleTargetRef: { name: "mailer" },
    queue: { name: "mails" },
    brokerRef: { secret: { name: "mails-broker" } },
    replicas: { min: 0, max: 20 },
    objective: { maxWaitSeconds: 60 },
  },
};

function chartYaml() {
  return {
    apiVersion: "v2",
    name: "millrace",
    type: "application",
    version,
    appVersion: version,
    kubeVersion: ">=1.29.0-0",
    description,
    keywords: ["events", "ingestion", "rabbitmq", "mongodb", "exactly-once"],
    annotations: {
      "artifacthub.io/category": "streaming-messaging",
      "artifacthub.io/license": license,
      "artifacthub.io/images": stringify([
        { name: "millrace", image: `millrace/millrace:${version}` },
        { name: "rabbitmq", image: "rabbitmq:4.3-management" },
        { name: "mongo", image: "mongo:8.0" },
        { name: "prometheus", image: "prom/prometheus:v3.16.0" },
        { name: "grafana", image: "grafana/grafana:13.2.3" },
      ]),
      "artifacthub.io/crds": stringify([
        {
          kind: KIND,
          version: VERSION,
          name: customResourceDefinition.metadata.name,
          displayName: "Queue scaler",
          description: "Sets a workload's number of replicas by what is in a queue of RabbitMQ.",
        },
      ]),
      "artifacthub.io/crdsExamples": stringify([exampleScaler]),
      "artifacthub.io/changes": stringify([{ kind: "added", description: "The chart." }]),
    },
  };
}

function readme(): string {
  return `<!-- ${WRITTEN} -->

# Millrace

${description}. This chart installs it whole: a collector that takes events in over HTTP, three workers, a query API, a
sweeper, and an operator that sets the number of workers; RabbitMQ and MongoDB bundled for a try-out, or yours.

    kubectl create namespace millrace
    kubectl label namespace millrace pod-security.kubernetes.io/enforce=restricted
    helm install millrace charts/millrace --namespace millrace --wait --timeout 10m
    helm test millrace --namespace millrace

Every pod meets the restricted pod security standard, so that the namespace can enforce it. Network policies forbid all but the
ways of the system; the network of the cluster has to enforce them. Kubernetes 1.29 or newer; Helm 3 or 4.

The operator scales what a \`QueueScaler\` names, the workers among it. Helm installs the definition of that kind, in \`crds/\`, once
and never upgrades it. Before an upgrade of the chart:

    kubectl apply --server-side --force-conflicts --filename charts/millrace/crds

\`helm uninstall\` leaves the volumes of the bundled broker and store (and what is on them), the operator's Lease and the definition of
QueueScaler, and nothing else: \`kubectl delete pvc --selector app.kubernetes.io/instance=millrace\` removes the volumes. The next install of the same name takes them
up again, if its Secret has the same passwords: name one of yours by \`rabbitmq.existingSecret\` and \`mongodb.existingSecret\`.

## Values

A value that is not in this table, or of another kind, stops the install with a sentence that names it.

| Value | Default | What it is |
| --- | --- | --- |
${valuesTable(declarations).join("\n")}
`;
}
