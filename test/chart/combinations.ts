import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Rendered } from "./checks.ts";
import { helmTemplate, type Install } from "./helm.ts";

const folder = join(import.meta.dirname, "values");

/** Every file of values, by its name. */
export const combinations: readonly string[] = readdirSync(folder)
  .map((file) => file.replace(/\.yaml$/, ""))
  .toSorted();

const releases: Readonly<Record<string, string>> = {
  // The longest that Helm takes.
  "long-release": "a-release-whose-name-is-as-long-as-helm-allows".padEnd(53, "o"),
  labels: "events",
};

export function installOf(combination: string): Install & { readonly values: string } {
  return {
    release: releases[combination] ?? "millrace",
    namespace: "events",
    values: join(folder, `${combination}.yaml`),
    kubeVersion: "1.29.0",
    apiVersions: ["monitoring.coreos.com/v1"],
  };
}

/** What each makes of the chart, rendered once. */
export function rendering(helm: () => string): (combination: string) => Promise<Rendered> {
  return remembered(async (combination) => {
    const install = installOf(combination);
    const values: unknown = parse(readFileSync(install.values, "utf8"));
    return { ...install, values, objects: await helmTemplate(helm(), install) };
  });
}

/** Makes a thing once for each argument. */
export function remembered<A, T>(make: (of: A) => T): (of: A) => T {
  const made = new Map<A, T>();
  return (of) => {
    if (!made.has(of)) made.set(of, make(of));
    return made.get(of) as T;
  };
}
