import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lock } from "../../../test/parts/cache.ts";
import { command, say } from "../../../test/parts/command.ts";

/** An image under the name of an official one, made from packages. */
export interface StandIn {
  /** The official image's name and tag. */
  readonly name: string;
  /** Its Dockerfile, and what that copies as it lies here. */
  readonly folder: string;
  /** Further files that it is made of, or that say what it is made of: it is built anew when one of them changes. */
  readonly inputs: readonly string[];
  /** Adds what must be obtained first to the build context, and resolves with what the image holds, for people. */
  readonly obtain: (context: string) => Promise<string>;
}

/** Tells people, and this file, that an image is a stand-in; and of what it was made. */
const HOLDS = "millrace.stand-in";
const INPUTS = "millrace.inputs";

type Labels = Readonly<Record<string, string>>;

/** Builds the image, unless it is there and of today's inputs. A real one of the same name is kept. */
export async function ensure(standIn: StandIn): Promise<void> {
  const inputs = await hashOf(standIn);
  if (isCurrent(await labelsOf(standIn.name), inputs)) return;
  using _ = await lock(`image-${standIn.name.replace(/\W/g, "-")}`);
  const before = await labelsOf(standIn.name);
  if (isCurrent(before, inputs)) return;
  if (before !== undefined && before[HOLDS] === undefined) {
    say(`${standIn.name} is there and is no stand-in: it is kept`);
    return;
  }
  await build(standIn, inputs);
  if (before === undefined) return;
  // Also those before it that a container was still in need of; what was built on them goes, too.
  const label = `label=${HOLDS}=${before[HOLDS]}`;
  await command("docker", ["image", "prune", "--force", "--filter", label]);
}

function isCurrent(labels: Labels | undefined, inputs: string): boolean {
  return labels?.[INPUTS] === inputs;
}

async function build({ name, folder, obtain }: StandIn, inputs: string): Promise<void> {
  const begun = Date.now();
  const context = await mkdtemp(join(tmpdir(), "millrace-image-"));
  try {
    await cp(folder, context, { recursive: true });
    const holds = await obtain(context);
    say(`building a stand-in for ${name}: ${holds}`);
    const labels = [`--label=${HOLDS}=${holds}`, `--label=${INPUTS}=${inputs}`];
    // Every engine has the old builder, and nothing in these Dockerfiles needs the network.
    const environment = { ...process.env, DOCKER_BUILDKIT: "0" };
    await command("docker", ["build", "--force-rm", "--network=none", `--tag=${name}`, ...labels, context], {
      environment,
    });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  const size = Number(await command("docker", ["image", "inspect", "--format={{.Size}}", name]));
  const seconds = Math.round((Date.now() - begun) / 1000);
  say(`built a stand-in for ${name} in ${seconds} s: ${Math.round(size / 1e6)} MB`);
}

/** Undefined where there is no image of the name. */
async function labelsOf(name: string): Promise<Labels | undefined> {
  const id = (await command("docker", ["image", "ls", "--quiet", name])).trim();
  if (id === "") return undefined;
  const labels = await command("docker", ["image", "inspect", "--format={{json .Config.Labels}}", name]);
  return (JSON.parse(labels) ?? {}) as Labels;
}

async function hashOf({ folder, inputs }: StandIn): Promise<string> {
  const own = (await readdir(folder)).toSorted().map((file) => join(folder, file));
  const hash = createHash("sha256");
  for (const file of [import.meta.filename, ...own, ...inputs]) {
    const content = await readFile(file);
    hash.update(`${content.length}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}
