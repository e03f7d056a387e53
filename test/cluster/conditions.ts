import type { Condition, ConditionType } from "../../operator/queue-scaler-status.ts";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { Namespace } from "./install.ts";
import { conditionOf } from "./queue-scalers.ts";

const API = "millrace.io/v1alpha1";
const CREDENTIALS = "millrace-credentials";
const URL = "http://millrace@millrace-rabbitmq:15672";
/** Nobody consumes it, and nothing is in it: what has it as its queue has nothing to do. */
const EMPTY_QUEUE = "distinctName.dead";
const label = { test: "conditions" };

const brokerRef = (secret: string, passwordKey = "rabbitmq-password") => ({
  url: URL,
  secret: { name: secret, passwordKey },
});
/** A scaler with nothing wrong about it, and what is changed of that. */
const scaler = (name: string, target: string, changes: object = {}) => ({
  apiVersion: API,
  kind: "QueueScaler",
  metadata: { name, labels: label },
  spec: {
    scaleTargetRef: { name: target },
    queue: { name: EMPTY_QUEUE },
    brokerRef: brokerRef(CREDENTIALS),
    replicas: { min: 0, max: 3 },
    ...changes,
  },
});
const observing = (name: string, changes: object) => scaler(name, "watched", { mode: "Observe", ...changes });

/** It never has a pod: nothing is to do, and these tests are about what is said. */
const workload = (name: string) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, labels: label },
  spec: {
    replicas: 0,
    selector: { matchLabels: { workload: name } },
    template: {
      metadata: { labels: { workload: name } },
      spec: { containers: [{ name: "none", image: "none" }] },
    },
  },
});
const rival = {
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  metadata: { name: "rival", labels: label },
  spec: {
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "rivalled" },
    maxReplicas: 2,
    metrics: [
      {
        type: "Resource",
        resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
      },
    ],
  },
};

const objects = [
  ...["watched", "twice", "rivalled"].map(workload),
  {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "wrong-password", labels: label },
    stringData: { password: "not-the-one" },
  },
  rival,
  observing("good", {}),
  observing("wrong-password", { brokerRef: brokerRef("wrong-password", "password") }),
  observing("no-secret", { brokerRef: brokerRef("no-secret") }),
  observing("forbidden-secret", { brokerRef: brokerRef("another") }),
  observing("no-password", { brokerRef: brokerRef(CREDENTIALS, "pasword") }),
  observing("no-broker", { brokerRef: { ...brokerRef(CREDENTIALS), url: "http://millrace@nowhere:15672" } }),
  observing("no-queue", { queue: { name: "nowhere" } }),
  observing("no-vhost", { queue: { name: EMPTY_QUEUE, vhost: "nowhere" } }),
  observing("no-target", { scaleTargetRef: { name: "nowhere" } }),
  observing("strange-target", {
    scaleTargetRef: { apiVersion: "example.test/v1", kind: "Rollout", name: "web" },
  }),
  observing("forbidden-target", { scaleTargetRef: { kind: "ReplicaSet", name: "web" } }),
  // Of two of one age, the first by name is the older.
  scaler("first", "twice"),
  scaler("second", "twice"),
  scaler("rivalled", "rivalled"),
];

type Row = readonly [
  scaler: string,
  type: ConditionType,
  status: Condition["status"],
  reason: string,
  message: RegExp,
];
const rows: readonly Row[] = [
  ["good", "Ready", "True", "Scaling", /scaled/],
  ["good", "Paused", "True", "Observing", /spec\.mode is Observe/],
  ["wrong-password", "Ready", "False", "Unauthorized", /refuses user millrace.*password/],
  [
    "wrong-password",
    "BrokerReachable",
    "False",
    "Unauthorized",
    /millrace-rabbitmq:15672.*refuses user millrace/,
  ],
  ["no-secret", "Ready", "False", "SecretNotFound", /no Secret no-secret in namespace millrace/],
  ["forbidden-secret", "Ready", "False", "SecretForbidden", /may not get secrets.*namespace millrace.*Role/],
  ["no-password", "Ready", "False", "SecretInvalid", /Secret millrace-credentials .*no key pasword/],
  ["no-broker", "Ready", "False", "Unreachable", /http:\/\/nowhere:15672.*host name is not known/],
  ["no-queue", "Ready", "False", "QueueNotFound", /no queue nowhere in virtual host \//],
  ["no-queue", "BrokerReachable", "True", "Answering", /answers/],
  ["no-vhost", "Ready", "False", "VhostNotFound", /no virtual host nowhere/],
  ["no-target", "Ready", "False", "TargetNotFound", /no Deployment nowhere in namespace millrace/],
  ["strange-target", "Ready", "False", "TargetNoSuchKind", /no kind Rollout in example\.test\/v1/],
  ["forbidden-target", "Ready", "False", "TargetForbidden", /replicasets\/scale.*namespace millrace.*Role/],
  ["first", "Ready", "True", "Scaling", /scaled/],
  ["first", "Conflict", "False", "None", /nobody else/],
  ["second", "Ready", "False", "Conflict", /QueueScaler first .*Deployment twice/],
  ["second", "Conflict", "True", "OtherAutoscaler", /QueueScaler first .*Deployment twice.*delete/],
  [
    "rivalled",
    "Conflict",
    "True",
    "OtherAutoscaler",
    /HorizontalPodAutoscaler rival .*Deployment rivalled.*delete/,
  ],
];

/** Specs that never get into the cluster, and what the API server says of them. */
const invalid: readonly (readonly [what: string, changes: object, says: RegExp])[] = [
  [
    "fewer replicas at most than at least",
    { replicas: { min: 3, max: 2 } },
    /min must not be greater than max/,
  ],
  ["no most replicas", { replicas: { min: 1 } }, /required field "max"/],
  ["no wait at all", { objective: { maxWaitSeconds: 0 } }, /maxWaitSeconds.*greater than or equal to 1/],
  [
    "a fallback above the most replicas",
    { fallback: { replicas: 9 } },
    /fallback\.replicas must not be greater than replicas\.max/,
  ],
  ["a mode that there is not", { mode: "Dream" }, /spec\.mode.*Unsupported value: "Dream"/],
  ["a password in a URL", { brokerRef: { ...brokerRef("x"), url: "http://u:p@h:15672" } }, /brokerRef\.url/],
  ["a field that there is not", { maximum: 4 }, /unknown field "maximum"/],
];

/** The tests of what a QueueScaler says that cannot work. */
export function conditionTests(installed: () => Namespace): void {
  beforeAll(async () => installed().apply(...objects), 60_000);
  afterAll(async () => {
    const kinds = "queuescalers,horizontalpodautoscalers,deployments,secrets";
    await installed().kubectl("delete", kinds, "--selector", "test=conditions", "--wait=false");
  }, 60_000);

  test.concurrent.for(rows)(
    "%s: the condition %s is %s, %s",
    { timeout: 90_000 },
    async (row, { expect }) => {
      const [name, type, status, reason, message] = row;
      await expect
        .poll(async () => conditionOf(installed(), name, type), { timeout: 60_000, interval: 2000 })
        .toMatchObject({ status, reason, message: expect.stringMatching(message) as string });
    },
  );

  describe("an invalid spec is refused by the API server", () => {
    test.concurrent.for(invalid)("%s", { timeout: 60_000 }, async ([, changes, says], { expect }) => {
      const refused = installed().apply(scaler("invalid", "watched", changes));
      await expect(refused).rejects.toThrow(says);
    });
  });
}
