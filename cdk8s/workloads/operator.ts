import { type App, Chart } from "cdk8s";
import type { EnvVar, ServiceAccount } from "kubernetes-types/core/v1.d.ts";
import { type SettingName, variableOf } from "../../src/settings.ts";
import { OPERATOR } from "./components.ts";
import { leaseName, operatorIsConfined, operatorRights } from "./operator-rights.ts";
import { roleWorkload } from "./role.ts";
import { metadata, operatorAccountName } from "../names.ts";
import { all, more, overlaid } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { operator: chosen } = values;

const ofThisNamespace = (setting: SettingName): Templated<EnvVar> => ({
  name: variableOf(setting),
  valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } },
});

/** It gets no credentials of the broker or the store: a QueueScaler names the Secret that it reads. */
export function operator(app: App): void {
  const chart = new Chart(app, OPERATOR);
  new Manifest<ServiceAccount>(
    chart,
    "account",
    { apiVersion: "v1", kind: "ServiceAccount" },
    {
      metadata: metadata(
        OPERATOR,
        operatorAccountName,
        {},
        overlaid(values.commonAnnotations, chosen.serviceAccount.annotations),
      ),
      // A pod that wants its token has to say so.
      automountServiceAccountToken: false,
    },
    { condition: all(chosen.enabled, chosen.serviceAccount.create) },
  );
  operatorRights(chart);
  roleWorkload(chart, {
    component: OPERATOR,
    only: chosen.enabled,
    roleValues: chosen,
    account: operatorAccountName,
    replicas: chosen.replicas,
    several: more(chosen.replicas, 1),
    needs: [],
    args: ["operator"],
    env: [
      when(operatorIsConfined, ofThisNamespace("operatorNamespaces")),
      ofThisNamespace("operatorLeaseNamespace"),
      { name: variableOf("operatorLeaseName"), value: leaseName },
    ],
  });
}
