import { credentialsName, nameOf } from "./names.ts";
import { all, any, choose, either, not, releaseName, releaseNamespace, text } from "./template/expression.ts";
import { lines, when } from "./template/tree.ts";
import { values } from "./values.ts";
import {
  brokerIsBundled,
  grafanaIsThere,
  GRAFANA_PASSWORD_KEY,
  grafanaSecret,
  storeIsBundled,
} from "./workloads/credentials.ts";
import { consoleIsOn } from "./workloads/query.ts";
import { someAreScaled } from "./workloads/worker.ts";

const { ingress, mongodb, rabbitmq } = values;
const { bundled: monitoring } = values.monitoring;
const within = text`kubectl --namespace ${releaseNamespace}`;
const scheme = choose(ingress.tls.enabled, "https", "http");
const host = either(ingress.host, "ADDRESS");
const outside = text`${scheme}://${host}`;
const collectorUrl = choose(ingress.enabled, outside, "http://127.0.0.1:3000");
const queryUrl = choose(ingress.enabled, outside, "http://127.0.0.1:3001");
const bundled = any(brokerIsBundled, storeIsBundled);
const kept = all(rabbitmq.persistence.enabled, mongodb.persistence.enabled);
const forward = (component: string, port: string) =>
  when(not(ingress.enabled), text`  ${within} port-forward service/${nameOf(component)} ${port} &`);

/** What Helm says once the chart is installed. */
export const notes = lines(
  "Millrace is installed. All of it is ready when this returns:",
  "",
  text`  ${within} wait pod --for=condition=Ready --timeout=300s --selector 'app.kubernetes.io/instance=${releaseName},app.kubernetes.io/component!=smoke-test'`,
  "",
  when(
    ingress.enabled,
    "An event goes in, and comes out counted (ADDRESS, if it stands there, is that of your ingress controller):",
    "Nothing leads to it from outside of the cluster yet: see ingress.enabled and httpRoute.enabled. For a look at it:",
  ),
  "",
  forward("collector", "3000"),
  forward("query", "3001"),
  text`  curl -i ${collectorUrl}/event -H 'content-type: application/json' -d '{"username":"kodingbot","metric":"kite_call","count":1}'`,
  text`  curl ${queryUrl}/metrics/hourly_logs/total`,
  "",
  when(consoleIsOn, text`All of it live, in a browser: ${queryUrl}/`),
  when(consoleIsOn, ""),
  text`The same as a test: helm test ${releaseName} --namespace ${releaseNamespace}`,
  when(monitoring.enabled, ""),
  when(monitoring.enabled, "The metrics and the alerts are at http://127.0.0.1:9090, by way of"),
  when(monitoring.enabled, ""),
  when(monitoring.enabled, text`  ${within} port-forward service/${nameOf("prometheus")} 9090 &`),
  when(grafanaIsThere, ""),
  when(grafanaIsThere, "and the dashboards at http://127.0.0.1:3002, for the user admin, by way of"),
  when(grafanaIsThere, ""),
  when(grafanaIsThere, text`  ${within} port-forward service/${nameOf("grafana")} 3002:3000 &`),
  when(
    grafanaIsThere,
    text`  ${within} get secret ${grafanaSecret} --output jsonpath='{.data.${GRAFANA_PASSWORD_KEY}}' | base64 --decode`,
  ),
  when(someAreScaled, ""),
  when(someAreScaled, "How many workers there are, and why:"),
  when(someAreScaled, ""),
  when(someAreScaled, text`  ${within} get queuescalers --output wide`),
  when(
    all(someAreScaled, not(values.operator.enabled)),
    "No operator is part of this release: until that of another works on this namespace, each worker has one pod.",
  ),
  "",
  "Helm never upgrades the definition of QueueScaler. Before an upgrade of the chart, from its folder:",
  "",
  "  kubectl apply --server-side --force-conflicts --filename crds",
  when(bundled, ""),
  when(
    bundled,
    "Not fit for production: a bundled server has no backup. See rabbitmq.mode and mongodb.mode for servers of yours.",
  ),
  when(
    all(bundled, kept),
    text`helm uninstall leaves their volumes; with the Secret ${credentialsName}, of which you keep a copy, a later install takes them up.`,
  ),
  when(not(kept), "Without persistence, what is queued or stored is lost with its pod."),
  when(
    not(values.networkPolicy.enabled),
    "Network policies are off: any pod of the cluster can reach the broker and the store.",
  ),
);
