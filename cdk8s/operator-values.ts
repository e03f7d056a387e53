import { nodeOptions, replicas, resources, role } from "./pod-values.ts";
import { choiceValue, group, nameValue, structure, textMap, toggle } from "./template/values.ts";

const objectName = { type: "string", pattern: "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", maxLength: 253 };

export const operator = group(
  "The operator, which sets the number of pods that a QueueScaler names by what is in a queue of RabbitMQ.",
  {
    enabled: toggle(
      true,
      "Whether there is one. Without, QueueScalers, also those of the workers, wait for one of another release.",
    ),
    replicas: replicas(2, "How many pods. One works, and another takes over when that ends."),
    scope: choiceValue(
      "Namespace",
      ["Namespace", "Cluster"],
      "Whose QueueScalers it works on: those of the release's namespace, or all of the cluster's. No two operators may work on the same.",
    ),
    brokerSecrets: structure(
      [] as string[],
      "Secrets that QueueScalers may name besides that of the release's broker. With the scope Namespace no other is read; with the scope Cluster they are those of every namespace, and without any it may read all Secrets.",
      { items: objectName },
    ),
    extraTargets: structure(
      [] as object[],
      "Kinds that QueueScalers may name besides Deployments and StatefulSets, if they have a scale subresource, such as `- { apiGroup: argoproj.io, resource: rollouts }`.",
      {
        items: {
          type: "object",
          required: ["apiGroup", "resource"],
          additionalProperties: false,
          properties: {
            apiGroup: { type: "string", pattern: "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$" },
            resource: { type: "string", pattern: "^[a-z0-9]+$" },
          },
        },
      },
    ),
    serviceAccount: group("The account that it runs as; its token is mounted in no other pod.", {
      create: toggle(true, "Whether it is made."),
      name: nameValue(
        "",
        "Its name; by default that of the release with `-operator` if it is made, else `default`.",
      ),
      annotations: textMap({}, "Its annotations."),
    }),
    rbac: group("Its rights: roles of the namespace, or of the cluster with the scope Cluster.", {
      create: toggle(true, "Whether they are made. Without, the account has to have them."),
    }),
    nodeOptions: nodeOptions("--max-semi-space-size=4 --max-old-space-size=128"),
    resources: resources(
      { cpu: "50m", memory: "160Mi" },
      { memory: "320Mi" },
      "What it asks for, and may use.",
    ),
    ...role(),
  },
);
