import { type App, Chart } from "cdk8s";
import type {
  NetworkPolicy,
  NetworkPolicyEgressRule,
  NetworkPolicyIngressRule,
  NetworkPolicyPeer,
  NetworkPolicySpec,
} from "kubernetes-types/networking/v1.d.ts";
import type { LabelSelector } from "kubernetes-types/meta/v1.d.ts";
import { COLLECTOR_PORT } from "./collector.ts";
import { ADMIN_PORT, components, OPERATOR, workerComponents } from "./components.ts";
import { brokerIsBundled, grafanaIsThere, storeIsBundled } from "./credentials.ts";
import { GRAFANA } from "./grafana.ts";
import { MONGODB_PORT } from "./mongodb.ts";
import { operatorIsConfined } from "./operator-rights.ts";
import { PROMETHEUS, SERVER_PORT } from "./prometheus.ts";
import { consoleIsOn, QUERY_PORT } from "./query.ts";
import { AMQP_PORT, CLUSTER_PORTS, MANAGEMENT_PORT, PROMETHEUS_PORT, TOOL_PORTS } from "./rabbitmq.ts";
import { SMOKE_TEST } from "./smoke-test.ts";
import { metadata, nameOf, releaseLabels, selectorLabels } from "../names.ts";
import { all, any, type Expression, filled, not } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { ChartOnly, spread, type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { networkPolicy, operator } = values;
const { bundled } = values.monitoring;
const roles = Object.values(components);
const workers = Object.values(workerComponents);
const brokerUsers = ["collector", ...workers];
const storeUsers = [...workers, "query", "sweeper"];

const tcp = (...ports: readonly number[]) => ports.map((port) => ({ port, protocol: "TCP" }));
const betweenNodes = [
  ...tcp(...CLUSTER_PORTS),
  { port: TOOL_PORTS[0], endPort: TOOL_PORTS[1], protocol: "TCP" },
];
const pods = (component: string): Templated<NetworkPolicyPeer> => ({
  podSelector: { matchLabels: selectorLabels(component) },
});
const ofComponents = (named: readonly string[]): Templated<LabelSelector> => ({
  matchLabels: releaseLabels(),
  matchExpressions: [{ key: "app.kubernetes.io/component", operator: "In", values: [...named] }],
});

/** All is forbidden to the pods of the release but these arrows; probes of the node's own kubelet are always let through. */
export function networkPolicies(app: App): void {
  const chart = new Chart(app, "network-policies");
  const policy = (id: string, spec: Templated<NetworkPolicySpec>, only?: Expression<boolean>): void =>
    add(id, spec, false, only);
  const add = (
    id: string,
    spec: Templated<NetworkPolicySpec>,
    chartOnly: boolean,
    only?: Expression<boolean>,
  ): void => {
    const condition = only === undefined ? networkPolicy.enabled : all(networkPolicy.enabled, only);
    new Manifest<NetworkPolicy>(
      chart,
      id,
      { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
      { metadata: metadata("network-policy", nameOf(id)), spec },
      { condition, chartOnly },
    );
  };
  const incoming = (
    id: string,
    component: string,
    rules: readonly Templated<NetworkPolicyIngressRule>[],
    only?: Expression<boolean>,
  ) =>
    policy(
      id,
      {
        podSelector: { matchLabels: selectorLabels(component) },
        policyTypes: ["Ingress"],
        ingress: [...rules],
      },
      only,
    );
  const outgoing = (
    id: string,
    from: readonly string[],
    rules: readonly Templated<NetworkPolicyEgressRule>[],
    only?: Expression<boolean>,
  ) => policy(id, { podSelector: ofComponents(from), policyTypes: ["Egress"], egress: [...rules] }, only);

  policy("default-deny", {
    podSelector: { matchLabels: releaseLabels() },
    policyTypes: ["Ingress", "Egress"],
  });
  policy("dns", {
    podSelector: { matchLabels: releaseLabels() },
    policyTypes: ["Egress"],
    egress: [
      {
        to: [{ namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } }],
        ports: [
          { port: 53, protocol: "UDP" },
          { port: 53, protocol: "TCP" },
        ],
      },
    ],
  });

  // From clients, and from the test that asks as one.
  for (const [component, port] of [
    ["collector", COLLECTOR_PORT],
    ["query", QUERY_PORT],
  ] as const) {
    const from = when<unknown>(filled(networkPolicy.clients), [
      spread(networkPolicy.clients),
      new ChartOnly(pods(SMOKE_TEST)),
      // The console passes on what it is asked to post.
      ...(component === "collector" ? [when(consoleIsOn, pods("query"))] : []),
    ]);
    incoming(`${component}-in`, component, [{ from, ports: tcp(port) }]);
  }
  policy(
    "scrapers-in",
    {
      podSelector: ofComponents([...roles, OPERATOR]),
      policyTypes: ["Ingress"],
      ingress: [{ from: networkPolicy.scrapers as Expression<NetworkPolicyPeer[]>, ports: tcp(ADMIN_PORT) }],
    },
    filled(networkPolicy.scrapers),
  );

  // Figures: to the console of the query API, and to the bundled Prometheus and Grafana.
  const everyRole = { podSelector: ofComponents([...roles, OPERATOR]) };
  for (const [id, reader, only] of [
    ["console", "query", consoleIsOn],
    [PROMETHEUS, PROMETHEUS, bundled.enabled],
  ] as const) {
    outgoing(`${id}-metrics-out`, [reader], [{ to: [everyRole], ports: tcp(ADMIN_PORT) }], only);
    policy(
      `${id}-metrics-in`,
      { ...everyRole, policyTypes: ["Ingress"], ingress: [{ from: [pods(reader)], ports: tcp(ADMIN_PORT) }] },
      only,
    );
  }
  const toPrometheus = tcp(SERVER_PORT);
  outgoing("grafana-out", [GRAFANA], [{ to: [pods(PROMETHEUS)], ports: toPrometheus }], grafanaIsThere);
  incoming("prometheus-in", PROMETHEUS, [{ from: [pods(GRAFANA)], ports: toPrometheus }], grafanaIsThere);

  // What the console does beside that: it posts test events, and looks for dead letters.
  const toCollector = { to: [pods("collector")], ports: tcp(COLLECTOR_PORT) };
  outgoing("console-collector-out", ["query"], [toCollector], consoleIsOn);

  const asClient = [toCollector, { to: [pods("query")], ports: tcp(QUERY_PORT) }];
  const test = { podSelector: { matchLabels: selectorLabels(SMOKE_TEST) } };
  add("smoke-test-out", { ...test, policyTypes: ["Egress"], egress: asClient }, true);

  // To the broker, and between its nodes.
  const toBroker = tcp(AMQP_PORT, MANAGEMENT_PORT);
  const broker = { to: [pods("rabbitmq")], ports: toBroker };
  outgoing("broker-out", brokerUsers, [broker], brokerIsBundled);
  outgoing("console-broker-out", ["query"], [broker], all(consoleIsOn, brokerIsBundled));
  incoming(
    "rabbitmq-in",
    "rabbitmq",
    [
      { from: [{ podSelector: ofComponents(brokerUsers) }], ports: toBroker },
      when(consoleIsOn, { from: [pods("query")], ports: toBroker }),
      when(operator.enabled, { from: [pods(OPERATOR)], ports: tcp(MANAGEMENT_PORT) }),
      when(filled(networkPolicy.operators), { from: networkPolicy.operators, ports: tcp(MANAGEMENT_PORT) }),
      { from: [pods("rabbitmq")], ports: betweenNodes },
      when(filled(networkPolicy.scrapers), {
        from: networkPolicy.scrapers,
        ports: tcp(PROMETHEUS_PORT),
      }),
    ],
    brokerIsBundled,
  );
  outgoing("rabbitmq-out", ["rabbitmq"], [{ to: [pods("rabbitmq")], ports: betweenNodes }], brokerIsBundled);

  // The operator reads what is queued, and never a message.
  outgoing(
    "operator-broker-out",
    [OPERATOR],
    [{ to: [pods("rabbitmq")], ports: tcp(MANAGEMENT_PORT) }],
    all(operator.enabled, brokerIsBundled),
  );
  const operatorOut = (id: string, egress: Expression<object[]>, only: Expression<boolean>): void =>
    policy(
      id,
      {
        podSelector: { matchLabels: selectorLabels(OPERATOR) },
        policyTypes: ["Egress"],
        egress: egress as Expression<NetworkPolicyEgressRule[]>,
      },
      only,
    );
  operatorOut("operator-api-out", networkPolicy.apiServerEgress, operator.enabled);
  operatorOut(
    "operator-external-out",
    networkPolicy.externalEgress,
    all(operator.enabled, any(not(brokerIsBundled), not(operatorIsConfined), filled(operator.brokerSecrets))),
  );

  // To the store.
  outgoing("store-out", storeUsers, [{ to: [pods("mongodb")], ports: tcp(MONGODB_PORT) }], storeIsBundled);
  incoming(
    "mongodb-in",
    "mongodb",
    [{ from: [{ podSelector: ofComponents(storeUsers) }], ports: tcp(MONGODB_PORT) }],
    storeIsBundled,
  );

  // To servers outside of the chart.
  policy(
    "external-out",
    {
      podSelector: ofComponents(roles),
      policyTypes: ["Egress"],
      egress: networkPolicy.externalEgress as Expression<NetworkPolicyEgressRule[]>,
    },
    any(not(brokerIsBundled), not(storeIsBundled)),
  );
}
