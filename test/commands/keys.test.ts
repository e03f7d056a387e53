import { createHash } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readKeyFile } from "../../src/adapters/embedded/key-file.ts";
import { millraceAudited } from "./millrace.ts";

describe("millrace keys", { timeout: 300_000 }, () => {
  let folder: string;
  let file: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
    file = join(folder, "keys.json");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const keys = (...words: readonly string[]) => millraceAudited("", "keys", ...words, "--keys-file", file);
  const line = (action: string, outcome: string) => ({
    audit: true,
    by: expect.stringMatching(/^user ./),
    action,
    from: file,
    count: 1,
    ids: ["shop"],
    outcome,
  });

  test("creates a key, printed alone, lists it without it, rotates and revokes it", async () => {
    const limits = ["--expires-in", "90d", "--rate-limit", "50", "--quota", "1000"];
    const created = await keys("create", "--name", "shop", "--access", "read,write", ...limits);
    expect(created.code).toBe(0);
    const key = created.stdout.trimEnd();
    expect(key).toMatch(/^mlr_[\w-]{43}$/);
    expect(created.audit).toMatchObject([line("key.created", "done")]);
    const [stored] = readKeyFile(file);
    const hash = createHash("sha256").update(key).digest("hex");
    expect(stored).toMatchObject({
      name: "shop",
      hash,
      access: ["write", "read"],
      ratePerSecond: 50,
      eventsPerDay: 1000,
    });
    expect(Date.parse(stored?.expiresAt ?? "") - Date.parse(stored?.createdAt ?? "")).toBe(90 * 86_400_000);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const again = await keys("create", "--name", "shop", "--access", "write");
    expect(again).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("there is a key shop"),
    });
    expect(again.audit).toMatchObject([{ ...line("key.created", "failed"), code: "INVALID_KEYS" }]);

    const rotated = await keys("rotate", "shop", "--overlap", "1h");
    expect(rotated.stdout).toMatch(/^mlr_/);
    expect(rotated.stdout.trimEnd()).not.toBe(key);
    expect(rotated.audit).toMatchObject([line("key.rotated", "done")]);

    const [table, json] = [await keys("list"), await keys("list", "--format", "json")];
    expect(table.stdout.match(/^shop +write,read .* 50 +1000 +[0-9a-f]{8}$/gm)).toHaveLength(2);
    expect(JSON.parse(json.stdout).keys).toMatchObject([{ name: "shop" }, { name: "shop" }]);

    const revoked = await keys("revoke", "shop");
    expect(revoked.audit).toMatchObject([line("key.revoked", "done")]);
    expect((await keys("list")).stdout).toBe("no keys\n");
    for (const { stdout, stderr, audit } of [again, rotated, table, json, revoked]) {
      const told = stdout + stderr + JSON.stringify(audit);
      expect(told).not.toContain(key);
      expect(told).not.toContain(hash);
    }
    expect(created.stderr + JSON.stringify(created.audit)).not.toContain(hash);
  });

  test.for([
    [["create", "--access", "write"], "--name <name>"],
    [["create", "--name", "a"], "--access <kinds>"],
    [["create", "--name", "a", "--access", "wirte"], "one or more of write, read, admin"],
    [["create", "--name", "a", "--access", "write", "--expires-in", "90"], "a whole number of s, m, h or d"],
    [["create", "--name", "a", "--access", "write", "--quota", "0"], "an integer from 1 to"],
    [["create", "--name", "a b", "--access", "write"], "1 to 63 letters"],
    [["revoke", "nobody"], "there is no key nobody"],
    [["list", "--secret", "keys"], "NAMESPACE/NAME"],
  ] as const)("%j is refused, with what is allowed", async ([words, told]) => {
    const { code, stdout, stderr } = await keys(...words);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(told);
  });

  test("want to know where keys are, and say where a file of them is broken", async () => {
    const nowhere = await millraceAudited("", "keys", "list");
    expect(nowhere).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("--keys-file (MILLRACE_KEYS_FILE)"),
    });
    const broken = join(folder, "broken.json");
    await writeFile(broken, '{"version":1,"keys":[{"name":"a"}]}');
    const { code, stderr } = await millraceAudited("", "keys", "list", "--keys-file", broken);
    expect(code).toBe(1);
    expect(stderr).toContain(`${broken}: /keys/0/hash is missing; it must be a SHA-256 hash`);
  });
});
