import type { ObjectName } from "../cluster.ts";
import type { Requests } from "./requests.ts";

export interface Secrets {
  read(name: ObjectName, maxAgeMs: number): Promise<Readonly<Record<string, string>>>;
}

interface Known {
  readonly atMs: number;
  readonly data: Promise<Readonly<Record<string, string>>>;
}

/** One that nobody has asked for this long is forgotten. */
const FORGET_MS = 600_000;

/** Secrets, decoded. Those who ask for one at the same time share a request; what was refused is asked for again. */
export function openSecrets(requests: Requests): Secrets {
  const known = new Map<string, Known>();

  const ask = async ({ namespace, name }: ObjectName): Promise<Readonly<Record<string, string>>> => {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
    const secret: { readonly data?: Readonly<Record<string, string>> } = await requests.ask({
      verb: "get",
      group: "",
      resource: "secrets",
      namespace,
      object: `Secret ${name}`,
      path,
    });
    return Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, text]) => [key, Buffer.from(text, "base64").toString()]),
    );
  };

  return {
    async read(name, maxAgeMs) {
      const key = `${name.namespace}/${name.name}`;
      const nowMs = performance.now();
      const there = known.get(key);
      if (there !== undefined && nowMs - there.atMs < maxAgeMs) return there.data;
      for (const [old, { atMs }] of known) if (nowMs - atMs > FORGET_MS) known.delete(old);
      const fresh: Known = { atMs: nowMs, data: ask(name) };
      known.set(key, fresh);
      fresh.data.catch(() => {
        if (known.get(key) === fresh) known.delete(key);
      });
      return fresh.data;
    },
  };
}
