import { mkdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../../test/parts/cache.ts";
import { command } from "../../test/parts/command.ts";
import { goProgram } from "../../test/parts/go.ts";

export const KUBERNETES = "v1.34.4";
export const KIND = "v0.33.0";
export const TRAEFIK = "v3.5.3";

const source = join(import.meta.dirname, "go");

/** kube-apiserver, kubelet, kubectl and the rest in one: see go/hyperkube. */
export async function hyperkube(): Promise<string> {
  const minor = KUBERNETES.split(".")[1];
  return goProgram({
    name: "hyperkube",
    from: { folder: source, package: "./hyperkube" },
    ldflags: [
      `-X k8s.io/component-base/version.gitVersion=${KUBERNETES}`,
      `-X k8s.io/component-base/version.gitMajor=1`,
      `-X k8s.io/component-base/version.gitMinor=${minor}`,
      `-X k8s.io/component-base/version.gitTreeState=clean`,
      `-X k8s.io/client-go/pkg/version.gitVersion=${KUBERNETES}`,
    ].join(" "),
    accepts: async (path) => expectWord(await command(path, ["kubelet", "--version"]), KUBERNETES),
  });
}

/** Network, network policies, storage and metrics of a node: see go/addons. */
export async function addons(): Promise<string> {
  return goProgram({ name: "addons", from: { folder: source, package: "./addons" } });
}

/** What holds the namespaces of a pod: see go/pause. */
export async function pause(): Promise<string> {
  return goProgram({
    name: "pause",
    from: { folder: source, package: "./pause" },
    // It has no version; that of its tag in the node is what kubeadm asks for.
    accepts: async () => {},
  });
}

export async function kind(): Promise<string> {
  return goProgram({
    name: "kind",
    from: { module: `sigs.k8s.io/kind@${KIND}` },
    accepts: async (path) => expectWord(await command(path, ["version"]), KIND),
  });
}

export async function traefik(): Promise<string> {
  return goProgram({
    name: "traefik",
    from: {
      folder: join(import.meta.dirname, "traefik"),
      package: "github.com/traefik/traefik/v3/cmd/traefik",
    },
    ldflags: `-X github.com/traefik/traefik/v3/pkg/version.Version=${TRAEFIK}`,
    accepts: async (path) => expectWord(await command(path, ["version"]), TRAEFIK),
  });
}

/** kubectl under its own name, which tells hyperkube what to be. */
export async function kubectl(): Promise<string> {
  const folder = join(cacheFolder(), "kind");
  await mkdir(folder, { recursive: true });
  const path = join(folder, "kubectl");
  await symlink(await hyperkube(), `${path}.${process.pid}`);
  await rename(`${path}.${process.pid}`, path);
  return path;
}

function expectWord(output: string, word: string): void {
  if (!output.split(/\s+/).includes(word)) throw new Error(`it is not ${word}: ${output.trim()}`);
}
