import { openKubernetes } from "../../operator/kubernetes.ts";
import { runOperator } from "../../operator/operator.ts";
import { createBrokerFigures } from "../../operator/rabbitmq.ts";
import { systemClock } from "../../src/adapters/clock.ts";
import type { Emit, Signals } from "../../src/signals.ts";

/** What there is to be asked of the API server once a number is decided. */
const asked = ["patch deployments/scale", "create events", "patch queuescalers/status"];

/**
 * Runs the operator as its pod does, for the release of one namespace, until it has scaled and told so. Resolves to that, and
 * to what the API server answered with anything but success, such as `list scaledobjects 404`.
 */
export async function operatorAtWork(
  kubeConfig: string,
  namespace: string,
): Promise<{ readonly scaled: Signals["replicas.changed"]; readonly refusals: readonly string[] }> {
  const scaled = Promise.withResolvers<Signals["replicas.changed"]>();
  const told = Promise.withResolvers<void>();
  const left = new Set(asked);
  const refusals = new Set<string>();
  const emit: Emit = (name, fact) => {
    if (name === "replicas.changed") scaled.resolve(fact as Signals["replicas.changed"]);
    if (name !== "request.made") return;
    const { to, verb, resource, outcome } = fact as Signals["request.made"];
    if (to !== "kubernetes") return;
    if (!outcome.startsWith("2")) refusals.add(`${verb} ${resource} ${outcome}`);
    left.delete(`${verb} ${resource}`);
    if (left.size === 0) told.resolve();
  };
  const identity = "operator-at-work";
  const lease = { namespace, name: "millrace-operator" };
  await using kubernetes = await openKubernetes({
    namespaces: [namespace],
    identity,
    lease,
    emit,
    kubeConfig,
  });
  using figures = createBrokerFigures({ clock: systemClock, emit });
  const stop = new AbortController();
  const { leases } = kubernetes;
  const parts = { cluster: kubernetes, leases, figures, clock: systemClock, emit, identity };
  const run = runOperator(parts, stop.signal);
  try {
    await Promise.race([told.promise, run.then(() => Promise.reject(new Error("it ended")))]);
  } finally {
    stop.abort();
    await run;
  }
  return { scaled: await scaled.promise, refusals: [...refusals].toSorted() };
}
