import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { cacheFolder, lock } from "../../test/parts/cache.ts";
import { command } from "../../test/parts/command.ts";
import { step } from "../progress.ts";
import { nodeTree, TREE } from "./node-tree.ts";
import { addons, hyperkube, KIND, KUBERNETES, pause, traefik } from "./programs.ts";
import { serverImages } from "./server-images.ts";
import { layOutSystemImages, type Programs } from "./system-images.ts";

export const NODE_REPOSITORY = "localhost/millrace/kind-node";
const here = import.meta.dirname;

/** The name of an image that kind takes as a node, made on the first call with these inputs. */
export async function nodeImage(): Promise<string> {
  const programs = await step("programs of a node", async () => ({
    hyperkube: await hyperkube(),
    addons: await addons(),
    pause: await pause(),
    traefik: await traefik(),
  }));
  const servers = await step("images of servers", serverImages);
  const image = `${NODE_REPOSITORY}:${KUBERNETES}-${await stamp(programs, servers)}`;
  using _ = await lock("kind-node-image");
  if ((await command("docker", ["images", "--quiet", image])) !== "") return image;
  const tree = await step("Debian tree of a node", nodeTree);
  await step("node image", async () => make(image, programs, servers, tree));
  await removeOthers(image);
  return image;
}

/** Of all that the image is made of; the name of a program in the cache tells which it is. */
async function stamp(programs: Programs, servers: readonly string[]): Promise<string> {
  const ids = await command("docker", ["image", "inspect", "--format={{.Id}}", ...servers]);
  const names = Object.values(programs).map((path: string) => basename(path));
  const hash = createHash("sha256").update([KIND, KUBERNETES, TREE, ...names, ids].join("\n"));
  const manifests = readdirSync(join(here, "node/manifests")).map((name) => `node/manifests/${name}`);
  for (const file of ["node-image.ts", "system-images.ts", "node-tree.ts", "node/set-up.sh", ...manifests]) {
    hash.update(file).update(readFileSync(join(here, file)));
  }
  return hash.digest("hex").slice(0, 12);
}

async function make(
  image: string,
  programs: Programs,
  servers: readonly string[],
  tree: string,
): Promise<void> {
  const work = await mkdtemp(join(cacheFolder(), "kind-node-image-"));
  const box = `kind-node-image-${process.pid}`;
  try {
    const sandbox = await layOutFiles(join(work, "files"), programs);
    await mkdir(join(work, "system"));
    await layOutSystemImages(join(work, "system"), programs, tree, sandbox);
    await command("docker", ["save", `--output=${join(work, "servers.tar")}`, ...servers]);
    // The image takes its stop signal from this container: systemd ends by none that the engine sends by itself.
    const options = [
      "--privileged",
      "--network=none",
      "--stop-signal=SIGRTMIN+3",
      `--volume=${work}:/mnt:ro`,
    ];
    const run = ["run", "--detach", `--name=${box}`, ...options, "--entrypoint=sleep", await baseImage(tree)];
    await command("docker", [...run, "infinity"]);
    const script = await readFile(join(here, "node/set-up.sh"), "utf8");
    await command("docker", ["exec", box, "bash", "-ec", script]);
    const entrypoint = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]';
    await command("docker", ["commit", "--change", entrypoint, "--change", "CMD []", box, image]);
  } finally {
    await command("docker", ["rm", "--force", "--volumes", box]).catch(() => {});
    await rm(work, { recursive: true, force: true });
  }
}

/** Those of other inputs, unless a cluster runs on them. */
async function removeOthers(image: string): Promise<void> {
  const list = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", NODE_REPOSITORY];
  for (const other of (await command("docker", list)).trim().split("\n")) {
    if (other !== image) await command("docker", ["image", "rm", other]).catch(() => {});
  }
}

/** The Debian tree alone. */
async function baseImage(tree: string): Promise<string> {
  const image = `${NODE_REPOSITORY}-base:${TREE}`;
  if ((await command("docker", ["images", "--quiet", image])) !== "") return image;
  const pack = 'tar --create --directory "$1" . | docker import --change "$2" - "$3"';
  await command("sh", ["-ec", pack, "pack", tree, "ENV container=docker", image]);
  return image;
}

/** What lies over the Debian tree. Resolves with the image that kind has the container runtime take for each pod. */
async function layOutFiles(folder: string, programs: Programs): Promise<string> {
  const module: unknown = JSON.parse(
    await command("go", ["mod", "download", "-json", `sigs.k8s.io/kind@${KIND}`]),
  );
  const own = join((module as { readonly Dir: string }).Dir, "images/base/files");
  await cp(own, folder, { recursive: true });
  await command("chmod", ["--recursive", "u=rwX,go=rX", folder]);
  const executable = ["usr/local/bin", "kind/bin"].map((place) => join(folder, place));
  await command("chmod", ["--recursive", "a+x", ...executable]);

  await cp(join(here, "node/manifests"), join(folder, "kind/manifests"), { recursive: true });
  await writeFile(join(folder, "kind/version"), `${KUBERNETES}\n`);
  const bin = join(folder, "usr/bin");
  await mkdir(bin, { recursive: true });
  await cp(programs.hyperkube, join(bin, "hyperkube"));
  await cp(programs.addons, join(bin, "addons"));
  for (const name of ["kubeadm", "kubectl", "kubelet"]) await symlink("hyperkube", join(bin, name));
  await symlink("addons", join(bin, "crictl"));

  // A machine that lacks CAP_SYS_RESOURCE, or a namespace of users, lets nobody lower the score.
  const path = join(folder, "etc/containerd/config.toml");
  const settings = await readFile(path, "utf8");
  await writeFile(path, settings.replace(/(restrict_oom_score_adj) = false/, "$1 = true"));
  const sandbox = /sandbox_image = "([^"]+)"/.exec(settings)?.[1];
  if (sandbox === undefined)
    throw new Error(`kind ${KIND} names no sandbox_image in its configuration of containerd`);
  return sandbox;
}
