import { existsSync } from "node:fs";
import { join } from "node:path";
import { command } from "../../../test/parts/command.ts";

/** What no image needs of a tree; `leave-out.txt` in a build context names more. */
export const LEFT_OUT = join(import.meta.dirname, "leave-out.txt");

/** Packs a Debian tree into the build context, as `tree.tar`, owners and all. */
export async function packTree(root: string, context: string): Promise<void> {
  const more = join(context, "leave-out.txt");
  const lists = existsSync(more) ? [LEFT_OUT, more] : [LEFT_OUT];
  await command("tar", [
    "--create",
    `--file=${join(context, "tree.tar")}`,
    "--numeric-owner",
    "--anchored",
    "--wildcards",
    ...lists.map((list) => `--exclude-from=${list}`),
    `--directory=${root}`,
    ".",
  ]);
}
