import type { QueueScaler } from "../../operator/queue-scaler.ts";
import type { Condition, ConditionType, QueueScalerStatus } from "../../operator/queue-scaler-status.ts";
import type { Namespace } from "./install.ts";

/** Of the release: `hourly-log` for the scaler, and the Deployment, of that worker. */
export const workerOf = (worker: string): string => `millrace-worker-${worker}`;

/** Empty before the operator has seen the scaler. */
export async function statusOf(namespace: Namespace, scaler: string): Promise<QueueScalerStatus> {
  const text = await namespace.kubectl("get", "queuescaler", scaler, "--output=json");
  return (JSON.parse(text) as QueueScaler).status ?? {};
}

/** Undefined before the operator has seen the scaler as it is now. */
export async function conditionOf(
  namespace: Namespace,
  scaler: string,
  type: ConditionType,
): Promise<Condition | undefined> {
  return (await statusOf(namespace, scaler)).conditions?.find((one) => one.type === type);
}

/** Who leads the operators by now, as it calls itself; its pod's name comes first. */
export async function leaderOf(
  namespace: Namespace,
): Promise<{ readonly identity: string; readonly pod: string }> {
  const path = "jsonpath={.spec.holderIdentity}";
  const identity = await namespace.kubectl("get", "lease", "millrace-operator", "--output", path);
  return { identity, pod: identity.split("_", 1)[0] ?? "" };
}

export interface ScalerEvent {
  readonly eventTime: string;
  readonly reason: string;
  readonly note: string;
  readonly reportingInstance: string;
  readonly regarding: { readonly name: string };
}

/** What the operators have announced of the scaler. */
export async function eventsOf(namespace: Namespace, scaler: string): Promise<readonly ScalerEvent[]> {
  const all = await namespace.list<ScalerEvent>("events.events.k8s.io");
  return all.filter(({ regarding }) => regarding.name === scaler);
}
