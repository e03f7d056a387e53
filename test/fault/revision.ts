import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { millraceBin } from "../flow/standalone.ts";

/** A state of this repository to update from, and why it is that one. */
export interface Revision {
  readonly commit: string;
  /** As people write it: a tag, or the commit cut short. */
  readonly name: string;
  readonly why: string;
}
/** A revision in a folder of its own, which is removed on disposal. */
export interface Checkout extends AsyncDisposable {
  /** The command that node runs. */
  readonly bin: string;
  readonly packages: string;
}

const root = resolve(import.meta.dirname, "../..");
const LOCK = "package-lock.json";
/** What a revision must have to run as processes of their own on RabbitMQ and a MongoDB. */
const needed = ["bin/millrace.js", "src/adapters/rabbitmq/broker.ts", "src/adapters/mongodb/store.ts"];

/** Undefined where git is not there, or refuses. */
function git(...words: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", words, { cwd: root, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
const firstLine = (text: string | undefined): string | undefined => text?.split("\n", 1)[0] || undefined;
const short = (commit: string): string => commit.slice(0, 10);

/** This checkout in one word or two. */
export function headName(): string {
  const head = git("rev-parse", "HEAD");
  if (head === undefined) return "this checkout";
  return git("status", "--porcelain", "--", "src", "bin") === ""
    ? short(head)
    : `${short(head)} with changes`;
}

/** @throws Error where there is no such revision, or it cannot run on real servers. */
export function revisionAt(name: string): Revision {
  const commit = git("rev-parse", "--verify", "--quiet", `${name}^{commit}`);
  if (commit === undefined) throw new Error(`--from ${name}: there is no such revision in this repository`);
  const lacking = lackOf(commit);
  if (lacking !== undefined) throw new Error(`--from ${name}: it ${lacking}`);
  const same = isSame(commit) ? "; its src/ and bin/ are those of HEAD, so that this compares nothing" : "";
  return { commit, name, why: `named by --from${same}` };
}

/**
 * The newest tag before HEAD; else the commit that set the version of package.json; else the commit that made package-lock.json what it
 * is. `why` tells what was passed over. A revision whose code is that of HEAD, or that cannot run, is passed over too.
 */
export function previousRevision(): Revision | { readonly commit?: undefined; readonly why: string } {
  if (git("rev-parse", "HEAD") === undefined) return { why: "this is no checkout of git" };
  const tag = firstLine(git("tag", "--merged", "HEAD", "--no-contains", "HEAD", "--sort=-creatordate"));
  const version = git("log", "-1", "--format=%H", '-G^  "version":', "--", "package.json");
  const candidates = [
    { revision: tag, is: "the newest tag before HEAD" },
    { revision: firstLine(version), is: "the commit that set the version of package.json" },
    {
      revision: firstLine(git("log", "-1", "--format=%H", "--", LOCK)),
      is: `the commit that made ${LOCK} what it is`,
    },
  ];
  const passedOver: string[] = [];
  for (const { revision, is } of candidates) {
    const commit = revision === undefined ? undefined : git("rev-parse", `${revision}^{commit}`);
    if (revision === undefined || commit === undefined) {
      passedOver.push(`${is}: there is none`);
      continue;
    }
    const name = revision === commit ? short(commit) : revision;
    const fault = isSame(commit) ? "has the src/ and bin/ of HEAD" : lackOf(commit);
    if (fault === undefined) return { commit, name, why: [is, ...passedOver].join("; ") };
    passedOver.push(`${is}: ${name} ${fault}`);
  }
  return { why: passedOver.join("; ") };
}

function lackOf(commit: string): string | undefined {
  const lacking = needed.filter((path) => git("cat-file", "-e", `${commit}:${path}`) === undefined);
  return lacking.length === 0 ? undefined : `has no ${lacking.join(", no ")}`;
}

const isSame = (commit: string): boolean =>
  git("diff", "--quiet", commit, "HEAD", "--", "src", "bin") !== undefined;

/** Of a revision with the same package-lock.json the packages are those of this checkout; of another they are installed. */
export async function checkOut({ commit }: Pick<Revision, "commit">): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-revision-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const tar = join(folder, "revision.tar");
    run(root, "git", "archive", "--format=tar", `--output=${tar}`, commit);
    run(folder, "tar", "-xf", tar);
    await rm(tar);
    const packages = join(root, "node_modules");
    const linked = sameLock(folder) && existsSync(packages);
    // The programs of packages' own scripts are node itself, which is here, and tools for tests.
    if (linked) await symlink(packages, join(folder, "node_modules"), "junction");
    else run(folder, "npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund");
    return {
      bin: join(folder, "bin/millrace.js"),
      packages: linked ? "those of this checkout" : "installed by npm ci",
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** This checkout in the place of an older one, where there is none. */
export const sameCheckout: Checkout = {
  bin: millraceBin,
  packages: "those of this checkout",
  [Symbol.asyncDispose]: async () => {},
};

function sameLock(folder: string): boolean {
  return readFileSync(join(folder, LOCK)).equals(readFileSync(join(root, LOCK)));
}

function run(cwd: string, program: string, ...words: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, words, { cwd, encoding: "utf8" });
  if (status === 0) return;
  throw new Error(`${program} ${words.join(" ")} failed: ${error?.message ?? stderr.slice(-2000)}`);
}
