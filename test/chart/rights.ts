import { type KubernetesObject, ofKind, titleOf, type Workload, workloadsOf } from "./objects.ts";
import { rolesOf } from "./settings.ts";

/** One rule of one role, as it holds for an account. */
export interface Right {
  /** The namespace's, or the cluster's. */
  readonly scope: "namespace" | "cluster";
  readonly group: string;
  readonly resource: string;
  /** Undefined for all of them. */
  readonly names: readonly string[] | undefined;
  readonly verbs: readonly string[];
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}
const rulesOf = (role: KubernetesObject): readonly Rule[] => (role.rules ?? []) as readonly Rule[];
const rolesIn = (objects: readonly KubernetesObject[]) => [
  ...ofKind(objects, "Role"),
  ...ofKind(objects, "ClusterRole"),
];
const bindingsIn = (objects: readonly KubernetesObject[]) => [
  ...ofKind(objects, "RoleBinding"),
  ...ofKind(objects, "ClusterRoleBinding"),
];
const accountOf = ({ pod }: Workload): string => pod.serviceAccountName ?? "default";

/** What an account may do, by all the roles that are bound to it. */
export function rightsOf(objects: readonly KubernetesObject[], account: string): readonly Right[] {
  return bindingsIn(objects)
    .filter(({ subjects = [] }) => subjects.some(({ name }) => name === account))
    .flatMap((binding) => {
      const scope = binding.kind === "RoleBinding" ? "namespace" : "cluster";
      return rolesIn(objects)
        .filter((role) => isOf(binding, role))
        .flatMap(rulesOf)
        .flatMap(({ apiGroups, resources, resourceNames: names, verbs }) =>
          apiGroups.flatMap((group) =>
            resources.map((resource): Right => ({ scope, group, resource, names, verbs })),
          ),
        );
    });
}

/** Whether the rights hold what an account asks for. */
export function allows(
  rights: readonly Right[],
  { group, resource, name, verb }: Record<"group" | "resource" | "name" | "verb", string>,
): boolean {
  return rights.some(
    (right) =>
      right.group === group &&
      right.resource === resource &&
      right.verbs.includes(verb) &&
      right.names?.includes(name) !== false,
  );
}

/** The one workload that talks to Kubernetes. */
export function operatorOf(objects: readonly KubernetesObject[]): Workload | undefined {
  return rolesOf(objects).find(({ role }) => role === "operator")?.workload;
}

/** A token of Kubernetes' API is the operator's alone, and so is the account that it is of. */
export function faultsOfTokens(objects: readonly KubernetesObject[]): string[] {
  const operator = operatorOf(objects);
  return workloadsOf(objects).flatMap((workload) => {
    const { title, pod } = workload;
    if (title === operator?.title) {
      return pod.automountServiceAccountToken === true
        ? []
        : [`${title}: the account's token is not mounted`];
    }
    return [
      ...(pod.automountServiceAccountToken === false ? [] : [`${title}: the account's token is mounted`]),
      // The account that a namespace has by itself is chosen by the user.
      ...(operator !== undefined &&
      accountOf(workload) === accountOf(operator) &&
      accountOf(operator) !== "default"
        ? [`${title}: runs as the operator's account`]
        : []),
    ];
  });
}

/** Roles that hold more than they say, and bindings that lead nowhere or to somebody else. */
export function faultsOfRights(objects: readonly KubernetesObject[], namespace: string): string[] {
  const operator = operatorOf(objects);
  return [
    ...rolesIn(objects).flatMap((role) => [
      ...(bindingsIn(objects).some((binding) => isOf(binding, role)) ? [] : [`${titleOf(role)} is nobody's`]),
      ...rulesOf(role)
        .flatMap((rule) => faultsOfRule(rule, role.kind))
        .map((fault) => `${titleOf(role)} ${fault}`),
    ]),
    ...bindingsIn(objects).flatMap((binding) => [
      ...(rolesIn(objects).some((role) => isOf(binding, role))
        ? []
        : [
            `${titleOf(binding)} is of ${binding.roleRef?.kind} ${binding.roleRef?.name}, which is not there`,
          ]),
      ...(binding.subjects ?? []).flatMap((subject) => {
        const fits =
          operator !== undefined && subject.kind === "ServiceAccount" && subject.name === accountOf(operator);
        const where = binding.kind === "ClusterRoleBinding" ? namespace : undefined;
        return [
          ...(fits
            ? []
            : [`${titleOf(binding)} is for ${subject.kind} ${subject.name}, which is not the operator`]),
          ...(subject.namespace === where
            ? []
            : [`${titleOf(binding)} is for an account in ${subject.namespace}`]),
        ];
      }),
    ]),
  ];
}

function isOf({ kind, roleRef }: KubernetesObject, role: KubernetesObject): boolean {
  return kind === `${role.kind}Binding` && roleRef?.kind === role.kind && roleRef.name === role.metadata.name;
}

function faultsOfRule({ apiGroups, resources, resourceNames, verbs }: Rule, kind: string): string[] {
  const faults: string[] = [];
  if ([...apiGroups, ...resources, ...verbs].includes("*")) faults.push("has a star in it");
  if (resourceNames?.length === 0) faults.push(`names no ${resources.join()}, which stands for all of them`);
  if (resources.includes("secrets")) {
    if (kind === "Role" && resourceNames === undefined) faults.push("is about every Secret");
    if (verbs.join() !== "get") faults.push("does more with Secrets than to get one by its name");
  }
  for (const verb of verbs) {
    if (["delete", "deletecollection", "escalate", "bind", "impersonate"].includes(verb))
      faults.push(`lets it ${verb} ${resources.join()}`);
  }
  return faults;
}
