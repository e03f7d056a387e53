import type { Container, EnvVar } from "kubernetes-types/core/v1.d.ts";
import { brokerEnv } from "./rabbitmq.ts";
import { storeEnv } from "./mongodb.ts";
import { settingsChecksum, settingsName } from "./settings.ts";
import { millraceImage } from "../names.ts";
import { confined, httpProbe, podTemplate, PRE_STOP_SECONDS, roleGraceSeconds } from "../pod.ts";
import type { Expression } from "../template/expression.ts";
import { spread, type Templated } from "../template/tree.ts";
import { values } from "../values.ts";

export const ADMIN_PORT = 9090;
/** Of the image: see Dockerfile. */
export const ROLE_USER = 1000;

interface Role {
  readonly component: string;
  readonly roleValues: typeof values.query;
  /** Servers that it talks to, and whose credentials it gets. */
  readonly needs: readonly ("broker" | "store")[];
  /** What the image is told to be, such as `worker hourlyLog`. */
  readonly args: readonly string[];
  /** Ports besides that of its administration. */
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env?: readonly Templated<EnvVar>[];
}

/** The pods of a role of Millrace. */
export function rolePods({ component, roleValues, needs, args, ports = [], env = [] }: Role) {
  return podTemplate({
    component,
    user: ROLE_USER,
    podValues: roleValues,
    annotations: { "checksum/settings": settingsChecksum },
    graceSeconds: roleGraceSeconds,
    containers: [
      {
        name: component,
        image: millraceImage,
        imagePullPolicy: values.image.pullPolicy,
        args: [...args],
        ports: [...ports, { name: "admin", containerPort: ADMIN_PORT }],
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
        livenessProbe: httpProbe("/healthz", "admin", { periodSeconds: 10, failureThreshold: 3 }),
        readinessProbe: httpProbe("/readyz", "admin", { periodSeconds: 3, failureThreshold: 2 }),
        // It serves on while the word goes round that nothing more is to be sent to it.
        lifecycle: { preStop: { exec: { command: ["sleep", String(PRE_STOP_SECONDS)] } } },
        volumeMounts: [{ name: "tmp", mountPath: "/tmp" }, spread(roleValues.extraVolumeMounts)] as never,
      } satisfies Templated<Container>,
    ],
    volumes: [{ name: "tmp", emptyDir: { sizeLimit: "64Mi" } }, spread(roleValues.extraVolumes)],
  });
}
