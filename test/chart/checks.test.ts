import { describe, expect, test } from "vitest";
import { checks } from "./checks.ts";
import { documentsIn } from "./helm.ts";
import type { KubernetesObject } from "./objects.ts";
import { soundObjects } from "./sound.ts";

function faultsOf(objects: readonly KubernetesObject[]): Readonly<Record<string, readonly string[]>> {
  const rendered = { release: "tiny", namespace: "events", values: {}, objects };
  const found = Object.entries(checks).map(([name, check]): [string, readonly string[]] => [
    name,
    check(rendered),
  ]);
  return Object.fromEntries(found.filter(([, faults]) => faults.length > 0));
}

/** Sets what is at a path of the object, such as `spec/replicas`, with `~1` for a slash within a key; undefined takes it away. */
function put(object: KubernetesObject, path: string, value: unknown): void {
  const keys = path.split("/").map((key) => key.replaceAll("~1", "/"));
  const last = keys.pop() ?? "";
  let place: object = object;
  for (const key of keys) {
    if (!Object.hasOwn(place, key)) Reflect.set(place, key, {});
    place = Reflect.get(place, key) as object;
  }
  if (value !== undefined) Reflect.set(place, last, value);
  else if (Array.isArray(place)) place.splice(Number(last), 1);
  else Reflect.deleteProperty(place, last);
}

