import { type App, Chart } from "cdk8s";
import type { ServiceAccount } from "kubernetes-types/core/v1.d.ts";
import { metadata, serviceAccountName } from "../names.ts";
import { Manifest } from "../template/manifest.ts";
import { overlaid } from "../template/expression.ts";
import { values } from "../values.ts";

/** What every pod but the operator's runs as. Nobody in it talks to Kubernetes, so it has no rights and no token. */
export function serviceAccount(app: App): void {
  const chart = new Chart(app, "service-account");
  const annotations = overlaid(values.commonAnnotations, values.serviceAccount.annotations);
  new Manifest<ServiceAccount>(
    chart,
    "account",
    { apiVersion: "v1", kind: "ServiceAccount" },
    {
      metadata: metadata("service-account", serviceAccountName, {}, annotations),
      automountServiceAccountToken: false,
    },
    { condition: values.serviceAccount.create },
  );
}
