import { type KubernetesObject, ofKind, secretsOf, titleOf, workloadsOf } from "./objects.ts";
import { mayReach } from "./policies.ts";
import { allows, operatorOf, rightsOf } from "./rights.ts";
import { portOf, servicesOf } from "./services.ts";

interface Spec {
  readonly scaleTargetRef: { readonly apiVersion: string; readonly kind: string; readonly name: string };
  readonly brokerRef: {
    readonly url?: string;
    readonly secret: { readonly name: string; readonly passwordKey?: string };
  };
}
const specOf = (object: KubernetesObject) => object.spec as unknown as Spec;

/** A QueueScaler whose broker cannot be asked, or whose workload may not be scaled, by the operator that is there, if one is. */
export function faultsOfQueueScalers(objects: readonly KubernetesObject[], namespace: string): string[] {
  return ofKind(objects, "QueueScaler").flatMap((object) =>
    [
      ...faultsOfUrl(specOf(object), objects, namespace),
      ...faultsOfSecret(specOf(object), objects),
      ...missingRights(specOf(object), objects),
    ].map((fault) => `${titleOf(object)} ${fault}`),
  );
}

function faultsOfUrl(
  { brokerRef: { url } }: Spec,
  objects: readonly KubernetesObject[],
  namespace: string,
): string[] {
  if (url === undefined) return [];
  const { hostname, port } = new URL(url);
  const [name, domain] = hostname.split(".");
  const operator = operatorOf(objects);
  if (operator === undefined && domain !== namespace)
    return [`asks ${hostname}, which has no namespace in it`];
  const service = servicesOf(objects).find((one) => one.name === name);
  const there = service?.ports.find((one) => String(one.port) === port);
  const [to] = service?.workloads ?? [];
  if (there === undefined || to === undefined) return [`asks ${hostname}:${port}, which is not there`];
  const number = portOf(to.pod, there.targetPort ?? there.port) ?? there.port;
  return operator === undefined || mayReach(objects, { from: operator, to, port: number })
    ? []
    : [`asks ${hostname}:${port}, which the policies do not let the operator reach`];
}

/** Of a Secret that is none of the chart's, nothing is known. */
function faultsOfSecret({ brokerRef: { secret } }: Spec, objects: readonly KubernetesObject[]): string[] {
  const held = secretsOf(objects).get(secret.name);
  if (held === undefined || held[secret.passwordKey ?? "password"] !== undefined) return [];
  return [`reads ${secret.passwordKey} of Secret ${secret.name}, which does not have it`];
}

function missingRights(
  { scaleTargetRef: { apiVersion, kind, name }, brokerRef: { secret } }: Spec,
  objects: readonly KubernetesObject[],
): string[] {
  const operator = operatorOf(objects);
  const rights = rightsOf(objects, operator?.pod.serviceAccountName ?? "");
  // Somebody else's operator, or somebody else's roles.
  if (operator === undefined || ofKind(objects, "Role").length === 0) return [];
  const scale = { group: apiVersion.split("/")[0] ?? "", resource: `${kind.toLowerCase()}s/scale`, name };
  return [
    ...["get", "patch"]
      .filter((verb) => !allows(rights, { ...scale, verb }))
      .map((verb) => `scales ${kind} ${name}, and the operator may not ${verb} its scale`),
    ...(allows(rights, { group: "", resource: "secrets", name: secret.name, verb: "get" })
      ? []
      : [`reads Secret ${secret.name}, which the operator may not`]),
  ];
}

/** A Deployment or StatefulSet of which nobody says how many pods it has: it would stay at one. */
export function countlessWorkloads(objects: readonly KubernetesObject[]): string[] {
  const scaled = [...ofKind(objects, "QueueScaler"), ...ofKind(objects, "HorizontalPodAutoscaler")]
    .map((object) => specOf(object).scaleTargetRef)
    .map(({ kind, name }) => `${kind} ${name}`);
  return workloadsOf(objects)
    .filter(({ object: { kind } }) => kind === "Deployment" || kind === "StatefulSet")
    .filter(({ object, title }) => object.spec?.["replicas"] === undefined && !scaled.includes(title))
    .map(({ title }) => `${title} has no replicas, and nobody scales it`);
}
