import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command } from "../parts/command.ts";
import { goProgram } from "../parts/go.ts";
import type { KubernetesObject } from "./objects.ts";

/** A linter that knows what makes a workload safe and hard to take down. Compiled on the first call ever. Rejects with PartMissing. */
export async function obtainKubeScore(): Promise<string> {
  return goProgram({
    name: "kube-score",
    from: { module: "github.com/zegl/kube-score/cmd/kube-score@v1.20.0" },
  });
}

/** What kube-score would rather have otherwise, and of which object. */
export interface Finding {
  /** Of its check, such as `pod-networkpolicy`. */
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  /** Its words. */
  readonly says: string;
}

/** Checks that it makes only where it is asked to. */
const optional = ["container-seccomp-profile", "container-ports-check"];
const ALL_WELL = 10;

interface Scored {
  readonly type_meta: { readonly kind: string };
  readonly object_meta: { readonly name: string };
  readonly checks: readonly {
    readonly check: { readonly id: string };
    readonly grade: number;
    readonly skipped: boolean;
    readonly comments: readonly { readonly path: string; readonly summary: string }[] | null;
  }[];
}

export async function findingsOf(
  kubeScore: string,
  objects: readonly KubernetesObject[],
  kubeVersion: string,
): Promise<readonly Finding[]> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-score-"));
  try {
    const file = join(folder, "objects.yaml");
    await writeFile(file, objects.map((object) => `---\n${JSON.stringify(object)}\n`).join(""));
    const words = ["score", "--output-format", "json", "--kubernetes-version", `v${kubeVersion}`];
    for (const id of optional) words.push("--enable-optional-test", id);
    // It ends with 1 where it has found something.
    const script = `"$0" "$@" || [ $? -eq 1 ]`;
    const text = await command("sh", ["-c", script, kubeScore, ...words, file]);
    return (JSON.parse(text) as readonly Scored[]).flatMap(({ type_meta, object_meta, checks }) =>
      checks
        .filter(({ grade, skipped }) => !skipped && grade < ALL_WELL)
        .map(({ check, comments }) => ({
          id: check.id,
          kind: type_meta.kind,
          name: object_meta.name,
          says: (comments ?? [])
            .map(({ path, summary }) => [path, summary].filter(Boolean).join(": "))
            .join("; "),
        })),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
