import { copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { cached } from "./cache.ts";
import { chroot, type Recipe } from "./chroot.ts";
import { command, say } from "./command.ts";
import { PartMissing } from "./part.ts";

const VERSION = "v2.7.0";
const MODULE = `github.com/FerretDB/FerretDB/v2/cmd/ferretdb@${VERSION}`;
const install = ["install", "-trimpath", "-ldflags=-s -w", MODULE];

/** A Go that is new enough, for a machine that has none. */
const compiler: Recipe = {
  name: "golang-forky-1",
  suite: "forky",
  packages: ["golang-go", "ca-certificates"],
};

/** The path of FerretDB as a program that needs no library; compiled on the first call ever. */
export async function obtainFerretDb(): Promise<string> {
  return cached(`ferretdb-${VERSION}-1`, async (path) => {
    const begun = Date.now();
    const folder = await mkdtemp(join(tmpdir(), "millrace-ferretdb-"));
    try {
      say(`compiling FerretDB ${VERSION} with go (once, a minute or so)`);
      await compile(folder);
      await copyFile(join(folder, "ferretdb"), path);
    } catch (error) {
      throw new PartMissing(`FerretDB cannot be compiled: ${String(error)}`, { cause: error });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    say(`compiled FerretDB in ${Math.round((Date.now() - begun) / 1000)} s`);
  });
}

async function compile(folder: string): Promise<void> {
  const environment = { ...process.env, CGO_ENABLED: "0", GOBIN: folder };
  try {
    await command("go", install, { environment, folder });
  } catch (error) {
    // Any other failure would be the same with another Go.
    if (!/No such file or directory|requires go >=/.test(String(error))) throw error;
    say("the machine has no go that is new enough");
    await compileInChroot(folder);
  }
}

/** The chroot has the machine's own settings of the network and of Go, so that it fetches as the machine would. */
async function compileInChroot(folder: string): Promise<void> {
  const root = await chroot(compiler);
  const settings = join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "go/env");
  for (const [file, place] of [
    ["/etc/resolv.conf", "etc/resolv.conf"],
    ["/etc/hosts", "etc/hosts"],
    ["/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt"],
    [process.env["GOENV"] || settings, "root/.config/go/env"],
  ] as const) {
    if (existsSync(file)) await cp(file, join(root, place), { recursive: true, dereference: true });
  }
  const work = await mkdtemp(join(root, "root/build-"));
  try {
    const inside = work.slice(root.length);
    await mkdir(join(work, "tmp"));
    const environment = {
      ...process.env,
      HOME: "/root",
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      TMPDIR: `${inside}/tmp`,
      // Without /proc, go does not find what belongs to it.
      GOROOT: "/usr/lib/go",
      GOENV: "/root/.config/go/env",
      GOBIN: inside,
      GOPATH: `${inside}/go`,
      GOCACHE: `${inside}/cache`,
      GOFLAGS: goFlags(),
      CGO_ENABLED: "0",
    };
    await command("chroot", [root, "go", ...install], { environment });
    await copyFile(join(work, "ferretdb"), join(folder, "ferretdb"));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** By default, Go writes its module cache without leave to remove it. */
function goFlags(): string {
  return `${process.env["GOFLAGS"] ?? ""} -modcacherw`.trim();
}
