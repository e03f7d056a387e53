import type { Container, PersistentVolumeClaim } from "kubernetes-types/core/v1.d.ts";
import { type Expression, not } from "../template/expression.ts";
import { ifFilled, type Templated, when } from "../template/tree.ts";
import type { values } from "../values.ts";

/** The user and group of the official images of RabbitMQ and MongoDB. */
export const SERVER_USER = 999;
export const DATA = "data";

type Persistence = typeof values.mongodb.persistence;

/** A claim for each pod; an uninstall leaves them, and what is on them. */
export function claimTemplates(persistence: Persistence) {
  const claim: Templated<PersistentVolumeClaim> = {
    // The API server adds these two; left out, whatever compares would see a difference for ever.
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: DATA },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: ifFilled(persistence.storageClassName),
      resources: { requests: { storage: persistence.size } },
    },
  };
  return when(persistence.enabled, [claim]);
}

/** In place of the claim, gone with the pod. */
export const dataVolume = (persistence: Persistence) =>
  when(not(persistence.enabled), { name: DATA, emptyDir: { sizeLimit: persistence.size } });

export const emptyFolder = (name: string, sizeLimit: string) => ({ name, emptyDir: { sizeLimit } });

/** A listener that opens once the server can answer is as good a sign as asking it, and costs nothing. */
export function listens(port: string): Pick<Container, "startupProbe" | "livenessProbe" | "readinessProbe"> {
  const tcpSocket = { port };
  return {
    startupProbe: { tcpSocket, periodSeconds: 2, failureThreshold: 150 },
    livenessProbe: { tcpSocket, periodSeconds: 15, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { tcpSocket, periodSeconds: 5, timeoutSeconds: 3 },
  };
}

export const secretValue = (secret: Expression<string>, key: Expression<string> | string) => ({
  secretKeyRef: { name: secret, key },
});
