import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, lock } from "./cache.ts";
import { command, say } from "./command.ts";
import { PartMissing } from "./part.ts";

/** A Debian suite with some packages, unpacked into a folder that chroot can enter. */
export interface Recipe {
  /** Of the folder in the cache; its number goes up with every change of the recipe. */
  readonly name: string;
  readonly suite: string;
  readonly packages: readonly string[];
  /** What is left to do in it, before it counts as whole. */
  readonly finish?: (root: string) => Promise<void>;
}

/** Resolves with the folder, made on the first call ever. Rejects with PartMissing where none can be made. */
export async function chroot(recipe: Recipe): Promise<string> {
  return cached(recipe.name, async (root) => {
    const missing = whyNoChroot();
    if (missing !== undefined) throw new PartMissing(missing);
    const begun = Date.now();
    say(
      `making ${recipe.name} from Debian ${recipe.suite}: ${recipe.packages.join(", ")} (once, a minute or so)`,
    );
    await unpack(recipe, root).catch((error: unknown) => {
      throw new PartMissing(`${recipe.name} cannot be made from packages: ${String(error)}`, {
        cause: error,
      });
    });
    await writeFile(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
    await recipe.finish?.(root);
    say(`made ${recipe.name} in ${Math.round((Date.now() - begun) / 1000)} s`);
  });
}

/** Undefined where a chroot can be tried; whether the packages can be fetched shows only then. */
export function whyNoChroot(): string | undefined {
  if (process.platform !== "linux") return "packages are for Linux, and this is not";
  if (process.getuid?.() !== 0)
    return "packages are unpacked into a chroot by root, and this is another user";
  if (!existsSync("/usr/bin/apt-get"))
    return "packages are fetched as apt does, and there is no apt-get here";
  return undefined;
}

/** Root in a container may not be allowed to mount. */
export async function mayMount(): Promise<boolean> {
  return command("unshare", ["--mount", "--ipc", "true"]).then(
    () => true,
    () => false,
  );
}

async function unpack({ suite, packages }: Recipe, root: string): Promise<void> {
  await installMmdebstrap();
  const mirror = await debianMirror();
  // In a mount namespace of its own, none of its mounts outlives it, even if it is killed.
  const own = (await mayMount()) ? ["unshare", "--mount"] : ["env"];
  const [program = "", ...words] = [
    ...own,
    "mmdebstrap",
    "--quiet",
    "--variant=apt",
    // Those mirrors that are cut off at a day keep release files whose time has passed.
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=APT::Install-Recommends "false"',
    // Where /proc cannot be mounted, as in most containers, this program fails an installation. Nobody here needs it.
    '--essential-hook=chroot "$1" dpkg-divert --quiet --local --rename --add /usr/bin/systemd-tmpfiles',
    '--essential-hook=ln -s true "$1/usr/bin/systemd-tmpfiles"',
    `--include=${packages.join(",")}`,
    suite,
    root,
    ...(mirror === undefined ? [] : [mirror]),
  ];
  await command(program, words);
}

async function installMmdebstrap(): Promise<void> {
  using _ = await lock("apt");
  if (existsSync("/usr/bin/mmdebstrap")) return;
  say("installing mmdebstrap with apt");
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await command("apt-get", ["-qq", "update"]);
  await command(
    "apt-get",
    "-qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends mmdebstrap debian-archive-keyring".split(
      " ",
    ),
    { environment },
  );
}

/** Where this machine's apt gets Debian from. Undefined where it gets none, as on Ubuntu: mmdebstrap knows a mirror. */
async function debianMirror(): Promise<string | undefined> {
  const chosen = process.env["MILLRACE_PARTS_MIRROR"];
  if (chosen) return chosen;
  const found = await listedMirror();
  if (found !== undefined || !/^ID=debian$/m.test(readFileSync("/etc/os-release", "utf8"))) return found;
  // Without its lists, apt does not tell whose mirror is whose.
  await command("apt-get", ["-qq", "update"]);
  return listedMirror();
}

async function listedMirror(): Promise<string | undefined> {
  const targets = await command("apt-get", ["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"]);
  return /^Debian Debian (\S+)$/m.exec(targets)?.[1];
}
