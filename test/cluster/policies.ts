import { afterAll, beforeAll, test } from "vitest";
import { type Place, tryConnection } from "./connection.ts";
import { Namespace } from "./install.ts";

export interface Installed {
  readonly millrace: Namespace;
  /** Of Millrace: the pods that try to connect run it. */
  readonly image: string;
}

/** What a policy's end of a connection looks like: refused, or dropped. A name that is not found is neither. */
const KEPT_OUT = /^(no answer|ECONNREFUSED|EHOSTUNREACH)$/;
const timeout = 120_000;
const broker = "millrace-rabbitmq.millrace";
const store = "millrace-mongodb.millrace";
const prometheus = "millrace-prometheus.millrace";
const closed = [
  ["RabbitMQ", broker, 5672],
  ["RabbitMQ's management", broker, 15672],
  ["MongoDB", store, 27017],
  ["the bundled Prometheus", prometheus, 9090],
] as const;

/** The tests of who may talk to whom, in the namespace and from outside of it. */
export function policyTests(installed: () => Installed): void {
  let stranger: Namespace;
  beforeAll(async () => {
    stranger = new Namespace(installed().millrace.cluster, "stranger");
    await stranger.create();
  }, 60_000);
  afterAll(async () => stranger.remove(), 180_000);

  const as = (component: string) => ({
    "app.kubernetes.io/name": "millrace",
    "app.kubernetes.io/instance": "millrace",
    "app.kubernetes.io/component": component,
  });
  const from = async (namespace: Namespace, labels: Readonly<Record<string, string>>, place: Place) =>
    tryConnection(namespace, labels, installed().image, place);
  const reaching = async (component: string, host: string, port: number) =>
    from(installed().millrace, as(component), { host, port, wanted: "connected" });
  const keptOut = async (component: string, host: string, port: number) =>
    from(installed().millrace, as(component), { host, port, wanted: "kept out" });

  test.concurrent.for(closed)(
    "a pod of another namespace cannot reach %s",
    { timeout },
    async ([, host, port], { expect }) => {
      expect(await from(stranger, {}, { host, port, wanted: "kept out" })).toMatch(KEPT_OUT);
    },
  );

  test.concurrent("but it reaches the collector, which is there for it", { timeout }, async ({ expect }) => {
    const place = { host: "millrace-collector.millrace", port: 3000, wanted: "connected" } as const;
    expect(await from(stranger, {}, place)).toBe("connected");
  });

  test.concurrent.for(closed)(
    "a pod of the same namespace without a part in the system cannot reach %s",
    { timeout },
    async ([, host, port], { expect }) =>
      expect(await from(installed().millrace, {}, { host, port, wanted: "kept out" })).toMatch(KEPT_OUT),
  );

  test.concurrent("the query API's pods reach all that its live page is about", { timeout }, async ({
    expect,
  }) => {
    const open = [
      [store, 27017],
      [broker, 5672],
      [broker, 15672],
      ["millrace-collector.millrace", 3000],
      ["millrace-operator-admin.millrace", 9090],
    ] as const;
    const tried = open.map(async ([host, port]) => [host, port, await reaching("query", host, port)]);
    expect(await Promise.all(tried)).toEqual(open.map((place) => [...place, "connected"]));
    expect(await keptOut("query", prometheus, 9090)).toMatch(KEPT_OUT);
  });

  test.concurrent("the sweeper's pods reach MongoDB, and not RabbitMQ", { timeout }, async ({ expect }) => {
    expect(await reaching("sweeper", store, 27017)).toBe("connected");
    expect(await keptOut("sweeper", broker, 5672)).toMatch(KEPT_OUT);
  });

  test.concurrent("the collector's pods reach both ports of RabbitMQ, and not MongoDB", { timeout }, async ({
    expect,
  }) => {
    expect(await reaching("collector", broker, 5672)).toBe("connected");
    expect(await reaching("collector", broker, 15672)).toBe("connected");
    expect(await keptOut("collector", store, 27017)).toMatch(KEPT_OUT);
  });

  test.concurrent("the operator's pods reach RabbitMQ's management, and no message", { timeout }, async ({
    expect,
  }) => {
    expect(await reaching("operator", broker, 15672)).toBe("connected");
    expect(await keptOut("operator", broker, 5672)).toMatch(KEPT_OUT);
    expect(await keptOut("operator", store, 27017)).toMatch(KEPT_OUT);
  });
}
