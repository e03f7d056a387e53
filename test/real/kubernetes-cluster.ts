import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { hyperkube } from "../../kind/offline/programs.ts";
import { type Kubernetes, type KubernetesSettings, openKubernetes } from "../../operator/kubernetes.ts";
import { customResourceDefinition } from "../../operator/custom-resource.ts";
import { API_VERSION, KIND, type QueueScaler } from "../../operator/queue-scaler.ts";
import type { Signals } from "../../src/signals.ts";
import { type ApiObject, type ApiServerPart, startApiServer } from "../parts/api-server.ts";

import { PartMissing } from "../parts/part.ts";

/** Why no API server can be had here: tests that need one are skipped. Undefined where it can. */
export const missing = await hyperkube().then(
  () => undefined,
  (error: unknown) => {
    if (error instanceof PartMissing) return error.message;
    throw error;
  },
);

export const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
export const scalersOf = (namespace: string) => `/apis/${API_VERSION}/namespaces/${namespace}/queuescalers`;
export const deploymentsOf = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/deployments`;

/** Resolves once `look` finds something that is true. Looks anew at once, and as often as the event loop turns to it. */
export async function until<T>(look: () => Promise<T> | T): Promise<T> {
  for (;;) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** An API server that knows QueueScalers. */
export async function startCluster(): Promise<ApiServerPart> {
  const api = await startApiServer();
  await define(api, customResourceDefinition);
  return api;
}

/** Resolves once objects of the kind can be asked for. */
export async function define(
  api: ApiServerPart,
  definition: typeof customResourceDefinition | ApiObject,
): Promise<void> {
  await api.must({ method: "POST", path: definitions, body: definition });
  const { group, versions, names } = definition.spec as typeof customResourceDefinition.spec;
  const path = `/apis/${group}/${versions[0]?.name}/${names.plural}`;
  await until(async () => (await api.send({ method: "GET", path })).status === 200);
}

/** The least that the API server takes. */
export const leastSpec = {
  scaleTargetRef: { name: "worker" },
  queue: { name: "orders" },
  brokerRef: { secret: { name: "broker" } },
  replicas: { max: 10 },
};

export async function makeScaler(
  api: ApiServerPart,
  namespace: string,
  name: string,
  spec: object = {},
): Promise<ApiObject> {
  const body = { apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec: { ...leastSpec, ...spec } };
  return api.must({ method: "POST", path: scalersOf(namespace), body });
}

const pods = (app: string) => ({
  selector: { matchLabels: { app } },
  template: { metadata: { labels: { app } }, spec: { containers: [{ name: app, image: app }] } },
});

/** A Deployment of one replica, which nothing brings into being. */
export async function makeWorkload(
  api: ApiServerPart,
  namespace: string,
  name: string,
  resource: "deployments" | "replicasets" | "statefulsets" = "deployments",
): Promise<ApiObject> {
  const spec = { replicas: 1, ...pods(name), ...(resource === "statefulsets" ? { serviceName: name } : {}) };
  const path = `/apis/apps/v1/namespaces/${namespace}/${resource}`;
  return api.must({ method: "POST", path, body: { metadata: { name }, spec } });
}

export async function makeNamespace(api: ApiServerPart, name: string): Promise<void> {
  await api.must({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name } } });
}

/** An operator's side of the cluster, watching, and what it told. */
export interface Watching extends AsyncDisposable {
  readonly kubernetes: Kubernetes;
  /** Scalers that `changed` was called with, as `namespace/name`. */
  readonly changes: string[];
  readonly requests: Signals["request.made"][];
  readonly restarts: Signals["watch.restarted"][];
}

export async function watching(
  api: ApiServerPart,
  settings: Partial<KubernetesSettings> = {},
): Promise<Watching> {
  const requests: Signals["request.made"][] = [];
  const restarts: Signals["watch.restarted"][] = [];
  const changes: string[] = [];
  const kubernetes = await openKubernetes({
    namespaces: [],
    identity: "operator-1",
    lease: { namespace: "default", name: "millrace-operator" },
    kubeConfig: api.kubeConfig(),
    emit: (name, fact) => {
      if (name === "request.made") requests.push(fact as Signals["request.made"]);
      if (name === "watch.restarted") restarts.push(fact as Signals["watch.restarted"]);
    },
    ...settings,
  });
  const stop = new AbortController();
  await kubernetes.watch(({ namespace, name }) => changes.push(`${namespace}/${name}`), stop.signal);
  return {
    kubernetes,
    changes,
    requests,
    restarts,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await kubernetes[Symbol.asyncDispose]();
    },
  };
}

/** One API server for all tests of a file, and a namespace for each; ends what a test has had watch it. */
export function eachInANamespace(
  begin: (api: ApiServerPart, namespace: string) => void,
  watched: () => Watching,
): void {
  let api: ApiServerPart;
  let namespaces = 0;
  beforeAll(async () => {
    api = await startCluster();
  });
  afterAll(async () => {
    await api[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    const namespace = `shop-${(namespaces += 1)}`;
    await makeNamespace(api, namespace);
    begin(api, namespace);
  });
  afterEach(async () => {
    await watched()[Symbol.asyncDispose]();
  });
}

/** As it is seen, where its spec can be followed. */
export function goodScaler(
  { kubernetes }: Watching,
  namespace: string,
  name: string,
): QueueScaler | undefined {
  const found = kubernetes.scaler({ namespace, name });
  return found !== undefined && "spec" in found ? found : undefined;
}

/** The same; throws where it is not. */
export function scalerSeen(at: Watching, namespace: string, name: string): QueueScaler {
  const found = goodScaler(at, namespace, name);
  if (found === undefined) throw new Error(`${name} is not seen`);
  return found;
}

/** A merge patch. */
export function merge(api: ApiServerPart, path: string, body: object): Promise<ApiObject> {
  return api.must({ method: "PATCH", path, contentType: "application/merge-patch+json", body });
}
