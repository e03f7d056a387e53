import { App } from "cdk8s";
import { Tokens } from "./template/manifest.ts";
import { collector } from "./workloads/collector.ts";
import { credentials } from "./workloads/credentials.ts";
import { dashboards } from "./workloads/dashboards.ts";
import { grafana } from "./workloads/grafana.ts";
import { httpRoute, ingress } from "./workloads/ingress.ts";
import { mongoDb } from "./workloads/mongodb.ts";
import { networkPolicies } from "./workloads/network-policies.ts";
import { operator } from "./workloads/operator.ts";
import { podMonitors, prometheusRule } from "./workloads/pod-monitor.ts";
import { prometheus } from "./workloads/prometheus.ts";
import { query } from "./workloads/query.ts";
import { rabbitMq } from "./workloads/rabbitmq.ts";
import { serviceAccount } from "./workloads/service-account.ts";
import { settingsMap } from "./workloads/settings.ts";
import { smokeTest } from "./workloads/smoke-test.ts";
import { sweeper } from "./workloads/sweeper.ts";
import { workers } from "./workloads/worker.ts";

/** Everything that is installed, in the order in which it makes sense to do so. */
const workloads = [
  serviceAccount,
  networkPolicies,
  credentials,
  settingsMap,
  rabbitMq,
  mongoDb,
  collector,
  workers,
  query,
  sweeper,
  operator,
  ingress,
  httpRoute,
  podMonitors,
  prometheusRule,
  dashboards,
  prometheus,
  grafana,
  smokeTest,
];

export function millraceApp(): { readonly app: App; readonly tokens: Tokens } {
  const tokens = new Tokens();
  const app = new App({ resolvers: [tokens] });
  for (const workload of workloads) workload(app);
  return { app, tokens };
}
