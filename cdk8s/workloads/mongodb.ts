import { type App, Chart } from "cdk8s";
import type { StatefulSet } from "kubernetes-types/apps/v1.d.ts";
import type { Container, EnvVar, Service } from "kubernetes-types/core/v1.d.ts";
import { STORE_PASSWORD_KEY, storeIsBundled, storeSecret } from "./credentials.ts";
import {
  claimTemplates,
  DATA,
  dataVolume,
  emptyFolder,
  listens,
  SERVER_USER,
  secretValue,
} from "./bundled.ts";
import { mongodbImage, metadata, nameOf, selectorLabels } from "../names.ts";
import { confined, podTemplate } from "../pod.ts";
import { type Expression, text } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { type Conditional, type Templated, when } from "../template/tree.ts";
import { values } from "../values.ts";

const { mongodb } = values;
const COMPONENT = "mongodb";
const USER = "millrace";
export const MONGODB_PORT = 27017;

/** How a role finds the store: where it is bundled, with the password put into the URL by Kubernetes. */
export const storeEnv: readonly (Conditional<Templated<EnvVar>> | Templated<EnvVar>)[] = [
  when(storeIsBundled, { name: "STORE_PASSWORD", valueFrom: secretValue(storeSecret, STORE_PASSWORD_KEY) }),
  when(
    storeIsBundled,
    {
      name: "MILLRACE_STORE_URL",
      value: text`mongodb://${USER}:$(STORE_PASSWORD)@${nameOf(COMPONENT)}:${String(MONGODB_PORT)}/millrace?authSource=admin`,
    },
    {
      name: "MILLRACE_STORE_URL",
      valueFrom: secretValue(mongodb.external.existingSecret, mongodb.external.urlKey),
    },
  ),
];

const server: Templated<Container> = {
  name: COMPONENT,
  image: mongodbImage,
  imagePullPolicy: mongodb.image.pullPolicy,
  ports: [{ name: "mongodb", containerPort: MONGODB_PORT }],
  env: [
    { name: "MONGO_INITDB_ROOT_USERNAME", value: USER },
    { name: "MONGO_INITDB_ROOT_PASSWORD", valueFrom: secretValue(storeSecret, STORE_PASSWORD_KEY) },
  ],
  resources: mongodb.resources as Expression<object>,
  securityContext: confined,
  // While the first start makes the user, it listens on the loopback alone.
  ...listens("mongodb"),
  volumeMounts: [
    { name: DATA, mountPath: "/data/db" },
    { name: "configdb", mountPath: "/data/configdb" },
    { name: "tmp", mountPath: "/tmp" },
  ],
};

/** One server and no replica set: Millrace needs no transaction, and it honours the write concern as well. */
export function mongoDb(app: App): void {
  const chart = new Chart(app, COMPONENT);
  const presence = { condition: storeIsBundled };
  new Manifest<StatefulSet>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "StatefulSet" },
    {
      metadata: metadata(COMPONENT),
      spec: {
        serviceName: nameOf(COMPONENT),
        replicas: 1,
        selector: { matchLabels: selectorLabels(COMPONENT) },
        template: podTemplate({
          component: COMPONENT,
          user: SERVER_USER,
          podValues: mongodb,
          graceSeconds: 60,
          containers: [server],
          volumes: [
            dataVolume(mongodb.persistence),
            emptyFolder("configdb", "16Mi"),
            emptyFolder("tmp", "64Mi"),
          ],
        }),
        volumeClaimTemplates: claimTemplates(mongodb.persistence),
      },
    },
    presence,
  );
  new Manifest<Service>(
    chart,
    "service",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata(COMPONENT),
      spec: {
        selector: selectorLabels(COMPONENT),
        ports: [{ name: "mongodb", port: MONGODB_PORT, targetPort: "mongodb", appProtocol: "mongo" }],
      },
    },
    presence,
  );
}
