import { GROUP, KIND, PLURAL, queueScalerSpec, VERSION } from "./queue-scaler.ts";
import { queueScalerStatus } from "./queue-scaler-status.ts";

/** A column of `kubectl get`; with priority 1 only of `-o wide`. */
interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description: string;
  readonly priority?: 1;
}

const printerColumns: readonly PrinterColumn[] = [
  { name: "Queue", type: "string", jsonPath: ".spec.queue.name", description: "The queue of RabbitMQ." },
  {
    name: "Ready",
    type: "string",
    jsonPath: '.status.conditions[?(@.type=="Ready")].status',
    description: "Whether the number of replicas is decided on and set.",
  },
  {
    name: "Backlog",
    type: "integer",
    jsonPath: ".status.backlog",
    description: "Messages in the queue, ready and unacknowledged.",
  },
  {
    name: "Desired",
    type: "integer",
    jsonPath: ".status.desiredReplicas",
    description: "Replicas that are wanted.",
  },
  {
    name: "Current",
    type: "integer",
    jsonPath: ".status.currentReplicas",
    description: "Replicas that the workload is set to.",
  },
  { name: "Reason", type: "string", jsonPath: ".status.reason", description: "Why so many are wanted." },
  {
    name: "Target",
    type: "string",
    jsonPath: ".spec.scaleTargetRef.name",
    description: "The workload.",
    priority: 1,
  },
  {
    name: "Min",
    type: "integer",
    jsonPath: ".spec.replicas.min",
    description: "Fewest replicas.",
    priority: 1,
  },
  {
    name: "Max",
    type: "integer",
    jsonPath: ".spec.replicas.max",
    description: "Most replicas.",
    priority: 1,
  },
  {
    name: "Wait",
    type: "string",
    jsonPath: ".status.estimates.waitSeconds",
    description: "Time that a message published now will wait, in seconds.",
    priority: 1,
  },
  {
    name: "Age",
    type: "date",
    jsonPath: ".metadata.creationTimestamp",
    description: "Time since it was created.",
  },
];

/** A JSON schema as the API server takes it: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema */
export interface StructuralSchema {
  readonly [keyword: string]: unknown;
}

/** Keywords that say the same in both, and hold no schema. */
const kept = [
  "type",
  "description",
  "default",
  "enum",
  "format",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "minItems",
  "maxItems",
  "nullable",
  "x-kubernetes-validations",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
];
/** Keywords that are made anew, and one that the API server has no need of: it removes the fields that a schema does not name. */
const read = ["properties", "required", "items", "additionalProperties"];

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly default?: unknown }>>;
  readonly required?: readonly string[];
  readonly items?: object;
}

/** A schema of typebox as a structural one. Throws where it holds a keyword that has no equal there, so that none is lost. */
export function structural(schema: object): StructuralSchema {
  const keywords = Object.entries(schema);
  const unknown = keywords.find(([keyword]) => !kept.includes(keyword) && !read.includes(keyword));
  if (unknown !== undefined) throw new Error(`a structural schema knows no ${unknown[0]}`);
  const { properties, required, items } = schema as ObjectSchema;
  // What has a default need not be given; were it required, the `{}` that an object may have as its default would be refused.
  const needed = required?.filter((name) => properties?.[name]?.default === undefined) ?? [];
  return {
    ...Object.fromEntries(keywords.filter(([keyword]) => kept.includes(keyword))),
    ...(needed.length === 0 ? {} : { required: needed }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, of]) => [name, structural(of)]),
          ),
        }),
    ...(items === undefined ? {} : { items: structural(items) }),
  };
}

/** The CustomResourceDefinition of QueueScaler, `apiextensions.k8s.io/v1`, as it is applied to a cluster. */
export const customResourceDefinition = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${PLURAL}.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Namespaced",
    names: {
      kind: KIND,
      listKind: `${KIND}List`,
      plural: PLURAL,
      singular: KIND.toLowerCase(),
      shortNames: ["qs"],
      categories: ["millrace"],
    },
    versions: [
      {
        name: VERSION,
        served: true,
        storage: true,
        subresources: { status: {} },
        additionalPrinterColumns: printerColumns,
        schema: {
          openAPIV3Schema: {
            description: "Sets a workload's number of replicas so that no message of a queue waits too long.",
            type: "object",
            required: ["spec"],
            properties: {
              apiVersion: { type: "string" },
              kind: { type: "string" },
              metadata: { type: "object" },
              spec: structural(queueScalerSpec),
              status: structural(queueScalerStatus),
            },
          },
        },
      },
    ],
  },
};
