import type { Target } from "../../operator/cluster.ts";
import type { QueueFigures } from "../../operator/decide.ts";
import type { QueueScaler, QueueScalerSpec } from "../../operator/queue-scaler.ts";

/** As the API server fills it in; `spec` goes over it. */
export function scalerOf(
  name: string,
  spec: Partial<QueueScalerSpec> = {},
  metadata: Partial<QueueScaler["metadata"]> = {},
): QueueScaler {
  return {
    metadata: {
      name,
      namespace: "shop",
      uid: `uid-of-${name}`,
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...metadata,
    },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "worker" },
      queue: { name: "orders", vhost: "/" },
      brokerRef: {
        url: "http://rabbitmq.shop:15672",
        secret: {
          name: "broker",
          urlKey: "url",
          managementUrlKey: "managementUrl",
          usernameKey: "username",
          passwordKey: "password",
          caKey: "ca.crt",
        },
      },
      replicas: { min: 1, max: 10 },
      objective: { maxWaitSeconds: 30 },
      behavior: { zeroAfterSeconds: 60 },
      manualScale: { policy: "Override", forSeconds: 600 },
      hints: { startupSeconds: 10 },
      pollingIntervalSeconds: 2,
      paused: false,
      mode: "Act",
      ...spec,
    },
  };
}

export const targetOf = (replicas: number, more: Partial<Target> = {}): Target => ({
  replicas,
  readyReplicas: replicas,
  selector: "app=worker",
  resourceVersion: "1",
  ...more,
});

export const figuresOf = (sampledAtMs: number, more: Partial<QueueFigures> = {}): QueueFigures => ({
  sampledAtMs,
  ready: 0,
  unacknowledged: 0,
  consumers: 1,
  published: 0,
  delivered: 0,
  acknowledged: 0,
  redelivered: 0,
  deadLetters: undefined,
  ...more,
});
