import { type Channel, type ChannelModel, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test, vi } from "vitest";
import { customResourceDefinition } from "../../operator/custom-resource.ts";
import type { QueueScalerStatus } from "../../operator/queue-scaler-status.ts";
import { type ApiServerPart, startApiServer } from "../parts/api-server.ts";
import { type OperatorProcess, startOperator } from "../parts/operator.ts";

const brokerAt = inject("broker");
const QUEUE = "operator-test";
const SCALERS = "/apis/millrace.io/v1alpha1/namespaces/default/queuescalers";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/millrace-operator";
const timeout = 90_000;
const poll = { timeout: 60_000, interval: 200 };

describe.skipIf(brokerAt === undefined)("the operator", () => {
  let api: ApiServerPart;
  let connection: ChannelModel;
  let channel: Channel;
  let operators: OperatorProcess[] = [];

  const started = async (): Promise<OperatorProcess> => {
    const operator = await startOperator(api.kubeConfig());
    operators.push(operator);
    return operator;
  };
  const get = async <T>(path: string): Promise<T> => (await api.must({ method: "GET", path })) as T;
  const holder = async () => (await get<{ spec: { holderIdentity: string } }>(LEASE)).spec.holderIdentity;
  const replicas = async () =>
    (await get<{ spec: { replicas: number } }>(`${DEPLOYMENTS}/worker`)).spec.replicas;
  const status = async () => (await get<{ status?: QueueScalerStatus }>(`${SCALERS}/mine`)).status;
  const condition = async (type: string) => (await status())?.conditions?.find((one) => one.type === type);
  const publish = (messages: number) => {
    for (let sent = 0; sent < messages; sent++) channel.sendToQueue(QUEUE, Buffer.from("x"));
  };
  const change = async (path: string, body: object) =>
    api.must({ method: "PATCH", path, body, contentType: "application/merge-patch+json" });
  /** Two operators: the one that leads, and the other. */
  const startedPair = async (): Promise<readonly [OperatorProcess, OperatorProcess]> => {
    const [one, other] = [await started(), await started()];
    await expect.poll(async () => (await isLeading(one)) || (await isLeading(other)), poll).toBe(true);
    return (await isLeading(one)) ? [one, other] : [other, one];
  };
  const scalings = (operator: OperatorProcess) => operator.log().split('"msg":"scaled"').length - 1;
  const isLeading = async (operator: OperatorProcess) =>
    (await operator.metrics()).get("millrace_operator_leading") === 1;

  beforeAll(async () => {
    if (brokerAt === undefined) return;
    [api, connection] = await Promise.all([startApiServer(), connect(brokerAt.url)]);
    channel = await connection.createChannel();
    await channel.assertQueue(QUEUE, { durable: true, arguments: { "x-queue-type": "quorum" } });
    await api.must({
      method: "POST",
      path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      body: customResourceDefinition,
    });
    await vi.waitUntil(async () => (await api.send({ method: "GET", path: SCALERS })).status === 200, poll);
    await api.must({
      method: "POST",
      path: "/api/v1/namespaces/default/secrets",
      body: {
        metadata: { name: "broker" },
        stringData: { url: brokerAt.url, managementUrl: brokerAt.managementUrl },
      },
    });
  }, 600_000);
  afterAll(async () => {
    await channel?.deleteQueue(QUEUE);
    await connection?.close();
    await api?.[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    await channel.purgeQueue(QUEUE);
    const template = {
      metadata: { labels: { app: "worker" } },
      spec: { containers: [{ name: "c", image: "i" }] },
    };
    await api.must({
      method: "POST",
      path: DEPLOYMENTS,
      body: {
        metadata: { name: "worker" },
        spec: { selector: { matchLabels: { app: "worker" } }, template },
      },
    });
    await api.must({
      method: "POST",
      path: SCALERS,
      body: {
        apiVersion: "millrace.io/v1alpha1",
        kind: "QueueScaler",
        metadata: { name: "mine" },
        spec: {
          scaleTargetRef: { name: "worker" },
          queue: { name: QUEUE },
          brokerRef: { secret: { name: "broker" } },
          replicas: { min: 1, max: 8 },
          messagesPerReplica: 100,
          pollingIntervalSeconds: 1,
        },
      },
    });
  });
  afterEach(async () => {
    await Promise.all(operators.map(async (operator) => operator[Symbol.asyncDispose]()));
    operators = [];
    for (const path of [`${SCALERS}/mine`, `${DEPLOYMENTS}/worker`, LEASE]) {
      await api.send({ method: "DELETE", path });
    }
  });

  test("scales a workload up and down with its queue, and tells why", { timeout }, async () => {
    await started();
    publish(450);
    await expect.poll(replicas, poll).toBe(5);
    await expect.poll(status, poll).toMatchObject({ backlog: 450, desiredReplicas: 5, currentReplicas: 5 });
    expect((await status())?.message).toMatch(/450 messages/);
    expect(await condition("Ready")).toMatchObject({ status: "True", observedGeneration: 1 });
    await channel.purgeQueue(QUEUE);
    await expect.poll(replicas, poll).toBe(1);
    const { items } = await get<{ items: { reason: string }[] }>(
      "/apis/events.k8s.io/v1/namespaces/default/events",
    );
    expect(items.map(({ reason }) => reason)).toEqual(expect.arrayContaining(["ScaledUp", "ScaledDown"]));
  });

  test("acts on a changed spec at once, and reports its generation", { timeout }, async () => {
    await started();
    publish(450);
    await expect.poll(replicas, poll).toBe(5);
    await change(`${SCALERS}/mine`, { spec: { replicas: { max: 3 } } });
    await expect.poll(replicas, poll).toBe(3);
    await expect.poll(async () => (await status())?.observedGeneration, poll).toBe(2);
    expect(await condition("Limited")).toMatchObject({ status: "True", reason: "Maximum" });
  });

  test("takes up a Secret that is mended, without a restart", { timeout }, async () => {
    const path = "/api/v1/namespaces/default/secrets/broker";
    const { data } = await get<{ data: { url: string } }>(path);
    const wrong = new URL(Buffer.from(data.url, "base64").toString());
    wrong.password = "wrong";
    await change(path, {
      stringData: { url: wrong.href, managementUrl: brokerAt?.managementUrl.replace(/\/\/[^@]*@/, "//") },
    });
    const operator = await started();
    await expect
      .poll(async () => condition("BrokerReachable"), poll)
      .toMatchObject({ status: "False", reason: "Unauthorized" });
    expect(JSON.stringify(await status()) + operator.log()).not.toContain("wrong");
    await change(path, { stringData: { url: brokerAt?.url, managementUrl: brokerAt?.managementUrl } });
    await expect.poll(async () => condition("Ready"), poll).toMatchObject({ status: "True" });
  });

  test("is led by one of two: when that one is killed the other goes on", { timeout }, async () => {
    const [first, second] = await startedPair();
    expect(await isLeading(second)).toBe(false);
    first.kill("SIGKILL");
    const killedAt = Date.now();
    publish(450);
    await expect.poll(async () => isLeading(second), poll).toBe(true);
    console.log(`another leads ${((Date.now() - killedAt) / 1000).toFixed(1)} s after the leader was killed`);
    await expect.poll(replicas, poll).toBe(5);
  });

  test("hands over at once when it is stopped in order, and exits with 0", { timeout }, async () => {
    const [first, second] = await startedPair();
    const before = await holder();
    first.kill("SIGTERM");
    expect(await first.exited).toEqual({ code: 0, signal: null });
    expect(await holder()).not.toBe(before);
    await expect.poll(async () => isLeading(second), poll).toBe(true);
  });

  test("ends when it finds its lease taken, and has scaled nothing since", { timeout }, async () => {
    const [first, second] = await startedPair();
    first.kill("SIGSTOP");
    // RabbitMQ's figures are some seconds old: it may have acted on those of the test before.
    const before = scalings(first);
    await expect.poll(async () => isLeading(second), poll).toBe(true);
    publish(450);
    await expect.poll(replicas, poll).toBe(5);
    first.kill("SIGCONT");
    expect((await first.exited).code).not.toBe(0);
    expect(scalings(first)).toBe(before);
    expect(await isLeading(second)).toBe(true);
  });
});
