import type { Chart } from "cdk8s";
import type { Deployment } from "kubernetes-types/apps/v1.d.ts";
import type { Container, EnvVar, Service } from "kubernetes-types/core/v1.d.ts";
import { ADMIN_PORT, adminNames, type Component } from "./components.ts";
import { disruptionBudget } from "./disruption-budget.ts";
import { brokerEnv } from "./rabbitmq.ts";
import { storeEnv } from "./mongodb.ts";
import { settingsChecksum, settingsName } from "./settings.ts";
import { metadata, millraceImage, selectorLabels } from "../names.ts";
import { confined, httpProbe, podTemplate, PRE_STOP_SECONDS, roleGraceSeconds } from "../pod.ts";
import { all, type Expression } from "../template/expression.ts";
import { Manifest } from "../template/manifest.ts";
import { type Conditional, spread, type Templated } from "../template/tree.ts";
import { values } from "../values.ts";

/** Of the image: see Dockerfile. */
export const ROLE_USER = 1000;

interface Role {
  readonly component: Component;
  /** Where it is there at all; without, everywhere. */
  readonly only?: Expression<boolean>;
  readonly roleValues: typeof values.sweeper;
  /** How many pods; left out where somebody else sets it. */
  readonly replicas: Expression<number> | Conditional<Expression<number>>;
  /** Whether there is more than one pod, or may be. */
  readonly several: Expression<boolean>;
  /** What it talks to Kubernetes as, if it does. */
  readonly account?: Expression<string>;
  /** Servers that it talks to, and whose credentials it gets. */
  readonly needs: readonly ("broker" | "store")[];
  /** What the image is told to be, such as `worker hourlyLog`. */
  readonly args: readonly string[];
  /** Where it serves HTTP, and has a Service for it. */
  readonly httpPort?: number;
  readonly env?: readonly (Templated<EnvVar> | Conditional<Templated<EnvVar>>)[];
  /** What is mounted beside what every role has. */
  readonly files?: readonly { readonly mount: unknown; readonly volume: unknown }[];
}

/** A role of Millrace: its pods, its Services, and what a drain of nodes leaves of it. */
export function roleWorkload(chart: Chart, role: Role): void {
  const { component, httpPort, only } = role;
  const presence = only === undefined ? {} : { condition: only };
  new Manifest<Deployment>(
    chart,
    "pods",
    { apiVersion: "apps/v1", kind: "Deployment" },
    {
      metadata: metadata(component),
      spec: {
        replicas: role.replicas,
        selector: { matchLabels: selectorLabels(component) },
        // An old pod goes once a new one is ready.
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: rolePods(role),
      },
    },
    presence,
  );
  new Manifest<Service>(
    chart,
    "admin",
    { apiVersion: "v1", kind: "Service" },
    {
      metadata: metadata(component, adminNames[component]),
      spec: {
        clusterIP: "None",
        // Whoever looks for metrics wants to see a pod that is not well, too.
        publishNotReadyAddresses: true,
        selector: selectorLabels(component),
        ports: [{ name: "admin", port: ADMIN_PORT, targetPort: "admin", appProtocol: "http" }],
      },
    },
    presence,
  );
  if (httpPort !== undefined) {
    new Manifest<Service>(
      chart,
      "service",
      { apiVersion: "v1", kind: "Service" },
      {
        metadata: metadata(component),
        spec: {
          selector: selectorLabels(component),
          ports: [{ name: "http", port: httpPort, targetPort: "http", appProtocol: "http" }],
        },
      },
      presence,
    );
  }
  disruptionBudget(chart, component, only === undefined ? role.several : all(only, role.several));
}

function rolePods(role: Role) {
  const { component, roleValues, account, needs, args, httpPort, env = [], files = [] } = role;
  const served = httpPort === undefined ? [] : [{ name: "http", containerPort: httpPort }];
  return podTemplate({
    component,
    user: ROLE_USER,
    podValues: roleValues,
    ...(account === undefined ? {} : { account }),
    annotations: { "checksum/settings": settingsChecksum },
    graceSeconds: roleGraceSeconds,
    containers: [
      {
        name: component,
        image: millraceImage,
        imagePullPolicy: values.image.pullPolicy,
        args: [...args],
        ports: [...served, { name: "admin", containerPort: ADMIN_PORT }],
        envFrom: [{ configMapRef: { name: settingsName } }],
        env: [
          { name: "NODE_OPTIONS", value: roleValues.nodeOptions },
          ...(needs.includes("broker") ? brokerEnv : []),
          ...(needs.includes("store") ? storeEnv : []),
          ...env,
          spread(roleValues.extraEnv as Expression<EnvVar[]>),
        ],
        resources: roleValues.resources as Expression<object>,
        securityContext: confined,
        // Alive and able to work are two things: a role that waits for its broker is not to be killed.
        startupProbe: httpProbe("/healthz", "admin", { periodSeconds: 2, failureThreshold: 60 }),
        // Slow is not dead: whoever restarts what is short of CPU leaves the others with still more to do.
        livenessProbe: httpProbe("/healthz", "admin", {
          periodSeconds: 15,
          timeoutSeconds: 10,
          failureThreshold: 6,
        }),
        readinessProbe: httpProbe("/readyz", "admin", {
          periodSeconds: 3,
          timeoutSeconds: 5,
          failureThreshold: 3,
        }),
        // It serves on while the word goes round that nothing more is to be sent to it.
        lifecycle: { preStop: { exec: { command: ["sleep", String(PRE_STOP_SECONDS)] } } },
        volumeMounts: [
          { name: "tmp", mountPath: "/tmp" },
          ...files.map(({ mount }) => mount),
          spread(roleValues.extraVolumeMounts),
        ] as never,
      } satisfies Templated<Container>,
    ],
    volumes: [
      { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      ...files.map(({ volume }) => volume),
      spread(roleValues.extraVolumes),
    ],
  });
}
