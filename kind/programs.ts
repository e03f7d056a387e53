import { obtainHelm } from "../test/chart/helm.ts";
import { command } from "../test/parts/command.ts";
import { PartMissing } from "../test/parts/part.ts";
import { kind, kubectl } from "./offline/programs.ts";
import type { Reach } from "./reach.ts";

export interface Programs {
  readonly kind: string;
  readonly kubectl: string;
}

interface Known {
  readonly ask: readonly string[];
  readonly get: string;
}

const known: Readonly<Record<string, Known>> = {
  docker: { ask: ["version"], get: "Docker Desktop or Docker Engine (docs.docker.com/get-docker), running" },
  kind: {
    ask: ["version"],
    get: "`go install sigs.k8s.io/kind@v0.33.0` or `brew install kind` (kind.sigs.k8s.io)",
  },
  kubectl: { ask: ["version", "--client"], get: "`brew install kubectl` (kubernetes.io/docs/tasks/tools)" },
  helm: { ask: ["version"], get: "`brew install helm` (helm.sh/docs/intro/install)" },
};

/** Online they are the machine's own: rejects with PartMissing, and how to get each, where some are missing. */
export async function obtainPrograms(reach: Reach): Promise<Programs> {
  if (reach === "offline") return { kind: await kind(), kubectl: await kubectl() };
  const missing: string[] = [];
  for (const [name, { ask, get }] of Object.entries(known)) {
    await command(name, ask).catch(() => missing.push(`${name} is missing: ${get}`));
  }
  if (missing.length > 0) throw new PartMissing(missing.join("\n"));
  return { kind: "kind", kubectl: "kubectl" };
}

/** Not among the others: whoever wants no chart has no use for it. */
export async function obtainHelmFor(reach: Reach): Promise<string> {
  return reach === "offline" ? obtainHelm("v4") : "helm";
}
