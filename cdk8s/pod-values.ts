import { scaling } from "./scaling-values.ts";
import {
  choiceValue,
  group,
  integerValue,
  nameValue,
  type Schema,
  structure,
  textMap,
  textValue,
  toggle,
} from "./template/values.ts";

export const labelKeys: Schema = { patternProperties: { "^(app\\.kubernetes\\.io|helm\\.sh)/": false } };
export const resources = (
  requests: { cpu: string; memory: string },
  limits: { memory: string },
  sentence: string,
) => structure<object>({ requests, limits }, sentence);

export const image = (repository: string, tag: string, of: string) =>
  group(`The image of ${of}.`, {
    registry: textValue("", "Host that it is pulled from; `global.imageRegistry` goes before it."),
    repository: textValue(repository, "Its name.", { minLength: 1 }),
    tag: textValue(
      tag,
      tag === "" ? "Its tag; by default the version of the chart's application." : "Its tag.",
    ),
    digest: textValue("", "Its digest, such as sha256:…, which goes before the tag.", {
      pattern: "^(sha256:[0-9a-f]{64})?$",
    }),
    pullPolicy: choiceValue("IfNotPresent", ["IfNotPresent", "Always", "Never"], "When it is pulled."),
  });

/** What may be set of the pods of every workload. */
export const pods = () => ({
  podAnnotations: textMap({}, "Further annotations of its pods."),
  podLabels: textMap({}, "Further labels of its pods.", labelKeys),
  nodeSelector: textMap({}, "Labels of the nodes that its pods may run on."),
  tolerations: structure([] as object[], "Taints of nodes that its pods bear."),
  affinity: structure({}, "Where its pods are drawn to, and what they keep away from."),
  priorityClassName: nameValue("", "Priority class of its pods."),
  topologySpreadConstraints: structure(
    [] as object[],
    "How its pods are spread; by default over zones and nodes, as far as these have room.",
  ),
});
/** What may be set of a role of Millrace as well. */
export const role = () => ({
  ...pods(),
  extraEnv: structure(
    [] as object[],
    "Further variables of its container, as Kubernetes has them. `settings` and the Secrets hold those of Millrace.",
    {
      items: {
        type: "object",
        required: ["name"],
        properties: {
          name: {
            type: "string",
            not: { pattern: "^(MILLRACE_|NODE_OPTIONS$|BROKER_PASSWORD$|STORE_PASSWORD$)" },
          },
        },
      },
    },
  ),
  extraVolumes: structure([] as object[], "Further volumes of its pods."),
  extraVolumeMounts: structure([] as object[], "Where its container finds them."),
});
export const replicas = (fallback: number, sentence = "How many pods.") =>
  integerValue(fallback, [0, 1000], sentence);
export const nodeOptions = (fallback: string) =>
  textValue(
    fallback,
    "Options of Node.js: the sizes of its heap, which the memory limit has to hold with as much again.",
  );

export const worker = (what: string) =>
  group(`The worker that ${what}.`, {
    replicas: replicas(1, "How many pods where `scaling` is off."),
    scaling: scaling(),
    nodeOptions: nodeOptions("--max-semi-space-size=4 --max-old-space-size=128"),
    resources: resources(
      { cpu: "100m", memory: "192Mi" },
      { memory: "512Mi" },
      "One of the longest messages, and what it is read into, needs 400 MB for a moment.",
    ),
    ...role(),
  });

export const persistence = (size: string, what: string) =>
  group(`Where ${what} is kept.`, {
    enabled: toggle(true, "Whether on a volume of its own. Without, all is lost with the pod."),
    size: textValue(size, "Size of the volume.", { pattern: "^[0-9.]+([KMGTPE]i?)?$" }),
    storageClassName: nameValue("", "Its storage class; by default that of the cluster."),
  });
