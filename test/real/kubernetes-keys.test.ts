import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KEYS_ENTRY, openKeySecret } from "../../operator/kubernetes/key-secret.ts";
import { decodeKeys, type StoredKey } from "../../src/domain/key.ts";
import { childEnvironment, millraceBin } from "../flow/standalone.ts";
import { type ApiServerPart, startApiServer } from "../parts/api-server.ts";
import { makeNamespace, missing } from "./kubernetes-cluster.ts";

const keyOf = (name: string, number: number): StoredKey => ({
  name,
  hash: String(number).padStart(64, "0"),
  access: ["read"],
  createdAt: "2026-11-30T12:00:00.000Z",
});

describe.skipIf(missing !== undefined)(
  `keys in a Secret of Kubernetes${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    let api: ApiServerPart;
    let folder: string;
    let kubeconfig: string;
    beforeAll(async () => {
      api = await startApiServer();
      await makeNamespace(api, "shop");
      folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
      kubeconfig = join(folder, "kubeconfig");
      await writeFile(kubeconfig, api.kubeConfig());
    });
    afterAll(async () => {
      await api?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    });
    const secrets = "/api/v1/namespaces/shop/secrets";
    const open = (name: string, kubeConfig = api.kubeConfig()) =>
      openKeySecret({ namespace: "shop", name }, { kubeConfig });
    const dataOf = async (name: string): Promise<Readonly<Record<string, string>>> => {
      const { data } = await api.must({ method: "GET", path: `${secrets}/${name}` });
      const entries = Object.entries(data as Readonly<Record<string, string>>);
      return Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text, "base64").toString()]));
    };

    test("make the Secret, and leave its other entries and labels", async () => {
      using made = await open("fresh");
      expect(await made.read()).toEqual([]);
      await made.change((keys) => [...keys, keyOf("one", 1)]);
      expect(decodeKeys((await dataOf("fresh"))[KEYS_ENTRY] ?? "")).toEqual([keyOf("one", 1)]);

      const metadata = { name: "shared", labels: { team: "shop" } };
      await api.must({
        method: "POST",
        path: secrets,
        body: { metadata, stringData: { key: "of helm test" } },
      });
      using shared = await open("shared");
      await shared.change((keys) => [...keys, keyOf("two", 2)]);
      expect(await dataOf("shared")).toMatchObject({ key: "of helm test" });
      expect(await shared.read()).toEqual([keyOf("two", 2)]);
      const kept = await api.must({ method: "GET", path: `${secrets}/shared` });
      expect(kept).toMatchObject({ metadata: { labels: { team: "shop" } } });
    });

    test("lose none where many are made at the same time", async () => {
      const numbers = Array.from({ length: 8 }, (_, at) => at + 1);
      await Promise.all(
        numbers.map(async (number) => {
          using place = await open("contended");
          await place.change((keys) => [...keys, keyOf(`k${number}`, number)]);
        }),
      );
      const names = decodeKeys((await dataOf("contended"))[KEYS_ENTRY] ?? "").map(({ name }) => name);
      expect(names.toSorted()).toEqual(numbers.map((number) => `k${number}`).toSorted());
    });

    test("say what is wrong: with the entry, with the rights, with the namespace", async () => {
      await api.must({
        method: "POST",
        path: secrets,
        body: { metadata: { name: "broken" }, stringData: { [KEYS_ENTRY]: "{" } },
      });
      using broken = await open("broken");
      await expect(broken.change((keys) => keys)).rejects.toThrow(
        `Secret shop/broken, ${KEYS_ENTRY}: it is not JSON`,
      );
      const token = await api.token("shop", "nobody");
      using forbidden = await open("fresh", api.kubeConfig({ token }));
      await expect(forbidden.change((keys) => keys)).rejects.toThrow(
        "you need the rights to get, create and update Secrets in namespace shop",
      );
      using lost = await openKeySecret({ namespace: "none", name: "keys" }, { kubeConfig: api.kubeConfig() });
      await expect(lost.change((keys) => [...keys, keyOf("one", 1)])).rejects.toMatchObject({
        code: "INVALID_KEYS",
        message: expect.stringContaining("Secret none/keys"),
      });
    });

    test("are made, listed, rotated and revoked by the command, which prints a key once", {
      timeout: 120_000,
    }, async () => {
      const run = async (...words: readonly string[]) =>
        promisify(execFile)(
          process.execPath,
          [millraceBin, "keys", ...words, "--secret", "shop/by-command"],
          {
            env: childEnvironment({ KUBECONFIG: kubeconfig }),
          },
        );
      const created = await run("create", "--name", "shop", "--access", "write,read", "--quota", "1000");
      const key = created.stdout.trim();
      expect(key).toMatch(/^mlr_[\w-]{43}$/);
      expect(created.stderr).not.toContain(key);
      expect(JSON.parse(created.stderr.split("\n")[0] ?? "")).toMatchObject({
        audit: true,
        action: "key.created",
        from: "Secret shop/by-command",
        ids: ["shop"],
        outcome: "done",
      });
      expect((await run("rotate", "shop", "--overlap", "1h")).stdout.trim()).toMatch(/^mlr_/);
      const listed = await run("list");
      expect(listed.stdout.match(/^shop +write,read /gm)).toHaveLength(2);
      expect(listed.stdout + listed.stderr).not.toContain(key);
      await run("revoke", "shop");
      expect(decodeKeys((await dataOf("by-command"))[KEYS_ENTRY] ?? "")).toEqual([]);
    });
  },
);
