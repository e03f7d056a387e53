import { structural, type StructuralSchema } from "../operator/custom-resource.ts";
import { queueScalerSpec } from "../operator/queue-scaler.ts";
import { choiceValue, group, integerValue, structure, toggle } from "./template/values.ts";

/** The schema of a field of a QueueScaler's spec, such as `replicas/min`. */
function fieldOf(path: string): StructuralSchema {
  return path
    .split("/")
    .reduce<StructuralSchema>(
      (at, name) => (at["properties"] as Readonly<Record<string, StructuralSchema>>)[name] ?? {},
      structural(queueScalerSpec),
    );
}
const boundsOf = (path: string): readonly [number, number] => {
  const { minimum, maximum } = fieldOf(path) as { readonly minimum: number; readonly maximum: number };
  return [minimum, maximum];
};
const defaultOf = (path: string) => fieldOf(path)["default"] as number;

/** Fields that have no value of their own, or one that says less. */
const others = ["behavior", "brokerRef", "fallback", "hints", "manualScale", "pollingIntervalSeconds"];

/** How many pods of a worker there are. */
export const scaling = () =>
  group("How its number of pods follows its queue, by a QueueScaler.", {
    enabled: toggle(
      true,
      "Whether the number of pods follows the queue; there has to be an operator, of this release or another. Without, `replicas` says how many there are.",
    ),
    minReplicas: integerValue(
      defaultOf("replicas/min"),
      boundsOf("replicas/min"),
      "Fewest pods; with 0 there are none while nothing is to do.",
    ),
    maxReplicas: integerValue(10, boundsOf("replicas/max"), "Most pods."),
    maxWaitSeconds: integerValue(
      defaultOf("objective/maxWaitSeconds"),
      boundsOf("objective/maxWaitSeconds"),
      "The promise: no event waits longer in the queue, in seconds.",
    ),
    messagesPerReplica: integerValue(
      0,
      [0, boundsOf("messagesPerReplica")[1]],
      "A plain rule in place of the promise: as many pods as messages in the queue divided by this; 0 for none.",
    ),
    mode: choiceValue(
      "Act",
      ["Act", "Observe"],
      "Whether the number of pods is set, or what it would be is shown alone.",
    ),
    paused: toggle(false, "Whether the number of pods is left alone."),
    manualScale: choiceValue(
      "Override",
      ["Override", "Respect"],
      "What becomes of a number that somebody else has set, such as `kubectl scale`: it is replaced, or stays for ten minutes.",
    ),
    spec: structure({}, `Further fields of the QueueScaler's spec: ${others.join(", ")}.`, {
      additionalProperties: false,
      properties: Object.fromEntries(others.map((name) => [name, fieldOf(name)])),
    }),
  });
