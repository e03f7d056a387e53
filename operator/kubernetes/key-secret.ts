import { setTimeout as sleep } from "node:timers/promises";
import { ClusterError, type ObjectName } from "../cluster.ts";
import { openAccess } from "./access.ts";
import { Refusal } from "./faults.ts";
import { openRequests, type Requests } from "./requests.ts";
import { decodeKeys, encodeKeys, type StoredKey } from "../../src/domain/key.ts";
import { MillraceError } from "../../src/errors.ts";
import type { KeyPlace } from "../../src/ports/keys.ts";

/** What the file of keys is called in its Secret, and where that is mounted. */
export const KEYS_ENTRY = "keys.json";
/** Writers that come in between one after the other, until somebody else must be at fault. */
const TRIES = 20;
const AGAIN_MS = 50;

/** https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/ */
interface Secret {
  readonly metadata: { readonly resourceVersion?: string; readonly [field: string]: unknown };
  readonly data?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export interface KeySecret extends KeyPlace, Disposable {}

/** Keys in a Secret, asked for as whom the pod or the current kubeconfig says. Other entries of it stay. */
export async function openKeySecret(
  secret: ObjectName,
  settings: Parameters<typeof openAccess>[0] = {},
): Promise<KeySecret> {
  const requests = openRequests(await openAccess(settings), () => {});
  return {
    read: async () => keysOf(secret, await ask(requests, secret)),
    async change(edit) {
      for (let left = TRIES; ; left -= 1) {
        const there = await ask(requests, secret);
        const text = encodeKeys(edit(keysOf(secret, there)));
        try {
          return await write(requests, secret, there, text);
        } catch (error) {
          // Another writer was faster: the change is made again, of what that one left.
          if (left <= 1 || !(error instanceof ClusterError) || error.fault !== "Conflict") {
            throw told(secret, error);
          }
        }
        await sleep(Math.random() * AGAIN_MS);
      }
    },
    [Symbol.dispose]: () => requests[Symbol.dispose](),
  };
}

const question = ({ namespace, name }: ObjectName) => ({
  group: "",
  resource: "secrets",
  namespace,
  object: `Secret ${name}`,
});
const pathOf = ({ namespace }: ObjectName) => `/api/v1/namespaces/${namespace}/secrets`;

/** Undefined where there is none. */
async function ask(requests: Requests, secret: ObjectName): Promise<Secret | undefined> {
  try {
    const path = `${pathOf(secret)}/${secret.name}`;
    return await requests.ask<Secret>({ ...question(secret), verb: "get", path });
  } catch (error) {
    if (error instanceof ClusterError && error.fault === "NotFound") return undefined;
    throw told(secret, error);
  }
}

async function write(
  requests: Requests,
  secret: ObjectName,
  there: Secret | undefined,
  text: string,
): Promise<void> {
  const data = { ...there?.data, [KEYS_ENTRY]: Buffer.from(text).toString("base64") };
  if (there === undefined) {
    const { namespace, name } = secret;
    const body = { apiVersion: "v1", kind: "Secret", metadata: { namespace, name }, type: "Opaque", data };
    await requests.ask({ ...question(secret), verb: "create", path: pathOf(secret), body });
    return;
  }
  // With the version that was read: the API server refuses it where somebody has written since.
  const path = `${pathOf(secret)}/${secret.name}`;
  await requests.ask({ ...question(secret), verb: "update", path, body: { ...there, data } });
}

function keysOf({ namespace, name }: ObjectName, secret: Secret | undefined): readonly StoredKey[] {
  const text = secret?.data?.[KEYS_ENTRY];
  if (text === undefined) return [];
  try {
    return decodeKeys(Buffer.from(text, "base64").toString());
  } catch (cause) {
    const words = cause instanceof MillraceError ? cause.detail : String(cause);
    throw new MillraceError("INVALID_KEYS", `Secret ${namespace}/${name}, ${KEYS_ENTRY}: ${words}`, {
      cause,
    });
  }
}

function told({ namespace, name }: ObjectName, error: unknown): unknown {
  if (!(error instanceof ClusterError)) return error;
  const words =
    error instanceof Refusal && error.status === 403
      ? `you need the rights to get, create and update Secrets in namespace ${namespace}`
      : error.message;
  return new MillraceError("INVALID_KEYS", `Secret ${namespace}/${name}: ${words}`, { cause: error });
}
