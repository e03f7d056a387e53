import type { KubeConfig } from "@kubernetes/client-node";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { env } from "node:process";
import { MillraceError } from "../../src/errors.ts";

/** Where the API server is, and as whom it is asked. */
export interface Access {
  /** Such as `https://10.96.0.1:443`, without a slash at the end. */
  readonly server: string;
  /** What a request is made with: headers, and what the server's certificate is checked against. */
  options(): Promise<RequestOptions>;
  /** Reads the credentials anew before the next request: these were refused. */
  renew(): void;
}

export interface AccessSettings {
  /** A kubeconfig, in YAML, that goes before all else. */
  readonly kubeConfig?: string | undefined;
  /** Where a pod has its service account; by default where every cluster puts it. */
  readonly serviceAccountFolder?: string | undefined;
}

const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The kubelet replaces a token some minutes before it expires: https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken */
const REREAD_MS = 60_000;

/** That of the pod that this runs in; elsewhere that of the current kubeconfig. Rejects where there is none. */
export async function openAccess(settings: AccessSettings): Promise<Access> {
  const { kubeConfig, serviceAccountFolder = SERVICE_ACCOUNT_FOLDER } = settings;
  // No settings of ours: Kubernetes tells each of its pods where it is by them.
  const { KUBECONFIG, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (kubeConfig !== undefined || KUBECONFIG || !host || !existsSync(serviceAccountFolder)) {
    return kubeConfigAccess(kubeConfig);
  }
  return podAccess(`https://${isIPv6(host) ? `[${host}]` : host}:${port || "443"}`, serviceAccountFolder);
}

/** Of a pod's service account: its token and certificates are read again each minute, and once they are refused. */
export function podAccess(server: string, folder: string): Access {
  let known: { readonly readAtMs: number; readonly options: Promise<RequestOptions> } | undefined;
  const read = async (): Promise<RequestOptions> => {
    const [token, ca] = await Promise.all([
      readFile(join(folder, "token"), "utf8"),
      readFile(join(folder, "ca.crt")),
    ]);
    return { ca, headers: { authorization: `Bearer ${token.trim()}` } };
  };
  return {
    server,
    options: async () => {
      if (known === undefined || performance.now() - known.readAtMs >= REREAD_MS) {
        known = { readAtMs: performance.now(), options: read() };
        known.options.catch(() => {
          known = undefined;
        });
      }
      return known.options;
    },
    renew: () => {
      known = undefined;
    },
  };
}

/** The client of Kubernetes is loaded here alone: it takes some 80 MB, which a pod does without. */
async function kubeConfigAccess(text: string | undefined): Promise<Access> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config: KubeConfig = new KubeConfig();
  try {
    if (text === undefined) config.loadFromDefault();
    else config.loadFromString(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError("INVALID_SETTING", `the kubeconfig cannot be read: ${why}`, { cause });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new MillraceError("INVALID_SETTING", "the kubeconfig has no current context");
  return {
    server: cluster.server.replace(/\/$/, ""),
    options: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // Its agent closes each connection after one request; that of a proxy cannot be replaced.
      if (cluster.proxyUrl === undefined) delete options.agent;
      return options;
    },
    renew: () => {},
  };
}
