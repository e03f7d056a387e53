import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chroot, type Recipe } from "../../../test/parts/chroot.ts";
import { command } from "../../../test/parts/command.ts";
import type { StandIn } from "./stand-in.ts";
import { LEFT_OUT, packTree } from "./tree.ts";

/** The one that the project itself runs with: the same program as in the official image of that version. */
const NODE = join(import.meta.dirname, "../../../node_modules/node");
const NPM = "npm@11.19.1";

const recipe: Recipe = {
  name: "node-trixie-1",
  suite: "trixie",
  packages: ["ca-certificates", "libstdc++6", "passwd"],
};

/** What Millrace's own image is made from. */
export async function node(): Promise<StandIn> {
  const about = join(NODE, "package.json");
  const { version } = JSON.parse(await readFile(about, "utf8")) as { readonly version: string };
  const certificates = process.env["NODE_EXTRA_CA_CERTS"] || "/etc/ssl/certs/ca-certificates.crt";
  return {
    name: `node:${version}-trixie-slim`,
    folder: join(import.meta.dirname, "node"),
    inputs: [import.meta.filename, LEFT_OUT, about, certificates],
    obtain: async (context) => {
      await packTree(await chroot(recipe), context);
      await copyFile(join(NODE, "bin/node"), join(context, "node"));
      await copyFile(certificates, join(context, "ca-certificates.crt"));
      await obtainNpm(context);
      return `Node.js ${version} of npm on Debian ${recipe.suite}`;
    },
  };
}

async function obtainNpm(context: string): Promise<void> {
  const registry = (await command("npm", ["config", "get", "registry"])).trim();
  const settings = [`registry=${registry}`, "cafile=/etc/ssl/certs/ca-certificates.crt"];
  await writeFile(join(context, "npmrc"), `${settings.join("\n")}\n`);
  const packed = (await command("npm", ["pack", "--silent", NPM], { folder: context })).trim();
  const folder = join(context, "npm");
  await mkdir(folder);
  const unpack = [
    "--extract",
    "--strip-components=1",
    "--directory",
    folder,
    "--file",
    join(context, packed),
  ];
  await command("tar", unpack);
}
