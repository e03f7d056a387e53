import type { Chart } from "cdk8s";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
} from "kubernetes-types/rbac/v1.d.ts";
import { GROUP, PLURAL } from "../../operator/queue-scaler.ts";
import { brokerIsBundled, brokerSecret } from "./credentials.ts";
import { metadata, nameOf, operatorAccountName } from "../names.ts";
import {
  all,
  any,
  choose,
  type Expression,
  filled,
  is,
  itemText,
  releaseNamespace,
  text,
} from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { each, spread, type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { operator, rabbitmq } = values;
const RBAC = "rbac.authorization.k8s.io";
const COMPONENT = "operator";

export const leaseName = nameOf(COMPONENT);
/** Whether it works on the QueueScalers of the release's namespace alone. */
export const operatorIsConfined = is(operator.scope, "Namespace");

type Rules = Templated<PolicyRule[]>;
const rule = (apiGroups: readonly string[], resources: readonly string[], verbs: readonly string[]) => ({
  apiGroups: [...apiGroups],
  resources: [...resources],
  verbs: [...verbs],
});
const seen = ["get", "list", "watch"];

/** What the operator asks of Kubernetes for the QueueScalers that it works on, and no more. */
const rules: Rules = [
  rule([GROUP], [PLURAL], seen),
  rule([GROUP], [`${PLURAL}/status`], ["patch"]),
  rule(["apps"], ["deployments", "statefulsets"], seen),
  rule(["apps"], ["deployments/scale", "statefulsets/scale"], ["get", "patch"]),
  each(operator.extraTargets, {
    apiGroups: [itemText("apiGroup")],
    resources: [text`${itemText("resource")}/scale`],
    verbs: ["get", "patch"],
  }),
  // Others that scale, with whom it must not quarrel.
  rule(["autoscaling"], ["horizontalpodautoscalers"], seen),
  rule(["keda.sh"], ["scaledobjects"], seen),
  rule(["events.k8s.io"], ["events"], ["create", "patch"]),
  {
    apiGroups: [""],
    resources: ["secrets"],
    // A list of no names would stand for all of them, so that the broker's is always in it.
    resourceNames: when(any(operatorIsConfined, filled(operator.brokerSecrets)), [
      choose(brokerIsBundled, brokerSecret, rabbitmq.external.existingSecret),
      spread(operator.brokerSecrets),
    ]),
    verbs: ["get"],
  },
];

/** One of several operators leads: who, is in a Lease of the release's namespace. */
const leaseRules: Rules = [
  // Kubernetes does not know the name of what is yet to be created.
  rule(["coordination.k8s.io"], ["leases"], ["create"]),
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    resourceNames: [leaseName],
    verbs: ["get", "update"],
  },
];

/** The rights of the operator, in the namespace or in the cluster as its scope is. */
export function operatorRights(chart: Chart): void {
  const made = all(operator.enabled, operator.rbac.create);
  const inNamespace = (id: string, name: Expression<string>, granted: Rules, only: Expression<boolean>) => {
    new Manifest<Role>(
      chart,
      id,
      { apiVersion: `${RBAC}/v1`, kind: "Role" },
      { metadata: metadata(COMPONENT, name), rules: granted },
      { condition: only },
    );
    new Manifest<RoleBinding>(
      chart,
      `${id}-binding`,
      { apiVersion: `${RBAC}/v1`, kind: "RoleBinding" },
      {
        metadata: metadata(COMPONENT, name),
        roleRef: { apiGroup: RBAC, kind: "Role", name },
        // Of the binding's own namespace.
        subjects: [{ kind: "ServiceAccount", name: operatorAccountName }],
      },
      { condition: only },
    );
  };
  inNamespace("rights", nameOf(COMPONENT), rules, all(made, operatorIsConfined));
  inNamespace("lease-rights", nameOf(`${COMPONENT}-lease`), leaseRules, made);

  // Two releases of one name may be in two namespaces.
  const name = text`${releaseNamespace}-${nameOf(COMPONENT)}`;
  const everywhere = { condition: all(made, is(operator.scope, "Cluster")) };
  new Manifest<ClusterRole>(
    chart,
    "cluster-rights",
    { apiVersion: `${RBAC}/v1`, kind: "ClusterRole" },
    { metadata: metadata(COMPONENT, name), rules },
    everywhere,
  );
  new Manifest<ClusterRoleBinding>(
    chart,
    "cluster-rights-binding",
    { apiVersion: `${RBAC}/v1`, kind: "ClusterRoleBinding" },
    {
      metadata: metadata(COMPONENT, name),
      roleRef: { apiGroup: RBAC, kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", name: operatorAccountName, namespace: releaseNamespace }],
    },
    everywhere,
  );
}
