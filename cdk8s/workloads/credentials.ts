import { type App, Chart } from "cdk8s";
import type { Secret } from "kubernetes-types/core/v1.d.ts";
import { credentialsName, metadata, nameOf } from "../names.ts";
import {
  all,
  any,
  either,
  Expression,
  filled,
  is,
  not,
  present,
  releaseName,
  releaseNamespace,
  text,
} from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { when } from "../template/tree.ts";
import { values } from "../values.ts";

const { rabbitmq, mongodb } = values;
const { bundled } = values.monitoring;
export const brokerIsBundled = is(rabbitmq.mode, "bundled");
export const storeIsBundled = is(mongodb.mode, "bundled");
/** Whether there is a Grafana of the release's own. */
export const grafanaIsThere = all(bundled.enabled, bundled.grafana.enabled);
const makesBroker = all(brokerIsBundled, not(filled(rabbitmq.existingSecret)));
const makesStore = all(storeIsBundled, not(filled(mongodb.existingSecret)));
const makesGrafana = all(
  bundled.enabled,
  bundled.grafana.enabled,
  not(filled(bundled.grafana.existingSecret)),
);

export const BROKER_PASSWORD_KEY = "rabbitmq-password";
export const ERLANG_COOKIE_KEY = "rabbitmq-erlang-cookie";
export const STORE_PASSWORD_KEY = "mongodb-password";
export const GRAFANA_PASSWORD_KEY = "grafana-admin-password";
/** What is in the Secret of the chart, and when. */
export const credentialKeys = [
  { key: BROKER_PASSWORD_KEY, made: makesBroker },
  { key: ERLANG_COOKIE_KEY, made: makesBroker },
  { key: STORE_PASSWORD_KEY, made: makesStore },
  { key: GRAFANA_PASSWORD_KEY, made: makesGrafana },
];
/** The Secrets that hold them. */
export const brokerSecret = either(rabbitmq.existingSecret, credentialsName);
export const storeSecret = either(mongodb.existingSecret, credentialsName);
export const grafanaSecret = either(bundled.grafana.existingSecret, credentialsName);

/** As the Secret has it already, else by chance: an upgrade keeps it. Only a running Helm knows either. */
function kept(key: string): Expression<string> {
  const existing = `(lookup "v1" "Secret" $.Release.Namespace ${credentialsName.operand}).data | default dict`;
  return new Expression("bare", {
    go: `get (${existing}) ${JSON.stringify(key)} | default (randAlphaNum 32 | b64enc)`,
    evaluate: () => {
      throw new Error(`${key} is made by Helm`);
    },
  });
}

const claimOf = (component: string) => text`data-${nameOf(component)}-0`;
const keptVolume = any(
  all(makesBroker, present("PersistentVolumeClaim", claimOf("rabbitmq"))),
  all(makesStore, present("PersistentVolumeClaim", claimOf("mongodb"))),
);
/** Servers that know passwords of before would let nobody in. */
const forgotten = {
  condition: all(keptVolume, not(present("Secret", credentialsName))),
  message: text`volumes of an earlier install are here, and the Secret ${credentialsName} with their passwords is not: put it back, or remove them and all that is on them by: kubectl --namespace ${releaseNamespace} delete pvc --selector app.kubernetes.io/instance=${releaseName}`,
};

/** Passwords of the bundled servers that the user has not chosen. The plain manifests expect this Secret to be there. */
export function credentials(app: App): void {
  const chart = new Chart(app, "credentials");
  new Manifest<Secret>(
    chart,
    "credentials",
    { apiVersion: "v1", kind: "Secret" },
    {
      metadata: metadata("credentials", credentialsName),
      type: "Opaque",
      data: Object.fromEntries(credentialKeys.map(({ key, made }) => [key, when(made, kept(key))])),
    },
    { condition: any(makesBroker, makesStore, makesGrafana), chartOnly: true, obstacle: forgotten },
  );
}
