import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { command } from "../../test/parts/command.ts";
import { packFirewall } from "./node-tree.ts";
import { KUBERNETES, TRAEFIK } from "./programs.ts";

export interface Programs {
  readonly hyperkube: string;
  readonly addons: string;
  readonly pause: string;
  readonly traefik: string;
}

interface Layer {
  readonly file: string;
  readonly digest: string;
}

/** Such as ours, which no registry has. */
const ADDONS_IMAGE = "localhost/millrace/addons:1";
const METRICS_SERVER_IMAGE = "registry.k8s.io/metrics-server/metrics-server:v0.8.0";

const DAEMONS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kube-proxy",
  "etcd",
  "coredns",
];
const SERVICES = ["node-network", "node-storage", "metrics-server"];

/**
 * Lays out in the folder what `docker save` would write: the images that kubeadm asks for under the names that it asks
 * by, `sandbox`, which the container runtime asks for, and those that the manifests of this project name.
 */
export async function layOutSystemImages(
  folder: string,
  programs: Programs,
  tree: string,
  sandbox: string,
): Promise<void> {
  const firewall = await layer(folder, "firewall", async (file) => packFirewall(tree, file));
  const hyperkube = await programLayer(folder, programs.hyperkube, "usr/local/bin/hyperkube", DAEMONS);
  const addons = await programLayer(folder, programs.addons, "usr/local/bin/addons", SERVICES);
  const pause = await programLayer(folder, programs.pause, "pause", []);
  const traefik = await programLayer(folder, programs.traefik, "traefik", []);

  const list = ["kubeadm", "config", "images", "list", "--kubernetes-version", KUBERNETES];
  const asked = await command(programs.hyperkube, list);
  const names = [...asked.trim().split("\n"), sandbox];
  const named = (pattern: RegExp): readonly string[] => [
    ...new Set(names.filter((name) => pattern.test(name))),
  ];
  await writeFile(
    join(folder, "manifest.json"),
    JSON.stringify([
      await image(folder, named(/\/(kube-[a-z-]+|etcd):/), [firewall, hyperkube]),
      await image(folder, named(/\/coredns:/), [hyperkube], "/usr/local/bin/coredns"),
      await image(folder, named(/\/pause:/), [pause], "/pause"),
      await image(folder, [ADDONS_IMAGE], [firewall, addons]),
      await image(folder, [METRICS_SERVER_IMAGE], [firewall, addons], "/usr/local/bin/metrics-server"),
      await image(folder, [`traefik:${TRAEFIK}`], [traefik], "/traefik"),
    ]),
  );
}

/** One program, and links to it by which it is called. */
async function programLayer(
  folder: string,
  program: string,
  place: string,
  links: readonly string[],
): Promise<Layer> {
  return layer(folder, basename(place), async (file) => {
    const content = `${file}.content`;
    const target = join(content, place);
    await mkdir(join(content, "tmp"), { recursive: true });
    await mkdir(join(target, ".."), { recursive: true });
    await copyFile(program, target);
    for (const link of links) await symlink(basename(place), join(target, "..", link));
    await command("chmod", ["1777", join(content, "tmp")]);
    await command("tar", ["--create", "--file", file, "--directory", content, "."]);
    await rm(content, { recursive: true });
  });
}

async function layer(folder: string, name: string, pack: (file: string) => Promise<void>): Promise<Layer> {
  const file = join(folder, `${name}.tar`);
  await pack(file);
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return { file: basename(file), digest: `sha256:${hash.digest("hex")}` };
}

/** An entry of manifest.json, with its configuration written beside it. */
async function image(
  folder: string,
  names: readonly string[],
  layers: readonly Layer[],
  entrypoint?: string,
): Promise<object> {
  const text = JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: {
      Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      ...(entrypoint === undefined ? {} : { Entrypoint: [entrypoint] }),
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
  });
  const file = `${createHash("sha256").update(text).digest("hex")}.json`;
  await writeFile(join(folder, file), text);
  return { Config: file, RepoTags: names, Layers: layers.map((one) => one.file) };
}
