import { join } from "node:path";
import { chroot, type Recipe } from "../../../test/parts/chroot.ts";
import { command } from "../../../test/parts/command.ts";
import type { StandIn } from "./stand-in.ts";
import { LEFT_OUT, packTree } from "./tree.ts";

/** A later suite than that of the tests' own, for it has the major version that the chart asks for. */
const recipe: Recipe = { name: "prometheus-forky-1", suite: "forky", packages: ["prometheus"] };

export const prometheus: StandIn = {
  name: "prom/prometheus:v3.16.0",
  folder: join(import.meta.dirname, "prometheus"),
  inputs: [import.meta.filename, LEFT_OUT],
  obtain: async (context) => {
    const root = await chroot(recipe);
    await packTree(root, context);
    const version = /version (\S+)/.exec(await command("chroot", [root, "prometheus", "--version"]))?.[1];
    return `Prometheus ${version} of Debian ${recipe.suite}`;
  },
};
