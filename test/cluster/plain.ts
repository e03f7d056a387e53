import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { plainManifests } from "../../cdk8s/plain.ts";
import type { Cluster } from "../../kind/cluster.ts";
import { obtainSchemas } from "../chart/schemas.ts";
import { postedAndCounted } from "./ingress.ts";
import { Namespace } from "./install.ts";
import { conditionOf, workerOf } from "./queue-scalers.ts";

export interface Place {
  readonly cluster: Cluster;
  /** Of the ingress. */
  readonly url: string;
  /** Of Millrace. */
  readonly image: string;
}

const RELEASE = "millrace";

/** The tests of an install without Helm, in a namespace of its own. */
export function plainManifestTests(place: () => Place): void {
  const HOST = "plain.example.test";
  /** Kinds that others define. */
  const FOREIGN = [
    "httproutes.gateway.networking.k8s.io",
    "podmonitors.monitoring.coreos.com",
    "prometheusrules.monitoring.coreos.com",
  ];
  let plain: Namespace;
  beforeAll(async () => {
    plain = new Namespace(place().cluster, "plain");
    await plain.create();
  }, 60_000);

  test("work in another namespace, with three nodes of RabbitMQ", { timeout: 600_000 }, async () => {
    const { url, image } = place();
    const [, repository = "", tag = ""] = /^(.*):([^:]*)$/.exec(image) ?? [];
    const values = {
      image: { repository, tag },
      rabbitmq: { replicas: 3 },
      ingress: { enabled: true, host: HOST },
      httpRoute: { enabled: true, parentRefs: [{ name: "public" }], hostnames: [HOST] },
      monitoring: {
        podMonitor: { enabled: true },
        rules: { enabled: true },
        dashboards: { enabled: true },
      },
    };
    const files = (await obtainSchemas()).others.flatMap((file) => ["--filename", file]);
    await plain.kubectl("apply", "--server-side", ...files);
    const kinds = FOREIGN.map((kind) => `crd/${kind}`);
    await plain.kubectl("wait", "--for=condition=Established", ...kinds, "--timeout=60s");
    const keys = ["rabbitmq-password", "rabbitmq-erlang-cookie", "mongodb-password"];
    await plain.apply({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "millrace-credentials" },
      stringData: Object.fromEntries(keys.map((key) => [key, randomBytes(16).toString("hex")])),
    });
    await plain.apply(...plainManifests({ release: RELEASE, values }));
    await plain.kubectl("rollout", "status", "statefulset/millrace-rabbitmq", "--timeout=300s");
    await plain.waitForPods();
    expect(await postedAndCounted(url, HOST)).toContain('"count":1');
    const ready = async () => conditionOf(plain, workerOf("hourly-log"), "Ready");
    await expect.poll(ready, { timeout: 60_000, interval: 1000 }).toMatchObject({ status: "True" });
    // The API server takes them; there is nobody here to follow them.
    const taken = await Promise.all(FOREIGN.map(async (kind) => (await plain.list(kind)).length));
    expect(Math.min(...taken)).toBeGreaterThan(0);
    expect(await plain.list("configmaps", "grafana_dashboard=1")).not.toEqual([]);
  });

  test("have every queue on all three nodes, and go on without one of them", {
    timeout: 300_000,
  }, async () => {
    const nodesOf = async (): Promise<Readonly<Record<string, number>>> => {
      const inside = ["exec", "millrace-rabbitmq-0", "--container=rabbitmq", "--"];
      const list = ["rabbitmqctl", "list_queues", "--quiet", "--formatter=json", "name", "members"];
      const rows = JSON.parse(await plain.kubectl(...inside, ...list)) as readonly {
        readonly name: string;
        readonly members: readonly string[];
      }[];
      return Object.fromEntries(rows.map(({ name, members }) => [name, members.length]));
    };
    const three = { accountName: 3, distinctName: 3, hourlyLog: 3 };
    await expect.poll(nodesOf, { timeout: 240_000, interval: 5000 }).toMatchObject(three);
    await plain.kubectl(
      "delete",
      "pod",
      "millrace-rabbitmq-2",
      "--grace-period=0",
      "--force",
      "--wait=false",
    );
    for (let round = 0; round < 5; round += 1)
      expect(await postedAndCounted(place().url, HOST)).toContain('"count":1');
  });

  afterAll(async () => plain.remove(), 300_000);
}
