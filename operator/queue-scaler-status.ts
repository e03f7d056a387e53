import { type Static, Type } from "typebox";

/** The conditions in a status, and what True means. */
export const conditionMeanings = {
  Ready:
    "the queue is read and the workload can be scaled; False names the first thing in the way, and what to mend",
  Active: "there is something to do: messages, or some that have just come",
  Limited: "a bound or a limit of spec.behavior keeps the number from what the queue asks for",
  BrokerReachable: "RabbitMQ answers; while it does not, the number of replicas stays, or the fallback holds",
  Conflict: "somebody else scales the workload, so this scaler does not",
  Bottleneck: "more replicas bring no more throughput, so none is added: look at the store",
  DeadLetters: "messages that could not be processed wait in the queue of dead letters",
  Paused: "decisions are shown and not acted on: paused, Observe, or a number set by hand that is respected",
} as const;
export type ConditionType = keyof typeof conditionMeanings;
export const conditionTypes = Object.keys(conditionMeanings) as ConditionType[];

const timestamp = (description: string) => Type.String({ description, format: "date-time" });
/** A number with a fraction, as text: the API has no floating point numbers. */
const fraction = (description: string) => Type.String({ description, pattern: "^[0-9]+(\\.[0-9]+)?$" });
const whole = (description: string) => Type.Integer({ description, minimum: 0, format: "int64" });

const condition = Type.Object(
  {
    type: Type.String({ description: "What it is about.", maxLength: 316 }),
    status: Type.Enum(["True", "False", "Unknown"], { description: "Whether it is so.", type: "string" }),
    reason: Type.String({ description: "Why, in one word.", minLength: 1, maxLength: 1024 }),
    message: Type.String({ description: "Why, in words.", maxLength: 32_768 }),
    lastTransitionTime: timestamp("When the status last changed."),
    observedGeneration: whole("Generation of the spec that it is about."),
  },
  { description: "One condition." },
);

export const queueScalerStatus = Type.Object(
  {
    observedGeneration: Type.Optional(whole("Generation of the spec that this is about.")),
    conditions: Type.Optional(
      Type.Array(condition, {
        description: "What holds of it now.",
        maxItems: 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
      }),
    ),
    observation: Type.Optional(
      Type.Object(
        {
          time: timestamp("When RabbitMQ said so."),
          ready: whole("Messages that wait in the queue."),
          unacknowledged: whole("Messages that consumers have in hand."),
          consumers: Type.Optional(whole("Consumers of the queue, where RabbitMQ tells.")),
          deadLetters: Type.Optional(whole("Messages in the queue of dead letters.")),
        },
        { description: "What RabbitMQ last said of the queue." },
      ),
    ),
    estimates: Type.Optional(
      Type.Object(
        {
          arrivalsPerSecond: Type.Optional(fraction("Messages published in a second.")),
          messagesPerSecondPerReplica: Type.Optional(
            fraction("Messages that one replica processes in a second."),
          ),
          startupSeconds: Type.Optional(fraction("Time from a replica's creation until it consumes.")),
          waitSeconds: Type.Optional(
            fraction("Time that a message published now will wait, by the replicas there are."),
          ),
        },
        { description: "What has been measured, and is taken up again after a restart of the operator." },
      ),
    ),
    backlog: Type.Optional(whole("Messages in the queue, ready and unacknowledged.")),
    desiredReplicas: Type.Optional(whole("Replicas that the last decision wants.")),
    currentReplicas: Type.Optional(whole("Replicas that the workload is set to.")),
    readyReplicas: Type.Optional(whole("Replicas that are ready.")),
    reason: Type.Optional(
      Type.String({ description: "Why so many are wanted, in one word.", maxLength: 64 }),
    ),
    message: Type.Optional(
      Type.String({ description: "Why so many are wanted, in words.", maxLength: 1024 }),
    ),
    setReplicas: Type.Optional(whole("Replicas that this scaler has last set.")),
    lastScaleTime: Type.Optional(timestamp("When it did so.")),
    respectedUntil: Type.Optional(
      timestamp("Until when a number of replicas that somebody else has set stays."),
    ),
    selector: Type.Optional(Type.String({ description: "Of the workload's pods.", maxLength: 4096 })),
  },
  { description: "What is so." },
);
export type QueueScalerStatus = Static<typeof queueScalerStatus>;
export type Condition = Static<typeof condition>;
