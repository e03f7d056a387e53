import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { aligned } from "../src/commands/aligned.ts";

// Prints the packages that a running Millrace has in it, with their versions and licences; `--all` adds those of its development.

export interface Package {
  readonly name: string;
  readonly version: string;
  /** SPDX; "none" where the package does not say. */
  readonly licence: string;
  /** For development alone: in no image, and nowhere that Millrace runs. */
  readonly development: boolean;
}
interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

/** Every package of the lock file, one a version, by name. */
export async function packages(): Promise<readonly Package[]> {
  const lock = JSON.parse(await readFile(resolve(import.meta.dirname, "../package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const found = new Map<string, Package>();
  for (const [path, { version = "", license = "none", dev = false, link = false }] of Object.entries(
    lock.packages,
  )) {
    if (path === "" || link) continue;
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const key = `${name}@${version}`;
    const development = dev && found.get(key)?.development !== false;
    found.set(key, { name, version, licence: license, development });
  }
  return Array.from(found.values()).toSorted(
    (a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version),
  );
}

if (import.meta.main) {
  const all = process.argv.includes("--all");
  const shown = (await packages()).filter(({ development }) => all || !development);
  const rows = shown.map(({ name, version, licence }) => [name, version, licence]);
  process.stdout.write(`${aligned([["PACKAGE", "VERSION", "LICENCE"], ...rows])}\n`);
}
