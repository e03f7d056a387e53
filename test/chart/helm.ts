import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { command } from "../parts/command.ts";
import { goProgram } from "../parts/go.ts";
import type { KubernetesObject } from "./objects.ts";

export type HelmMajor = "v3" | "v4";
export const helmVersions: Readonly<Record<HelmMajor, string>> = { v3: "v3.22.0", v4: "v4.3.1" };

const v3Kubernetes = ["pkg/lint/rules", "pkg/chartutil"].flatMap((place) => [
  [`${place}.k8sVersionMajor`, "1"],
  [`${place}.k8sVersionMinor`, "37"],
]);

/** The chart of this repository. */
export const chartFolder = resolve(import.meta.dirname, "../../charts/millrace");

/** The machine's own helm where it is of that version, else one that is compiled on the first call ever. Rejects with PartMissing. */
export async function obtainHelm(major: HelmMajor): Promise<string> {
  const version = helmVersions[major];
  if ((await versionOf("helm").catch(() => undefined)) === version) return "helm";
  return goProgram({
    name: "helm",
    from: { module: `helm.sh/helm/${major}/cmd/helm@${version}` },
    // As its releases have it: its own version, and for a 3 the Kubernetes that it takes for the cluster's.
    ldflags: [[`internal/version.version`, version], ...(major === "v3" ? v3Kubernetes : [])]
      .map(([name, value]) => `-X helm.sh/helm/${major}/${name}=${value}`)
      .join(" "),
    accepts: async (path) => {
      const found = await versionOf(path);
      if (found !== version) throw new Error(`it is ${found}, not ${version}`);
    },
  });
}

async function versionOf(helm: string): Promise<string> {
  return (await runHelm(helm, ["version", "--template", "{{.Version}}"])).trim();
}

export interface Install {
  readonly release: string;
  readonly namespace: string;
  /** A file of values, or the values. */
  readonly values: string | object;
  readonly kubeVersion?: string;
  readonly apiVersions?: readonly string[];
}

/** Manifests as text. Rejects with helm's words where it refuses. */
export async function helmText(helm: string, install: Install): Promise<string> {
  return withValues(install, (words) =>
    runHelm(helm, ["template", install.release, chartFolder, "--include-crds", ...words]),
  );
}

export async function helmTemplate(helm: string, install: Install): Promise<readonly KubernetesObject[]> {
  const objects = documentsIn(await helmText(helm, install), { uniqueKeys: false });
  return objects.filter((object): object is KubernetesObject => object !== null && object !== undefined);
}

/** Rejects with helm's words where it finds fault. */
export async function helmLint(helm: string, install: Install): Promise<void> {
  const { apiVersions: _, ...known } = install;
  await withValues(known, (words) => runHelm(helm, ["lint", chartFolder, "--strict", ...words]));
}

/** What a user reads after the install. Of helm 4 alone: an earlier one asks a cluster first. Without one, Helm knows of no API that is not Kubernetes' own. */
export async function helmNotes(helm: string, install: Install): Promise<string> {
  const { kubeVersion: _, apiVersions: __, ...known } = install;
  const text = await withValues(known, (words) =>
    runHelm(helm, [
      "install",
      install.release,
      chartFolder,
      "--dry-run=client",
      "--output",
      "json",
      ...words,
      "--set",
      "monitoring.podMonitor.enabled=false,monitoring.rules.enabled=false",
    ]),
  );
  return (JSON.parse(text) as { readonly info: { readonly notes: string } }).info.notes;
}

async function withValues<T>(
  { namespace, values, kubeVersion, apiVersions = [] }: Omit<Install, "release">,
  use: (words: readonly string[]) => Promise<T>,
): Promise<T> {
  const words = [
    "--namespace",
    namespace,
    ...(kubeVersion === undefined ? [] : ["--kube-version", kubeVersion]),
    ...apiVersions.flatMap((version) => ["--api-versions", version]),
  ];
  if (typeof values === "string") return use([...words, "--values", values]);
  const folder = await mkdtemp(join(tmpdir(), "millrace-values-"));
  try {
    const file = join(folder, "values.yaml");
    await writeFile(file, JSON.stringify(values));
    return await use([...words, "--values", file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const nowhere = join(tmpdir(), "millrace-no-helm");

/** Without what the machine's user has set, such as plugins; by default there is no cluster either. */
export async function runHelm(
  helm: string,
  words: readonly string[],
  kubeconfig = join(nowhere, "kubeconfig"),
): Promise<string> {
  const environment = {
    PATH: process.env["PATH"],
    HOME: nowhere,
    KUBECONFIG: kubeconfig,
    HELM_CACHE_HOME: nowhere,
    HELM_CONFIG_HOME: nowhere,
    HELM_DATA_HOME: nowhere,
  };
  return command(helm, words, { environment });
}

/** As Kubernetes reads YAML, to which a bare `yes` is a boolean. Throws where it is none. */
export function documentsIn(
  text: string,
  { uniqueKeys }: { readonly uniqueKeys: boolean },
): readonly unknown[] {
  return parseAllDocuments(withIndentedQuotes(text), { version: "1.1", uniqueKeys }).map((document) => {
    for (const error of document.errors) throw error;
    return document.toJS();
  });
}

/** Helm 4 writes lines of a quoted text without their indentation, which Kubernetes reads and a stricter reader does not. */
function withIndentedQuotes(text: string): string {
  let quoted = false;
  const lines = text.split("\n").map((line) => {
    if (quoted) {
      quoted = !/(^|[^\\])(\\\\)*"/.test(line);
      return line === "" ? line : `${" ".repeat(80)}${line}`;
    }
    // From the quote that follows a dash or a key to the end of the line without another.
    quoted = /^ *(?:- +)*(?:[^\s"'#][^"']*: +)?"(?:[^"\\]|\\.)*\\?$/.test(line);
    return line;
  });
  return lines.join("\n");
}
