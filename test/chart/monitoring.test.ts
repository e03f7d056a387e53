import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { whyNoChroot } from "../parts/chroot.ts";
import { promtool } from "../parts/prometheus.ts";
import { combinations, installOf, rendering } from "./combinations.ts";
import { chartFolder, helmTemplate } from "./helm.ts";
import { containersOf, type KubernetesObject, ofKind, secretsOf, workloadsOf } from "./objects.ts";
import { rolesOf, variablesOf } from "./settings.ts";

const missing = inject("chartToolsMissing");
const given = inject("chartTools");
const noPromtool = whyNoChroot();
const folder = join(chartFolder, "monitoring");
const ruleText = readFileSync(join(folder, "rules.yaml"), "utf8");
const files = readdirSync(join(folder, "dashboards"));

const named = (objects: readonly KubernetesObject[], kind: string, end: string): KubernetesObject => {
  const found = ofKind(objects, kind).find(({ metadata }) => metadata.name.endsWith(end));
  if (found === undefined) throw new Error(`there is no ${kind} ${end}`);
  return found;
};
const dashboardsIn = (objects: readonly KubernetesObject[]) =>
  ofKind(objects, "ConfigMap").filter(({ metadata }) => metadata.name.includes("-dashboard-"));

describe.skipIf(missing !== undefined)(
  `monitoring by the chart${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    const tools = given as NonNullable<typeof given>;
    const rendered = rendering(() => tools.helm4);

    test("is not there unless it is asked for, but for the Services that the console needs", async () => {
      const { objects } = await rendered("default");
      expect(ofKind(objects, "PodMonitor")).toEqual([]);
      expect(ofKind(objects, "PrometheusRule")).toEqual([]);
      expect(dashboardsIn(objects)).toEqual([]);
      const names = workloadsOf(objects).map(({ title }) => title);
      expect(names.filter((name) => /prometheus|grafana/.test(name))).toEqual([]);
      const admin = ofKind(objects, "Service").filter(({ metadata }) => metadata.name.endsWith("-admin"));
      expect(admin.map(({ spec }) => [spec?.["clusterIP"], spec?.["publishNotReadyAddresses"]])).toEqual(
        rolesOf(objects).map(() => ["None", true]),
      );
    });

    test("the alerts arrive as they are, at the operator of Prometheus and at the bundled one", async () => {
      const { objects } = await rendered("all-on");
      expect(named(objects, "PrometheusRule", "-rules").spec).toEqual(parse(ruleText));
      expect(named(objects, "ConfigMap", "-prometheus").data?.["rules.yaml"]).toBe(ruleText);
      expect(ruleText).toContain("{{ ");
    });

    test.for(["all-on", "monitoring", "monitoring-bundled"])(
      "each dashboard arrives as it is, with values/%s.yaml",
      async (combination) => {
        const maps = dashboardsIn((await rendered(combination)).objects);
        const data = Object.assign({}, ...maps.map((map) => map.data)) as Readonly<Record<string, string>>;
        expect(Object.keys(data).toSorted()).toEqual(files.toSorted());
        for (const file of files) {
          expect(data[file]).toBe(readFileSync(join(folder, "dashboards", file), "utf8"));
        }
      },
    );

    test("a sidecar finds dashboards by the label that it looks for, and their folder", async () => {
      for (const { metadata } of dashboardsIn((await rendered("all-on")).objects)) {
        expect(metadata.labels).toMatchObject({ grafana_dashboard: "1" });
        expect(metadata.annotations).toMatchObject({ grafana_folder: "Millrace" });
      }
      for (const { metadata } of dashboardsIn((await rendered("monitoring")).objects)) {
        expect(metadata.labels).toMatchObject({ "example.org/dashboard": "true", team: "events" });
        expect(metadata.annotations).toEqual({ note: "dashboard" });
      }
      for (const { metadata } of dashboardsIn((await rendered("monitoring-bundled")).objects)) {
        expect(metadata.labels).not.toHaveProperty("grafana_dashboard");
      }
    });

    test("a Prometheus of others finds what it selects by the labels that it is given", async () => {
      const { objects } = await rendered("monitoring");
      for (const kind of ["PodMonitor", "PrometheusRule"]) {
        for (const { metadata } of ofKind(objects, kind))
          expect(metadata.labels).toMatchObject({ release: "prometheus" });
      }
      expect(ofKind(objects, "PodMonitor").map(({ spec }) => spec?.["podMetricsEndpoints"])).toMatchObject([
        [{ interval: "30s", path: "/metrics", port: "admin" }],
      ]);
    });

    test.for(["podMonitor", "rules"])(
      "monitoring.%s stops the install in words where the cluster has no such kind",
      async (what) => {
        const install = {
          ...installOf("default"),
          values: { monitoring: { [what]: { enabled: true } } },
          apiVersions: [],
        };
        for (const helm of [tools.helm4, tools.helm3]) {
          await expect(helmTemplate(helm, install)).rejects.toThrow(
            new RegExp(`monitoring.${what}.enabled makes a .*does not know monitoring.coreos.com/v1`),
          );
        }
      },
    );

    test("the console has what it needs, and a query API without it has none of that", async () => {
      const namesIn = async (combination: string) => {
        const { objects } = await rendered(combination);
        return rolesOf(objects)
          .filter(({ role }) => role === "query")
          .flatMap(({ container }) => [...variablesOf(container, objects)])
          .filter(([name]) => /CONSOLE|COLLECTOR_URL|BROKER_URL|KEY_HASHES/.test(name))
          .map(([name, value]) => (name === "MILLRACE_CONSOLE" ? `${name}=${value}` : name));
      };
      expect(await namesIn("external")).toEqual([
        "MILLRACE_CONSOLE=on",
        "MILLRACE_CONSOLE_SOURCES",
        "MILLRACE_COLLECTOR_URL",
        "MILLRACE_BROKER_URL",
        "MILLRACE_WRITE_KEY_HASHES",
      ]);
      expect(await namesIn("all-off")).toEqual(["MILLRACE_CONSOLE=off"]);
    });

    test("the password of Grafana is made, or is the user's", async () => {
      const passwordIn = async (combination: string) => {
        const { objects } = await rendered(combination);
        const [grafana] = workloadsOf(objects).filter(({ title }) => title.endsWith("-grafana"));
        const variables = grafana?.pod.containers[0]?.env ?? [];
        const { name = "", key = "" } =
          variables.find((one) => one.name === "GF_SECURITY_ADMIN_PASSWORD")?.valueFrom?.secretKeyRef ?? {};
        const anonymous = variables.find((one) => one.name === "GF_AUTH_ANONYMOUS_ENABLED")?.value;
        return { name, anonymous, made: secretsOf(objects).get(name)?.[key] };
      };
      expect(await passwordIn("all-on")).toEqual({
        name: "millrace-credentials",
        anonymous: "false",
        made: expect.stringMatching(/^\w{32}$/),
      });
      expect(await passwordIn("monitoring-bundled")).toEqual({ name: "our-grafana", anonymous: "true" });
    });

    describe("the ways in", () => {
      test.for([
        ["/event", "collector"],
        ["/events", "collector"],
        ["/debug/vars", "collector"],
        ["/", "query"],
        ["/console/live", "query"],
        ["/console/event", "query"],
        ["/dead-letters/replay", "query"],
        ["/metrics/hourly_logs/total", "query"],
        ["/accounts/kodingbot", "query"],
        ["/eventual", "query"],
      ])("%s leads to the %s, by Ingress and by HTTPRoute", async ([path, component]) => {
        const { objects } = await rendered("all-on");
        const routes = routesOf(objects);
        expect(routes.length).toBe(2);
        for (const route of routes) expect(servedBy(route, path ?? "")).toBe(`millrace-${component}`);
      });
    });

    describe.skipIf(noPromtool !== undefined)(
      `the bundled Prometheus${noPromtool === undefined ? "" : ` (${noPromtool})`}`,
      () => {
        const bundling = combinations.filter((one) => /all-on|long-names|monitoring-bundled/.test(one));
        test.for(bundling)("reads its configuration, with values/%s.yaml", async (combination) => {
          const { objects } = await rendered(combination);
          const data = named(objects, "ConfigMap", "-prometheus").data ?? {};
          const text = (data["prometheus.yaml"] ?? "").replaceAll("/etc/prometheus/", "");
          const run = { "prometheus.yaml": text, "rules.yaml": data["rules.yaml"] ?? "" };
          const { code, output } = await promtool({
            words: ["check", "config", "prometheus.yaml"],
            files: run,
          });
          expect(output).toContain("SUCCESS");
          expect({ code, output }).toMatchObject({ code: 0 });
        });

        test("would not start with a rule that is none", async () => {
          const { objects } = await rendered("all-on");
          const data = named(objects, "ConfigMap", "-prometheus").data ?? {};
          const text = (data["prometheus.yaml"] ?? "").replaceAll("/etc/prometheus/", "");
          const bad = "groups: [{ name: a, rules: [{ record: b, expr: 'sum(' }] }]\n";
          const run = { "prometheus.yaml": text, "rules.yaml": bad };
          const { code } = await promtool({ words: ["check", "config", "prometheus.yaml"], files: run });
          expect(code).not.toBe(0);
        });
      },
    );

    test("Grafana and Prometheus run as the users of their images, and write where those may", async () => {
      const { objects } = await rendered("all-on");
      const pods = workloadsOf(objects).filter(({ title }) => /-(grafana|prometheus)$/.test(title));
      expect(
        pods.map(({ pod }) => [
          pod.securityContext?.runAsUser,
          containersOf(pod).flatMap(({ volumeMounts = [] }) =>
            volumeMounts.map(({ mountPath }) => mountPath),
          ),
        ]),
      ).toEqual([
        [
          472,
          [
            "/var/lib/grafana",
            "/tmp",
            "/etc/grafana/provisioning/datasources/millrace.yaml",
            "/etc/grafana/provisioning/dashboards/millrace.yaml",
            "/etc/grafana/dashboards",
          ],
        ],
        [65_534, ["/prometheus", "/etc/prometheus"]],
      ]);
    });
  },
);

interface Route {
  readonly prefix: string;
  readonly service: string;
}

/** The prefixes of each Ingress and HTTPRoute, with what they lead to. */
function routesOf(objects: readonly KubernetesObject[]): readonly (readonly Route[])[] {
  const rulesOf = (kind: string) =>
    ofKind(objects, kind).map(({ spec }) => spec?.["rules"] as readonly object[]);
  return [
    ...rulesOf("Ingress").map((rules) =>
      (rules as readonly IngressRule[]).flatMap(({ http }) =>
        http.paths.map(({ path, backend }) => ({ prefix: path, service: backend.service.name })),
      ),
    ),
    ...rulesOf("HTTPRoute").map((rules) =>
      (rules as readonly HttpRouteRule[]).flatMap(({ matches, backendRefs: [to] }) =>
        matches.map(({ path }) => ({ prefix: path.value, service: to.name })),
      ),
    ),
  ];
}
interface IngressRule {
  readonly http: {
    readonly paths: readonly {
      readonly path: string;
      readonly backend: { readonly service: { name: string } };
    }[];
  };
}
interface HttpRouteRule {
  readonly matches: readonly { readonly path: { readonly value: string } }[];
  readonly backendRefs: readonly [{ readonly name: string }];
}

/** As both have it: by whole parts of the path, and the longest wins. */
function servedBy(route: readonly Route[], path: string): string | undefined {
  return route
    .filter(({ prefix }) => `${path}/`.startsWith(`${prefix.replace(/\/$/, "")}/`))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)[0]?.service;
}
