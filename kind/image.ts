import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { command } from "../test/parts/command.ts";
import type { Reach } from "./reach.ts";

export const IMAGE = "millrace";

const root = join(import.meta.dirname, "..");
/** Those that .dockerignore lets through, and the Dockerfile. */
const INPUTS = ["Dockerfile", "package.json", "package-lock.json", "LICENSE", "bin", "src", "operator"];

/** Builds the image of this checkout, unless it is there, and resolves with its tag, which tells its content. */
export async function buildImage(reach: Reach): Promise<string> {
  const tag = tagOf(root, INPUTS);
  const name = `${IMAGE}:${tag}`;
  if ((await command("docker", ["image", "ls", "--quiet", name])).trim() !== "") return tag;
  // The engine of Debian has the old builder alone.
  const environment = reach === "offline" ? { ...process.env, DOCKER_BUILDKIT: "0" } : process.env;
  await command("docker", ["build", "--tag", name, root], { environment });
  return tag;
}

function tagOf(folder: string, inputs: readonly string[]): string {
  const hash = createHash("sha256");
  for (const input of inputs) {
    for (const file of filesOf(folder, input)) {
      const content = readFileSync(join(folder, file));
      hash.update(`${file} ${content.length}\n`).update(content);
    }
  }
  return `kind-${hash.digest("hex").slice(0, 12)}`;
}

function filesOf(folder: string, input: string): readonly string[] {
  if (/\./.test(input) || /^[A-Z]/.test(input)) return [input];
  const entries = readdirSync(join(folder, input), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}
