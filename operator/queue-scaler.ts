import { type Static, type TProperties, Type } from "typebox";
import type { QueueScalerStatus } from "./queue-scaler-status.ts";

/** `millrace.io/v1alpha1`, kind QueueScaler. */
export const GROUP = "millrace.io";
export const VERSION = "v1alpha1";
export const KIND = "QueueScaler";
export const PLURAL = "queuescalers";
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A field with a default is always there: the API server fills it in. */
const object = <P extends TProperties>(properties: P, description: string, more: object = {}) =>
  Type.Object(properties, { description, additionalProperties: false, ...more });
const name = (description: string) =>
  Type.String({ description, minLength: 1, maxLength: 253, pattern: "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" });
const key = (fallback: string, description: string) =>
  Type.String({ description, default: fallback, minLength: 1, maxLength: 253, pattern: "^[-._a-zA-Z0-9]+$" });
const seconds = (minimum: number, maximum: number, description: string, fallback?: number) =>
  Type.Integer({ description, minimum, maximum, ...(fallback === undefined ? {} : { default: fallback }) });

const scaleTargetRef = object(
  {
    apiVersion: Type.String({
      description: "API version of the workload.",
      default: "apps/v1",
      minLength: 1,
      maxLength: 253,
      // It becomes a part of a URL, where `..` would lead elsewhere.
      pattern: "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-z]([-a-z0-9]*[a-z0-9])?$",
    }),
    kind: Type.String({
      description: "Kind of the workload.",
      default: "Deployment",
      minLength: 1,
      maxLength: 63,
      pattern: "^[A-Z][A-Za-z0-9]*$",
    }),
    name: name("Its name, in the namespace of the QueueScaler."),
  },
  "The workload whose number of replicas is set: any that has a scale subresource.",
);

const queue = object(
  {
    name: Type.String({ description: "Its name.", minLength: 1, maxLength: 255 }),
    vhost: Type.String({
      description: "The virtual host that it is in.",
      default: "/",
      minLength: 1,
      maxLength: 255,
    }),
    deadLetterQueue: Type.Optional(
      Type.String({
        description:
          "Queue of the same virtual host that takes what could not be processed; by default the name with `.dead`, if there is such a queue.",
        minLength: 1,
        maxLength: 255,
      }),
    ),
  },
  "The queue of RabbitMQ that the workload consumes.",
);

const brokerRef = object(
  {
    url: Type.Optional(
      Type.String({
        description:
          "Address of RabbitMQ's management API, http:// or https://, without a password; a user name may be in it. By default what the Secret says.",
        maxLength: 2048,
        pattern: "^https?://([^:@/?#\\s]+@)?[^@/?#\\s]+(/[^?#\\s]*)?$",
      }),
    ),
    secret: object(
      {
        name: name("Its name, in the namespace of the QueueScaler."),
        urlKey: key(
          "url",
          "Key of an amqp:// or amqps:// URL with user and password. The management API is on port 15672 of its host (15671 with TLS), unless an address of it is given.",
        ),
        managementUrlKey: key(
          "managementUrl",
          "Key of the management API's own URL; it need not be in the Secret.",
        ),
        usernameKey: key("username", "Key of the user, which goes before the one in a URL."),
        passwordKey: key("password", "Key of the password, which goes before the one in a URL."),
        caKey: key("ca.crt", "Key of the certificates, in PEM, that the server's is checked against."),
      },
      "The Secret that holds the credentials. A change of it is noticed without a restart.",
    ),
  },
  "How RabbitMQ is reached.",
);

const replicas = object(
  {
    min: Type.Integer({
      description: "Fewest replicas; with 0 there are none while nothing is to do.",
      default: 1,
      minimum: 0,
      maximum: 10_000,
    }),
    max: Type.Integer({ description: "Most replicas.", minimum: 1, maximum: 10_000 }),
  },
  "Bounds of the number of replicas.",
  {
    "x-kubernetes-validations": [
      { rule: "self.min <= self.max", message: "min must not be greater than max", fieldPath: ".min" },
    ],
  },
);

