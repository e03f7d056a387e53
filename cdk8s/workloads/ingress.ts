import { type App, Chart } from "cdk8s";
import type { Ingress, IngressRule } from "kubernetes-types/networking/v1.d.ts";
import { COLLECTOR_PORT } from "./collector.ts";
import { QUERY_PORT } from "./query.ts";
import { metadata, nameOf } from "../names.ts";
import { type Expression, filled, overlaid } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { ifFilled, type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { ingress: chosen, httpRoute: route } = values;
/** Longest first, as a controller that goes by their order needs it. */
const collectorPaths = ["/event", "/events", "/debug/vars"];

const withOwn = (component: string, annotations: Expression<Record<string, string>>) =>
  metadata(component, nameOf(component), {}, overlaid(values.commonAnnotations, annotations));

/** Events and queries under one name: a few paths lead to the collector, all others to the query API. */
export function ingress(app: App): void {
  const to = (component: string, path: string) => ({
    path,
    pathType: "Prefix",
    backend: { service: { name: nameOf(component), port: { name: "http" } } },
  });
  const rule: Templated<IngressRule> = {
    host: ifFilled(chosen.host),
    http: { paths: [...collectorPaths.map((path) => to("collector", path)), to("query", "/")] },
  };
  new Manifest<Ingress>(
    new Chart(app, "ingress"),
    "ingress",
    { apiVersion: "networking.k8s.io/v1", kind: "Ingress" },
    {
      metadata: withOwn("ingress", chosen.annotations),
      spec: {
        ingressClassName: ifFilled(chosen.className),
        tls: when(chosen.tls.enabled, [
          {
            hosts: when(filled(chosen.host), [chosen.host]),
            secretName: ifFilled(chosen.tls.secretName),
          },
        ]),
        rules: [rule],
      },
    },
    { condition: chosen.enabled },
  );
}

interface HttpRoute {
  apiVersion?: string;
  kind?: string;
  metadata?: unknown;
  spec?: object;
}

/** The same for the Gateway API, whose types Kubernetes itself does not have. */
export function httpRoute(app: App): void {
  const path = (value: string) => ({ path: { type: "PathPrefix", value } });
  const to = (component: string, port: number) => [{ name: nameOf(component), port }];
  new Manifest<HttpRoute>(
    new Chart(app, "http-route"),
    "route",
    { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute" },
    {
      metadata: withOwn("http-route", route.annotations),
      spec: {
        parentRefs: route.parentRefs,
        hostnames: ifFilled(route.hostnames),
        rules: [
          { matches: collectorPaths.map(path), backendRefs: to("collector", COLLECTOR_PORT) },
          { matches: [path("/")], backendRefs: to("query", QUERY_PORT) },
        ],
      },
    },
    { condition: route.enabled },
  );
}