describe("the checks of the chart", () => {
  test("find no fault with a release that has none", () => {
    expect(faultsOf(soundObjects())).toEqual({});
  });

  const pod = "spec/template/spec";
  const container = `${pod}/containers/0`;
  const own = `${container}/securityContext`;
  const variable = `${container}/env/3`;
  const collector = "Deployment tiny-collector";
  const broker = "StatefulSet tiny-rabbitmq";
  const operator = "Deployment tiny-operator";
  const role = "Role tiny-operator";
  const scaler = "QueueScaler tiny-worker";
  const rules = "NetworkPolicy tiny-collector";
  const query = "Deployment tiny-query";
  const sources = `${container}/env/2/value`;
  const prometheus = "ConfigMap tiny-prometheus";
  const scrapes = "data/prometheus.yaml";
  test.for([
    [
      "Service tiny-collector",
      "metadata/name",
      "tiny-rabbitmq",
      "Service tiny-rabbitmq is there more than once",
    ],
    [collector, variable, { name: "PASSWORD", value: "" }, "variable PASSWORD of collector"],
    [collector, `${container}/ports/1/name`, "http", "port http"],
    [collector, `${pod}/volumes/1`, { name: "tmp", emptyDir: {} }, "volume tmp"],
    [collector, "metadata/name", "a".repeat(64), "its name (64 long)"],
    [broker, "metadata/name", "a".repeat(53), "its name (53 long)"],
    [collector, "metadata/labels/team", "a".repeat(64), "the label team="],
    [collector, "spec/template/metadata/labels/team", "é", "the label team=é"],
    [collector, "spec/template/metadata/annotations", { "a b": "" }, "the key a b"],
    [collector, `${container}/ports/0/name`, "http-of-collector", "the port name http-of-collector"],
    [collector, `${container}/resources/limits/memory`, "256 MB", "256 MB of memory"],
    [
      "ConfigMap tiny-settings",
      "metadata/labels",
      {},
      "ConfigMap tiny-settings has no label app.kubernetes.io/name",
    ],
    [collector, "metadata/namespace", "default", "is in default"],
    [collector, "spec/selector/matchLabels/team", "a", "does not select its own pods"],
    [collector, "spec/selector/matchLabels", {}, "selects the pods of StatefulSet tiny-rabbitmq"],
    [
      broker,
      "spec/volumeClaimTemplates/0/metadata/labels/app.kubernetes.io~1version",
      "1",
      "claim data has the label app.kubernetes.io/version",
    ],
    [collector, `${pod}/hostNetwork`, true, "hostNetwork is true"],
    [collector, `${pod}/volumes/0`, { name: "tmp", hostPath: { path: "/" } }, "volume tmp is a hostPath"],
    [collector, `${pod}/securityContext/runAsNonRoot`, undefined, "runAsNonRoot is not true"],
    [collector, `${pod}/securityContext/runAsUser`, 0, "runAsUser is 0"],
    [collector, `${own}/runAsNonRoot`, false, "runAsNonRoot is false"],
    [collector, `${pod}/securityContext/seccompProfile`, undefined, "there is no seccompProfile"],
    [collector, `${own}/seccompProfile`, { type: "Unconfined" }, "seccompProfile is Unconfined"],
    [collector, `${own}/allowPrivilegeEscalation`, undefined, "allowPrivilegeEscalation is not false"],
    [collector, `${own}/privileged`, true, "it is privileged"],
    [collector, `${own}/procMount`, "Unmasked", "procMount is Unmasked"],
    [collector, `${own}/capabilities/drop`, [], "not ALL capabilities are dropped"],
    [collector, `${own}/capabilities/add`, ["SYS_TIME"], "the capability SYS_TIME is added"],
    [collector, `${own}/seLinuxOptions`, { type: "spc_t" }, "the SELinux type is spc_t"],
    [collector, `${own}/appArmorProfile`, { type: "Unconfined" }, "appArmorProfile is Unconfined"],
    [collector, `${own}/readOnlyRootFilesystem`, false, "may write to its image's files"],
    [collector, `${pod}/securityContext/sysctls`, [{ name: "kernel.msgmax" }], "kernel.msgmax is not safe"],
    [collector, `${container}/ports/0/hostPort`, 80, "port 3000 is the host's 80"],
    [collector, `${container}/livenessProbe/httpGet/host`, "example.org", "a probe asks another host"],
    [collector, `${pod}/automountServiceAccountToken`, undefined, "the account's token is mounted"],
    [
      collector,
      `${pod}/initContainers`,
      [{ name: "first", image: "a:1" }],
      "container first: not ALL capabilities are dropped",
    ],
    [operator, `${pod}/automountServiceAccountToken`, false, "the account's token is not mounted"],
    [collector, `${pod}/serviceAccountName`, "tiny-operator", "runs as the operator's account"],
    [role, "rules/0/verbs/2", "*", "Role tiny-operator has a star in it"],
    [role, "rules/1/resourceNames", [], "names no secrets, which stands for all of them"],
    [role, "rules/1/resourceNames", undefined, "is about every Secret"],
    [role, "rules/1/verbs/1", "list", "does more with Secrets"],
    [role, "rules/0/verbs/2", "delete", "lets it delete deployments/scale"],
    [role, "metadata/name", "tiny-other", "Role tiny-other is nobody's"],
    [role, "metadata/name", "tiny-other", "is of Role tiny-operator, which is not there"],
    ["RoleBinding tiny-operator", "subjects/0/name", "tiny-account", "which is not the operator"],
    ["RoleBinding tiny-operator", "subjects/0/namespace", "default", "is for an account in default"],
    [scaler, "spec/brokerRef/url", "http://tiny-gone:15672", "asks tiny-gone:15672, which is not there"],
    [scaler, "spec/brokerRef/url", "http://tiny-rabbitmq:5672", "which the policies do not let"],
    [scaler, "spec/brokerRef/secret/passwordKey", "word", "reads word of Secret tiny-credentials"],
    [scaler, "spec/brokerRef/secret/name", "theirs", "reads Secret theirs, which the operator may not"],
    [role, "rules/0/resources/0", "replicasets/scale", "the operator may not patch its scale"],
    [scaler, "spec/replicas/min", 4, "the least is above the most"],
    [scaler, "spec/scaleTargetRef/name", "tiny-collector", "as HorizontalPodAutoscaler tiny-collector does"],
    [scaler, "spec/scaleTargetRef/name", "tiny-gone", "tiny-gone, which is not there"],
    [scaler, "spec/scaleTargetRef/name", "tiny-gone", "tiny-worker has no replicas, and nobody scales it"],
    ["Deployment tiny-worker", "spec/replicas", 1, "Deployment tiny-worker has spec.replicas"],
    [operator, `${container}/env/1`, undefined, "does not know its namespace"],
    [operator, `${container}/args/1`, "hourlyLog", "has the argument hourlyLog"],
    [collector, `${container}/image`, "millrace", "without a tag or digest"],
    [collector, `${container}/image`, "millrace:latest", "without a tag or digest"],
    [collector, `${container}/image`, ":1", "without a tag or digest"],
    [collector, `${container}/startupProbe`, undefined, "has no startupProbe"],
    [collector, `${container}/readinessProbe/httpGet/port`, "health", "asks port health"],
    [collector, `${container}/readinessProbe/httpGet/path`, "/healthz", "liveness asks what readiness asks"],
    [collector, `${container}/resources/limits`, undefined, "has no limit of memory"],
    [collector, `${pod}/volumes/0/emptyDir/sizeLimit`, undefined, "may fill its node by the folder tmp"],
    [collector, `${container}/lifecycle`, { preStop: { sleep: { seconds: 5 } } }, "sleeps in preStop"],
    [collector, `${pod}/terminationGracePeriodSeconds`, undefined, "has the default time to end in"],
    [collector, `${pod}/terminationGracePeriodSeconds`, 10, "drains as long"],
    [collector, `${container}/args/1`, "twelve-bytes", "shows tiny-credentials/password"],
    ["ConfigMap tiny-settings", "data/URL", "amqp://a:bc@d", "shows a URL with a password"],
    [collector, variable, { name: "DB_PASSWORD", value: "abc" }, "the value of DB_PASSWORD"],
    ["Service tiny-collector", "spec/selector/app.kubernetes.io~1component", "gone", "selects no pods"],
    ["Service tiny-collector", "spec/selector", {}, "selects the pods of Deployment tiny-collector and of"],
    ["Service tiny-collector", "spec/ports/0/targetPort", 3000, "which is no name"],
    ["Service tiny-collector", "spec/ports/0/targetPort", "web", "has a port web"],
    [
      "Ingress tiny-ingress",
      "spec/rules/0/http/paths/0/backend/service/name",
      "tiny-gone",
      "which is no Service here",
    ],
    ["Ingress tiny-ingress", "spec/rules/0/http/paths/0/backend/service/port", { number: 81 }, "at 81"],
    ["PodDisruptionBudget tiny-collector", "spec/selector/matchLabels", {}, "selects 6 workloads"],
    ["PodDisruptionBudget tiny-collector", "spec/maxUnavailable", 0, "lets no pod go"],
    ["HorizontalPodAutoscaler tiny-collector", "spec/maxReplicas", 1, "guards the only pod"],
    ["HorizontalPodAutoscaler tiny-collector", "spec/minReplicas", 5, "the least is above the most"],
    ["HorizontalPodAutoscaler tiny-collector", "spec/scaleTargetRef/name", "gone", "which is not there"],
    [collector, "spec/replicas", 2, "Deployment tiny-collector has spec.replicas"],
    [collector, `${container}/resources/requests/cpu`, undefined, "requests no cpu to measure against"],
    [collector, `${container}/envFrom/0/configMapRef/name`, "gone", "has no ConfigMap gone"],
    [collector, `${container}/env/1/valueFrom/secretKeyRef/key`, "gone", "has no key gone of Secret"],
    [collector, `${pod}/serviceAccountName`, "gone", "has no ServiceAccount gone"],
    [collector, `${container}/volumeMounts/0/name`, "gone", "has no volume gone"],
    [collector, `${pod}/volumes/1`, { name: "idle", emptyDir: {} }, "has no mount of the volume idle"],
    [broker, "spec/serviceName", "gone", "has no headless Service gone"],
    [
      "NetworkPolicy tiny-all",
      "spec/podSelector/matchLabels",
      { a: "b" },
      "is about the Egress of StatefulSet",
    ],
    ["NetworkPolicy tiny-rabbitmq", "spec/ingress", [], "which does not let it in"],
    [rules, "spec/egress/0", { ports: [{ port: 5673 }] }, "and it is not let out there"],
    [rules, "spec/egress/0/ports/0/port", 5673, "which nobody there has"],
    [rules, "spec/egress/1", undefined, "and not to a name server"],
    [rules, "spec/egress/2", {}, "lets out to everywhere"],
    [rules, "spec/ingress/0/ports/0/port", 3001, "which it does not have"],
    [rules, "spec/egress/0", { ports: [{ port: 5673 }] }, "the policies do not let it reach"],
    ["ConfigMap tiny-settings", "data/MILLRACE_MAX_ATTEMPTS", "7e+00", "does not start"],
    ["ConfigMap tiny-settings", "data/MILLRACE_MAX_ATTEMPT", "7", "does not start"],
    ["ConfigMap tiny-settings", "data/MILLRACE_HOST", "", "listens on 127.0.0.1 alone"],
    [
      "ConfigMap tiny-settings",
      "data/MILLRACE_COLLECTOR_PORT",
      "80",
      "listens on 9090,80, and tells of 3000,9090",
    ],
    [collector, `${container}/env/2`, undefined, "has a broker of its own"],
    [collector, `${container}/args`, ["worker", "accountNames"], "works on accountNames"],
    [collector, `${container}/env/0/value`, "", "has a heap that depends on its node"],
    [collector, `${container}/env/0/value`, "--max-old-space-size=80", "has a heap of 80 MiB for"],
    [collector, `${container}/resources/limits/memory`, "128Mi", "within 134217728 bytes"],
    [
      collector,
      `${container}/env/2/value`,
      "amqp://a:$(PASSWORD)@tiny-gone",
      "there is no Service tiny-gone",
    ],
    [collector, `${container}/env/2/value`, "amqp://a:$(PASSWORD)@tiny-rabbitmq:5671", "has no port 5671"],
    [query, sources, "query=tiny-query-admin:9090", "has a console that does not see collector"],
    [query, sources, "collector=tiny-query-admin:9090", "takes Deployment tiny-query for collector"],
    [query, sources, "collector=tiny-gone:9090", "asks tiny-gone:9090, which is not there"],
    [query, sources, "collector=tiny-collector:80", "tiny-collector:80, which leads to one pod of several"],
    [query, sources, "collector=tiny-collector:80", "which the policies do not let it reach"],
    ["NetworkPolicy tiny-query", "spec/egress/0", undefined, "tiny-collector-admin:9090, which the policies"],
    [
      "Service tiny-worker-admin",
      "spec/ports/0/port",
      9091,
      "asks tiny-worker-admin:9090, which is not there",
    ],
    [scaler, "spec/objective/maxWaitSeconds", 31, "is told of 30 s, and its QueueScaler of 31 s"],
    [prometheus, scrapes, "scrape_configs: []", "Deployment tiny-prometheus does not see hourlyLog"],
    [
      prometheus,
      scrapes,
      "scrape_configs: [{ job_name: millrace/query, dns_sd_configs: [{ names: [tiny-operator-admin], port: 9090 }] }]",
      "calls operator millrace/query",
    ],
    [
      prometheus,
      scrapes,
      "scrape_configs: [{ job_name: millrace/operator, dns_sd_configs: [{ names: [tiny-operator-admin], port: 9090 }] }]",
      "has the labels of millrace/operator wrong",
    ],
    [prometheus, "data/datasources.yaml", "datasources: [{ url: http://tiny-gone:9090 }]", "asks tiny-gone"],
    [prometheus, "metadata/name", "tiny-other", "ConfigMap tiny-other is read by nobody"],
    ["Service tiny-query-admin", "spec/clusterIP", undefined, "tiny-query-admin, which leads to one pod"],
    ["PodMonitor tiny-worker", "spec/selector/matchLabels", { a: "b" }, "is read by 0 PodMonitors"],
    ["PodMonitor tiny-worker", "spec/selector/matchLabels", {}, "is read by 2 PodMonitors"],
    ["PodMonitor tiny-worker", "spec/selector/matchLabels", {}, "is about pods that are no role"],
    ["PodMonitor tiny-worker", "spec/podMetricsEndpoints/0/port", "http", "is asked at http"],
    ["PodMonitor tiny-operator", "spec/podMetricsEndpoints/0/honorLabels", false, "labels taken wrongly"],
    ["PodMonitor tiny-worker", "spec/podMetricsEndpoints/0/relabelings", [], "does not say instance and job"],
    [
      "Deployment tiny-prometheus",
      `${container}/volumeMounts/0/subPath`,
      "gone.yaml",
      "has no key gone.yaml of ConfigMap tiny-prometheus",
    ],
    [collector, "spec/paused", null, "spec.paused is null"],
    ["ConfigMap tiny-settings", "data/LEFT", "%!s(float64=3)", "data.LEFT is %!s"],
  ] as const)("find fault with %s where %s is %j", ([title, path, value, fault]) => {
    const objects = soundObjects();
    const object = objects.find(({ kind, metadata }) => `${kind} ${metadata.name}` === title);
    if (object === undefined) throw new Error(`there is no ${title}`);
    put(object, path, value);
    expect(Object.values(faultsOf(objects)).flat().join("\n")).toContain(fault);
  });
});

describe("what helm writes", () => {
  test.for([
    ["a: 1\n---\nb: yes\n", [{ a: 1 }, { b: true }]],
    ['a:\n  - "one\n\nand \\\n\\ two\n\n"\n  - 3\nb: 4\n', [{ a: ["one\nand  two\n", 3], b: 4 }]],
    ['a: |\n  x "y\nb: 1\n', [{ a: 'x "y\n', b: 1 }]],
    ["# Source: x\n", []],
  ] as const)("is read as Kubernetes does: %j", ([text, documents]) => {
    expect(documentsIn(text, { uniqueKeys: true })).toEqual(documents);
  });

  test("is refused where a map has a key twice, if asked", () => {
    expect(documentsIn("a: 1\na: 2\n", { uniqueKeys: false })).toEqual([{ a: 2 }]);
    expect(() => documentsIn("a: 1\na: 2\n", { uniqueKeys: true })).toThrow("unique");
  });
});