const objective = object(
  {
    maxWaitSeconds: seconds(
      1,
      86_400,
      "No message waits longer than so many seconds, from its publishing until it is acknowledged.",
      30,
    ),
  },
  "The promise that the number of replicas keeps.",
);

const limit = (what: string) =>
  object(
    {
      replicas: Type.Integer({
        description: `Most replicas that ${what} within the period.`,
        minimum: 1,
        maximum: 10_000,
      }),
      periodSeconds: seconds(1, 3600, "Length of the period.", 60),
    },
    `How fast the number ${what === "are added" ? "grows" : "shrinks"}; without, as fast as the objective asks.`,
  );

const behavior = object(
  {
    scaleUp: Type.Optional(limit("are added")),
    scaleDown: Type.Optional(limit("are taken away")),
    zeroAfterSeconds: seconds(
      0,
      86_400,
      "How long nothing is ready, unacknowledged or published before the last replica goes, where min is 0.",
      60,
    ),
  },
  "Limits of how the number moves.",
  { default: {} },
);

const manualScale = object(
  {
    policy: Type.Enum(["Override", "Respect"], {
      description:
        "Override: the next decision replaces the number that somebody else has set. Respect: that number stays for a time.",
      default: "Override",
      type: "string",
    }),
    forSeconds: seconds(1, 604_800, "How long it stays with Respect.", 600),
  },
  "What happens to a number of replicas that somebody else has set, such as `kubectl scale`.",
  { default: {} },
);

const fallback = object(
  {
    replicas: Type.Integer({
      description: "At least so many replicas while the figures are unknown.",
      minimum: 1,
      maximum: 10_000,
    }),
    afterSeconds: seconds(1, 86_400, "How long the figures are unknown before that.", 60),
  },
  "What to do while RabbitMQ cannot be asked. Without, and until then, the number of replicas stays.",
);

const hints = object(
  {
    messagesPerSecond: Type.Optional(
      Type.Integer({
        description: "Messages that one replica processes in a second, until this has been measured.",
        minimum: 1,
        maximum: 1_000_000,
      }),
    ),
    startupSeconds: seconds(
      0,
      3600,
      "Time from a replica's creation until it consumes, until this has been measured.",
      10,
    ),
  },
  "What is taken to be so before it has been measured.",
  { default: {} },
);

export const queueScalerSpec = object(
  {
    scaleTargetRef,
    queue,
    brokerRef,
    replicas,
    objective: { ...objective, default: {} },
    messagesPerReplica: Type.Optional(
      Type.Integer({
        description:
          "A plain rule in place of the objective: as many replicas as the messages in the queue, ready and unacknowledged, divided by this.",
        minimum: 1,
        maximum: 10_000_000,
      }),
    ),
    behavior,
    manualScale,
    fallback: Type.Optional(fallback),
    hints,
    pollingIntervalSeconds: seconds(
      1,
      300,
      "Time from one decision to the next. RabbitMQ's own figures are up to 5 seconds old.",
      2,
    ),
    paused: Type.Boolean({
      description: "Whether the number of replicas is left alone. The figures are still read, and shown.",
      default: false,
    }),
    mode: Type.Enum(["Act", "Observe"], {
      description:
        "Act: the workload is scaled. Observe: decisions are made and shown, and nothing is scaled.",
      default: "Act",
      type: "string",
    }),
  },
  "What is wished for.",
  {
    "x-kubernetes-validations": [
      {
        rule: "!has(self.fallback) || self.fallback.replicas <= self.replicas.max",
        message: "fallback.replicas must not be greater than replicas.max",
        fieldPath: ".fallback.replicas",
      },
    ],
  },
);
export type QueueScalerSpec = Static<typeof queueScalerSpec>;

export interface QueueScaler {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
    readonly creationTimestamp: string;
  };
  readonly spec: QueueScalerSpec;
  readonly status?: QueueScalerStatus;
}

/** One whose spec cannot be followed. */
export interface BrokenScaler extends Pick<QueueScaler, "metadata" | "status"> {
  /** Each field that is wrong, what it is, and what it must be. */
  readonly fault: string;
}
