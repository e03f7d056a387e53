import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { reasons } from "./decide.ts";
import { createDecisions } from "./decisions.ts";
import { openKubernetes } from "./kubernetes.ts";
import { runOperator } from "./operator.ts";
import { createBrokerFigures } from "./rabbitmq.ts";
import { steadyClock, systemClock } from "../src/adapters/clock.ts";
import { createOperatorMetrics } from "../src/adapters/telemetry/operator-metrics.ts";
import { createLogger, createLogSubscriber } from "../src/adapters/telemetry/pino.ts";
import { type Config, variableOf } from "../src/settings.ts";
import type { OperatorDecisions } from "../src/console/snapshot.ts";
import { MillraceError } from "../src/errors.ts";
import { version } from "../src/version.ts";
import { createAdmin } from "../src/http/admin.ts";
import { type Actor, serverActor } from "../src/run.ts";
import type { Emit } from "../src/signals.ts";

/** Where Kubernetes tells a pod its namespace. */
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/** The operator and its admin server; what is opened for them is registered in `parts`. */
export async function composeOperator(
  config: Config,
  parts: AsyncDisposableStack,
  stop: AbortSignal,
): Promise<readonly Actor[]> {
  const logged = createLogSubscriber(createLogger(config));
  const metrics = createOperatorMetrics(version, [...Object.keys(reasons), "ManualScale"]);
  const decisions = createDecisions(systemClock);
  const emit: Emit = (name, fact) => {
    metrics.emit(name, fact);
    decisions.emit(name, fact);
    logged(name, fact);
  };
  const identity = `${hostname()}_${randomUUID().slice(0, 8)}`;
  const kubernetes = parts.use(
    await openKubernetes({
      namespaces: config.operatorNamespaces,
      identity,
      lease: { namespace: await leaseNamespace(config), name: config.operatorLeaseName },
      emit,
    }),
  );
  const figures = parts.use(createBrokerFigures({ clock: steadyClock, emit }));
  const admin = createAdmin({
    metrics: metrics.metrics,
    checks: { kubernetes: () => kubernetes.ready() },
    stop,
    hosts: config,
  });
  admin.get("/decisions", (): OperatorDecisions => decisions.now());
  const operator = {
    cluster: kubernetes,
    leases: kubernetes.leases,
    figures,
    clock: steadyClock,
    emit,
    identity,
  };
  return [
    serverActor("admin", admin, { host: config.host, port: config.adminPort }, emit),
    {
      name: "operator",
      async run(stopped) {
        emit("role.started", { role: "operator" });
        await runOperator(operator, stopped);
        emit("role.stopped", { role: "operator" });
      },
    },
  ];
}

async function leaseNamespace({ operatorLeaseNamespace }: Config): Promise<string> {
  if (operatorLeaseNamespace !== "") return operatorLeaseNamespace;
  const text = await readFile(NAMESPACE_FILE, "utf8").catch(() => "");
  if (text.trim() !== "") return text.trim();
  throw new MillraceError(
    "INVALID_SETTING",
    `${variableOf("operatorLeaseNamespace")} is not set; outside of a pod it must name a namespace`,
  );
}
