import { connect } from "amqplib";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_VERSION, KIND } from "../../operator/queue-scaler.ts";
import { SupervisedProcess } from "../fault/process.ts";
import type { ApiServerPart } from "../parts/api-server.ts";
import { type BrokerPart, startBrokerPart } from "../parts/parts.ts";
import { freePorts } from "../parts/ports.ts";
import {
  deploymentsOf,
  makeNamespace,
  makeWorkload,
  scalersOf,
  startCluster,
  until,
} from "../real/kubernetes-cluster.ts";
import type { Progress } from "./rounds.ts";

export const NAMESPACE = "bench";
const AT_ONCE = 8;
/** What the chart gives an operator. */
const NODE_FLAGS = ["--max-semi-space-size=4", "--max-old-space-size=128"];

export interface World extends AsyncDisposable {
  readonly api: ApiServerPart;
  readonly broker: BrokerPart;
  readonly operator: SupervisedProcess;
  /** Makes the Deployments and QueueScalers of these numbers; resolves once the operator has reported on each. */
  makeScalers(from: number, to: number): Promise<void>;
}

/** The same name for the queue, the workload and the scaler of a number. */
export const nameOf = (number: number): string => `queue-${String(number).padStart(4, "0")}`;

/** A cluster and a broker with so many queues, all empty, and an operator that leads and has nothing to do. */
export async function openWorld(queues: number, progress: Progress): Promise<World> {
  await using parts = new AsyncDisposableStack();
  progress("starting an API server with etcd, and a broker");
  const [api, broker] = await Promise.all([
    startCluster().then((part) => parts.use(part)),
    // As a broker has it by default; the tests want it faster.
    startBrokerPart({ configuration: ["collect_statistics_interval = 5000"] }).then((part) =>
      parts.use(part),
    ),
  ]);
  progress(`${api.version}, ${broker.version}; making ${queues} quorum queues`);
  const connection = await connect(broker.url);
  const channel = await connection.createChannel();
  for (let number = 0; number < queues; number += 1) {
    await channel.assertQueue(nameOf(number), { durable: true, arguments: { "x-queue-type": "quorum" } });
  }
  await connection.close();
  await makeNamespace(api, NAMESPACE);
  const stringData = { url: broker.url, managementUrl: broker.managementUrl };
  await api.must({
    method: "POST",
    path: `/api/v1/namespaces/${NAMESPACE}/secrets`,
    body: { metadata: { name: "broker" }, stringData },
  });
  progress("starting the operator");
  const operator = await startOperator(api, parts);
  const kept = parts.move();
  return {
    api,
    broker,
    operator,
    async makeScalers(from, to) {
      progress(`making scalers ${from} to ${to - 1}`);
      await inParallel(from, to, (number) => makeScaler(api, nameOf(number)));
      await until(async () => {
        const { items } = await api.must({ method: "GET", path: scalersOf(NAMESPACE) });
        const reported = (items as readonly { readonly status?: object }[]).filter(
          (one) => one.status !== undefined,
        );
        return reported.length === to;
      });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function startOperator(api: ApiServerPart, parts: AsyncDisposableStack): Promise<SupervisedProcess> {
  const workingDir = await mkdtemp(join(tmpdir(), "millrace-operator-bench-"));
  parts.defer(() => rm(workingDir, { recursive: true, force: true }));
  const kubeConfig = join(workingDir, "kubeconfig");
  await writeFile(kubeConfig, api.kubeConfig(), { mode: 0o600 });
  const [adminPort = 0] = await freePorts(1);
  const environment = {
    KUBECONFIG: kubeConfig,
    MILLRACE_ADMIN_PORT: String(adminPort),
    MILLRACE_OPERATOR_LEASE_NAMESPACE: NAMESPACE,
  };
  const words = ["operator"];
  const operator = new SupervisedProcess({
    name: "operator",
    words,
    environment,
    adminPort,
    workingDir,
    nodeFlags: NODE_FLAGS,
  });
  parts.defer(async () => void (await operator.stop()));
  await until(async () => {
    if (operator.endings.length > 0) throw new Error(operator.endings.join("\n"));
    return (await operator.metrics()).includes("\nmillrace_operator_leading 1");
  });
  return operator;
}

async function makeScaler(api: ApiServerPart, name: string): Promise<void> {
  await makeWorkload(api, NAMESPACE, name);
  const spec = {
    scaleTargetRef: { name },
    queue: { name },
    brokerRef: { secret: { name: "broker" } },
    replicas: { min: 0, max: 20 },
    hints: { messagesPerSecond: 10 },
  };
  const body = { apiVersion: API_VERSION, kind: KIND, metadata: { name }, spec };
  await api.must({ method: "POST", path: scalersOf(NAMESPACE), body });
}

/** Says of a Deployment that so many of its pods are there and ready, as its controller would. */
export async function makeReady(api: ApiServerPart, name: string, replicas: number): Promise<void> {
  const status = {
    replicas,
    updatedReplicas: replicas,
    readyReplicas: replicas,
    availableReplicas: replicas,
  };
  await api.must({
    method: "PATCH",
    path: `${deploymentsOf(NAMESPACE)}/${name}/status`,
    contentType: "application/merge-patch+json",
    body: { status },
  });
}

async function inParallel(from: number, to: number, one: (number: number) => Promise<void>): Promise<void> {
  let next = from;
  const work = async (): Promise<void> => {
    while (next < to) {
      next += 1;
      await one(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
