import type { Chart } from "cdk8s";
import { API_VERSION, KIND } from "../../operator/queue-scaler.ts";
import { BROKER_PASSWORD_KEY, brokerIsBundled, brokerSecret } from "./credentials.ts";
import { BROKER_USER, MANAGEMENT_PORT } from "./rabbitmq.ts";
import { metadata, nameOf } from "../names.ts";
import { choose, digits, is, lacks, more, not, releaseNamespace, text } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { ifFilled, spread, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { external } = values.rabbitmq;

/** An operator of another namespace finds the Service by its long name alone. */
const brokerHost = choose(
  values.operator.enabled,
  nameOf("rabbitmq"),
  text`${nameOf("rabbitmq")}.${releaseNamespace}`,
);
const brokerRef = when<unknown>(
  brokerIsBundled,
  {
    url: text`http://${BROKER_USER}@${brokerHost}:${String(MANAGEMENT_PORT)}`,
    secret: { name: brokerSecret, passwordKey: BROKER_PASSWORD_KEY },
  },
  {
    secret: {
      name: external.existingSecret,
      urlKey: external.urlKey,
      managementUrlKey: ifFilled(external.managementUrlKey),
    },
  },
);

interface QueueScaler {
  apiVersion?: string;
  kind?: string;
  metadata?: unknown;
  spec?: object;
}

/** How many pods of a worker there are: its queue has the projection's name. */
export function queueScaler(chart: Chart, projection: keyof typeof values.workers, component: string): void {
  const { scaling } = values.workers[projection];
  const { minReplicas, maxReplicas, messagesPerReplica, spec } = scaling;
  new Manifest<QueueScaler>(
    chart,
    "scaler",
    { apiVersion: API_VERSION, kind: KIND },
    {
      metadata: metadata(component),
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: nameOf(component) },
        queue: { name: projection, vhost: choose(brokerIsBundled, "/", external.vhost) },
        brokerRef: when(lacks(spec, "brokerRef"), brokerRef),
        replicas: { min: minReplicas, max: maxReplicas },
        objective: { maxWaitSeconds: scaling.maxWaitSeconds },
        messagesPerReplica: when(more(messagesPerReplica, 0), messagesPerReplica),
        // Left out where they say nothing, so that a pause by kubectl is no conflict to the next upgrade.
        mode: when(not(is(scaling.mode, "Act")), scaling.mode),
        paused: when(scaling.paused, scaling.paused),
        manualScale: when(lacks(spec, "manualScale"), { policy: scaling.manualScale }),
        "+": spread(spec),
      },
    },
    {
      condition: scaling.enabled,
      obstacle: {
        condition: more(minReplicas, maxReplicas),
        message: text`workers.${projection}.scaling.minReplicas is ${digits(minReplicas)}; it must not be above maxReplicas, which is ${digits(maxReplicas)}`,
      },
    },
  );
}
