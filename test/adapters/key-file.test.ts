import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openKeyFile, readKeyFile } from "../../src/adapters/embedded/key-file.ts";
import { KeyWatch } from "../../src/adapters/embedded/key-watch.ts";
import { encodeKeys, type StoredKey } from "../../src/domain/key.ts";
import type { SignalName } from "../../src/signals.ts";

const keyOf = (name: string, digit = "0"): StoredKey => ({
  name,
  hash: digit.repeat(64),
  access: ["write"],
  createdAt: "2026-11-30T12:00:00.000Z",
});

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-keys-"));
  path = join(folder, "keys.json");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a file of keys", () => {
  test("that is not there has none, and is made for its owner alone", async () => {
    const file = openKeyFile(path);
    expect(await file.read()).toEqual([]);
    await file.change((keys) => [...keys, keyOf("one")]);
    expect(await file.read()).toEqual([keyOf("one")]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("keeps the rights it has, and the name that leads to it", async () => {
    const real = join(folder, "real.json");
    await writeFile(real, encodeKeys([keyOf("one")]));
    await chmod(real, 0o640);
    await symlink(real, path);
    await openKeyFile(path).change((keys) => [...keys, keyOf("two", "1")]);
    expect(readKeyFile(real).map(({ name }) => name)).toEqual(["one", "two"]);
    expect((await stat(real)).mode & 0o777).toBe(0o640);
  });

  test("stays as it was where a change throws, or where it cannot be read", async () => {
    await writeFile(path, encodeKeys([keyOf("one")]));
    const broken = new Error("of the test");
    await expect(
      openKeyFile(path).change(() => {
        throw broken;
      }),
    ).rejects.toThrow("of the test");
    expect(readKeyFile(path)).toEqual([keyOf("one")]);
    await writeFile(path, "{");
    await expect(openKeyFile(path).change((keys) => keys)).rejects.toMatchObject({ code: "INVALID_KEYS" });
    expect(await readFile(path, "utf8")).toBe("{");
    await expect(openKeyFile(join(folder, "none", "keys.json")).change((keys) => keys)).rejects.toMatchObject(
      {
        code: "INVALID_KEYS",
        detail: expect.stringContaining("none"),
      },
    );
  });

  test("loses no key where processes change it at the same time", { timeout: 120_000 }, async () => {
    const adapter = resolve(import.meta.dirname, "../../src/adapters/embedded/key-file.ts");
    const each = 25;
    const program = (digit: number): string => `
      import { openKeyFile } from ${JSON.stringify(adapter)};
      const file = openKeyFile(${JSON.stringify(path)});
      for (let at = 0; at < ${each}; at += 1) {
        const hash = "${digit}" + String(at).padStart(63, "0");
        const key = { name: "p${digit}-" + at, hash, access: ["read"], createdAt: "2026-11-30T12:00:00Z" };
        await file.change((keys) => [...keys, key]);
      }`;
    const ended = await Promise.all(
      [1, 2, 3].map(async (digit) => {
        const child = spawn(process.execPath, ["--input-type=module", "--eval", program(digit)], {
          stdio: ["ignore", "ignore", "inherit"],
        });
        const [code] = await once(child, "close");
        return code;
      }),
    );
    expect(ended).toEqual([0, 0, 0]);
    const names = readKeyFile(path).map(({ name }) => name);
    expect(names.toSorted()).toEqual(
      [1, 2, 3].flatMap((digit) => Array.from({ length: each }, (_, at) => `p${digit}-${at}`)).toSorted(),
    );
  });
});

describe("a watch of a file of keys", () => {
  /** Runs it until the end of the test; answers what it has in force and has told. */
  async function watched() {
    const told: { readonly name: SignalName; readonly fact: object }[] = [];
    const watch = await KeyWatch.open(path, (name, fact) => void told.push({ name, fact }));
    const stop = new AbortController();
    let inForce = watch.keys;
    const running = watch.run(systemClock, (keys) => (inForce = keys), stop.signal);
    const names = () => inForce.map(({ name }) => name);
    return {
      watch,
      told,
      names,
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await running;
      },
    };
  }
  const soon = { timeout: 20_000, interval: 50 };

  test("is not begun where the file is not there, or holds no keys", async () => {
    await expect(KeyWatch.open(path, () => {})).rejects.toMatchObject({ code: "INVALID_KEYS" });
    await writeFile(path, "{}");
    await expect(KeyWatch.open(path, () => {})).rejects.toThrow(path);
  });

  test("takes what is written into it, and tells the names that came and went", {
    timeout: 60_000,
  }, async () => {
    await writeFile(path, encodeKeys([keyOf("one")]));
    await using now = await watched();
    await openKeyFile(path).change(() => [keyOf("two", "1")]);
    await vi.waitUntil(() => now.names()[0] === "two", soon);
    expect(now.told).toEqual([{ name: "keys.changed", fact: { keys: 1, added: ["two"], removed: ["one"] } }]);
  });

  test("keeps the last keys while the file is broken or away, says so, and goes on after", {
    timeout: 60_000,
  }, async () => {
    await writeFile(path, encodeKeys([keyOf("one")]));
    await using now = await watched();
    await writeFile(path, '{"version":1,"keys":[{}]}');
    await vi.waitUntil(() => now.watch.fault !== undefined, soon);
    expect(now.watch.fault).toContain("/keys/0/name is missing");
    expect(now.names()).toEqual(["one"]);
    await rm(path);
    await vi.waitUntil(() => now.watch.fault?.includes("ENOENT"), soon);
    expect(now.names()).toEqual(["one"]);
    expect(now.told.map(({ name }) => name)).toEqual(["keys.unreadable", "keys.unreadable"]);
    await writeFile(path, encodeKeys([keyOf("one"), keyOf("two", "1")]));
    await vi.waitUntil(() => now.watch.fault === undefined, soon);
    expect(now.names()).toEqual(["one", "two"]);
  });

  test("follows the link that Kubernetes swaps", { timeout: 60_000 }, async () => {
    // As the kubelet lays a Secret out: keys.json -> ..data/keys.json, ..data -> a folder of that version.
    for (const [version, name] of ["one", "two"].entries()) {
      await mkdir(join(folder, `..v${version}`));
      await writeFile(join(folder, `..v${version}`, "keys.json"), encodeKeys([keyOf(name)]));
    }
    await symlink("..v0", join(folder, "..data"));
    await symlink(join("..data", "keys.json"), path);
    await using now = await watched();
    expect(now.names()).toEqual(["one"]);
    await symlink("..v1", join(folder, "..data_tmp"));
    await rename(join(folder, "..data_tmp"), join(folder, "..data"));
    await vi.waitUntil(() => now.names()[0] === "two", soon);
  });
});
