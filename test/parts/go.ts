import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { cached } from "./cache.ts";
import { chroot, type Recipe } from "./chroot.ts";
import { command, say } from "./command.ts";
import { PartMissing } from "./part.ts";
import { unpackPrebuilt } from "./prebuilt.ts";

/** A program written in Go, compiled without cgo, so that it needs no library where it runs. */
export interface GoProgram {
  /** Of the program, such as `ferretdb`. */
  readonly name: string;
  /** A published main package with its version, for `go install`; or a folder with a go.mod, and a package in it. */
  readonly from: { readonly module: string } | { readonly folder: string; readonly package: string };
  /** What the linker is told beside leaving out symbols, such as a version. */
  readonly ldflags?: string;
  /**
   * Rejects when a prebuilt program is not what is wanted, such as another version. Without it, none is taken.
   * `path` is the program's, executable, under another name than its own.
   */
  readonly accepts?: (path: string) => Promise<void>;
}

/** A Go that is new enough, for a machine that has none. */
const compiler: Recipe = {
  name: "golang-forky-1",
  suite: "forky",
  packages: ["golang-go", "ca-certificates"],
};

/** The program's path in the cache; unpacked where it is prebuilt, else compiled on the first call ever. Rejects with PartMissing. */
export async function goProgram(program: GoProgram): Promise<string> {
  const { name } = program;
  return cached(`${name}-${identity(program)}`, async (path) => {
    if (program.accepts !== undefined && (await unpackPrebuilt(name, path, program.accepts))) return;
    const begun = Date.now();
    const folder = await mkdtemp(join(tmpdir(), `millrace-${name}-`));
    try {
      say(`compiling ${name} with go (once, some minutes at most)`);
      await compile(program, folder);
      await copyFile(join(folder, name), path);
      await chmod(path, 0o755);
    } catch (error) {
      throw new PartMissing(`${name} cannot be compiled: ${String(error)}`, { cause: error });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    say(`compiled ${name} in ${Math.round((Date.now() - begun) / 1000)} s`);
  });
}

/** Its version where it has one; else of all that it is made of. */
function identity({ from, ldflags = "" }: GoProgram): string {
  const version = "module" in from ? from.module.split("@", 2)[1] : undefined;
  if (version !== undefined && ldflags === "") return `${version}-1`;
  const hash = createHash("sha256").update(ldflags);
  if ("module" in from) hash.update(from.module);
  else {
    hash.update(from.package);
    for (const file of readdirSync(from.folder, { recursive: true, encoding: "utf8" }).toSorted()) {
      if (/\.go$|^go\.(mod|sum)$/.test(file)) hash.update(file).update(readFileSync(join(from.folder, file)));
    }
  }
  return hash.digest("hex").slice(0, 12);
}

/** Leaves the program in the folder, under its own name. */
async function compile(program: GoProgram, folder: string): Promise<void> {
  const environment = { ...process.env, CGO_ENABLED: "0", GOBIN: folder };
  try {
    const source = "module" in program.from ? folder : program.from.folder;
    await command("go", words(program, folder), { environment, folder: source });
  } catch (error) {
    // Any other failure would be the same with another Go.
    if (!/No such file or directory|requires go >=/.test(String(error))) throw error;
    say("the machine has no go that is new enough");
    await compileInChroot(program, folder);
  }
}

function words({ name, from, ldflags = "" }: GoProgram, target: string): readonly string[] {
  const flags = ["-trimpath", "-buildvcs=false", `-ldflags=${`-s -w ${ldflags}`.trim()}`];
  if ("module" in from) return ["install", ...flags, from.module];
  return ["build", ...flags, "-o", join(target, name), from.package];
}

/** The chroot has the machine's own settings of the network and of Go, so that it fetches as the machine would. */
async function compileInChroot(program: GoProgram, folder: string): Promise<void> {
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
    if ("folder" in program.from) await cp(program.from.folder, join(work, "source"), { recursive: true });
    const source = "folder" in program.from ? ["-C", `${inside}/source`] : [];
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
    await command("chroot", [root, "go", ...source, ...words(program, inside)], { environment });
    await copyFile(join(work, program.name), join(folder, program.name));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** By default, Go writes its module cache without leave to remove it. */
function goFlags(): string {
  return `${process.env["GOFLAGS"] ?? ""} -modcacherw`.trim();
}
