import { monitoring } from "./monitoring-values.ts";
import { operator } from "./operator-values.ts";
import {
  image,
  labelKeys,
  nodeOptions,
  persistence,
  pods,
  replicas,
  resources,
  role,
  worker,
} from "./pod-values.ts";
import { settingValues } from "./setting-values.ts";
import {
  choiceValue,
  type Declaration,
  group,
  integerValue,
  nameValue,
  placed,
  type Schema,
  structure,
  textMap,
  textValue,
  toggle,
} from "./template/values.ts";

/** That an external server's Secret is named. */
const externalIsNamed: Schema = {
  if: { properties: { mode: { const: "external" } }, required: ["mode"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a word of JSON Schema
  then: { properties: { external: { properties: { existingSecret: { minLength: 1 } } } } },
};

const nodes: Declaration<number> = {
  kind: "number",
  default: 1,
  sentence: "Nodes of the bundled broker: an odd number. With three, one may be lost, and two with five.",
  schema: { type: "integer", enum: [1, 3, 5] },
};

/** Every value of the chart once: its default, its schema, its sentence. */
export const declarations = {
  global: group(
    "What a chart shares with those it is part of.",
    { imageRegistry: textValue("", "Host that all images are pulled from.") },
    { additionalProperties: true },
  ),
  nameOverride: nameValue("", "In place of `millrace` in the names of objects."),
  fullnameOverride: nameValue("", "In place of the release's name and `millrace` in the names of objects."),
  commonLabels: textMap({}, "Labels of every object.", labelKeys),
  commonAnnotations: textMap({}, "Annotations of every object."),
  image: image("millrace/millrace", "", "all roles of Millrace"),
  imagePullSecrets: structure(
    [] as object[],
    "Secrets that images are pulled with, such as `- name: registry`.",
    {
      items: {
        type: "object",
        required: ["name"],
        additionalProperties: false,
        properties: { name: { type: "string" } },
      },
    },
  ),
  serviceAccount: group(
    "The account that every pod but the operator's runs as. It may do nothing, and its token is not mounted.",
    {
      create: toggle(true, "Whether it is made."),
      name: nameValue("", "Its name; by default that of the release if it is made, else `default`."),
      annotations: textMap({}, "Its annotations."),
    },
  ),
  settings: group("Settings of every role: see the table of settings.", settingValues),
  keys: group("Who may post events, read the views, and see to dead letters.", {
    existingSecret: nameValue(
      "",
      "Secret whose key `keys.json` holds the keys, as `millrace keys create --secret` makes it; a change holds without a restart. Its " +
        "key `key`, if there is one, is the key that `helm test` writes and reads with. `settings.keysRequiredFor` says what " +
        "needs a key. Without a Secret, nothing does but what `writeKeys` says.",
    ),
  }),
  writeKeys: group("Who may post events, by hashes that are read when a pod starts.", {
    existingSecret: nameValue(
      "",
      "Secret whose key `hashes` holds the hashes of the keys that may write (see `millrace key`), parted by commas. Its key " +
        "`key`, if there is one, is the key that `helm test` writes with. Without this Secret and that of `keys`, anyone may write.",
    ),
  }),

  collector: group("The collector, which takes events in over HTTP.", {
    replicas: replicas(2, "How many pods where `autoscaling` is off."),
    autoscaling: group(
      "How many collectors there are, by their use of the processor; needs a metrics server.",
      {
        enabled: toggle(true, "Whether the number of pods follows the load."),
        minReplicas: integerValue(2, [1, 1000], "Fewest pods."),
        maxReplicas: integerValue(10, [1, 1000], "Most pods."),
        targetCpuPercent: integerValue(
          70,
          [1, 1000],
          "Use of the processor that is aimed at, in percent of what is requested.",
        ),
      },
    ),
    nodeOptions: nodeOptions("--max-semi-space-size=16 --max-old-space-size=96"),
    resources: resources(
      { cpu: "500m", memory: "192Mi" },
      { memory: "384Mi" },
      "A core takes some 10,000 requests a second of one event, or 200,000 events a second in batches; see the page on scaling out.",
    ),
    ...role(),
  }),
  workers: group("The workers, which read events from the broker and write to the store.", {
    accountName: worker("keeps each username with the time of its first event"),
    distinctName: worker("counts the events of each metric and day"),
    hourlyLog: worker("keeps the events of the last hour"),
  }),
  query: group("The query API.", {
    replicas: replicas(2),
    console: group("The live page that it serves at `/`.", {
      enabled: toggle(
        true,
        "Whether there is one, and with it dead letters and test events; `keys` and `writeKeys` say who may replay and post. It gives the query API the broker's credentials and a way to every role's metrics.",
      ),
    }),
    nodeOptions: nodeOptions("--max-semi-space-size=4 --max-old-space-size=96"),
    resources: resources(
      { cpu: "50m", memory: "160Mi" },
      { memory: "256Mi" },
      "What it asks for, and may use.",
    ),
    ...role(),
  }),
  sweeper: group(
    "The sweeper, which removes what has expired, and merges days to months. One works at a time.",
    {
      replicas: replicas(1),
      nodeOptions: nodeOptions("--max-semi-space-size=4 --max-old-space-size=96"),
      resources: resources(
        { cpu: "20m", memory: "160Mi" },
        { memory: "256Mi" },
        "What it asks for, and may use.",
      ),
      ...role(),
    },
  ),
  operator,

  ingress: group("How events and queries reach the cluster: by an Ingress.", {
    enabled: toggle(false, "Whether there is one."),
    className: nameValue("", "Its class; by default that of the cluster."),
    host: textValue("", "Name that it answers to; by default any.", { pattern: "^(\\*\\.)?[a-z0-9.-]*$" }),
    annotations: textMap({}, "Its annotations, which its controller reads."),
    tls: group("TLS, which ends at the controller.", {
      enabled: toggle(false, "Whether it is on."),
      secretName: nameValue("", "Secret of its certificate; by default the controller's own certificate."),
    }),
  }),
  httpRoute: group("The same by a route of the Gateway API.", {
    enabled: toggle(false, "Whether there is one. The cluster must know gateway.networking.k8s.io/v1."),
    parentRefs: structure([] as object[], "Gateways that it is attached to, such as `- name: public`."),
    hostnames: structure([] as string[], "Names that it answers to; by default those of the gateway.", {
      items: { type: "string" },
    }),
    annotations: textMap({}, "Its annotations."),
  }),

  networkPolicy: group("Who may talk to whom. It needs a network that enforces policies.", {
    enabled: toggle(true, "Whether all is forbidden but what the system needs."),
    clients: structure(
      [] as object[],
      "Peers that may reach the collector and the query API; by default anyone.",
    ),
    scrapers: structure([] as object[], "Peers that may read metrics; by default nobody."),
    operators: structure(
      [] as object[],
      "Peers that may ask the bundled broker about its queues, besides this release's operator: those of others.",
    ),
    externalEgress: structure(
      [{ ports: [5671, 5672, 15671, 15672, 27017].map((port) => ({ port, protocol: "TCP" })) }] as object[],
      "Rules for the way to an external broker and store; by default their usual ports anywhere.",
    ),
    apiServerEgress: structure(
      [{ ports: [443, 6443].map((port) => ({ port, protocol: "TCP" })) }] as object[],
      "Rules for the operator's way to the Kubernetes API; by default its usual ports anywhere.",
    ),
  }),
  monitoring,

  podDisruptionBudgets: group("What a drain of nodes leaves of each workload that has more than one pod.", {
    enabled: toggle(true, "Whether at most one pod is taken away at a time."),
  }),

  rabbitmq: group(
    "The broker.",
    {
      mode: choiceValue(
        "bundled",
        ["bundled", "external"],
        "Whether the chart brings one, fit for a try-out and small loads, or one of yours is used.",
      ),
      external: group("A broker of yours, also one of RabbitMQ's cluster operator.", {
        existingSecret: nameValue(
          "",
          "Secret that holds its URL; the cluster operator's is `<name>-default-user`.",
        ),
        urlKey: textValue(
          "url",
          "Key of the URL, amqp:// or amqps://, with user and password; the operator's is `connection_string`.",
        ),
        managementUrlKey: textValue(
          "managementUrl",
          "Key of the management API's URL, if it is in the Secret; by default port 15672 of the same host (15671 with TLS).",
        ),
        vhost: textValue("/", "Virtual host that is in the URL, for the QueueScalers of the workers.", {
          minLength: 1,
          maxLength: 255,
        }),
      }),
      existingSecret: nameValue(
        "",
        "Secret of the bundled broker, with `rabbitmq-password` (letters and digits) and `rabbitmq-erlang-cookie`; by default made, and kept.",
      ),
      replicas: nodes,
      image: image("rabbitmq", "4.3-management", "the bundled broker"),
      persistence: persistence("8Gi", "what is queued"),
      resources: resources(
        { cpu: "250m", memory: "512Mi" },
        { memory: "1Gi" },
        "Publishers are held up when it uses 60 % of the limit.",
      ),
      ...pods(),
    },
    externalIsNamed,
  ),
  mongodb: group(
    "The store.",
    {
      mode: choiceValue(
        "bundled",
        ["bundled", "external"],
        "Whether the chart brings one server, fit for a try-out and small loads, or one of yours is used.",
      ),
      external: group("A store of yours.", {
        existingSecret: nameValue("", "Secret that holds its URL."),
        urlKey: textValue("url", "Key of the URL, mongodb:// or mongodb+srv://, with user and password."),
      }),
      existingSecret: nameValue(
        "",
        "Secret of the bundled store, with `mongodb-password` (letters and digits); by default made, and kept.",
      ),
      image: image("mongo", "8.0", "the bundled store"),
      persistence: persistence("16Gi", "what is stored"),
      resources: resources(
        { cpu: "250m", memory: "512Mi" },
        { memory: "1Gi" },
        "It sizes its cache by the limit.",
      ),
      ...pods(),
    },
    externalIsNamed,
  ),
};

export const values = placed(declarations);
