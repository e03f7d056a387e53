import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { chroot, type Recipe } from "../../../test/parts/chroot.ts";
import type { StandIn } from "./stand-in.ts";
import { LEFT_OUT, packTree } from "./tree.ts";

/** A later suite than that of the tests' broker, for it has the version that the chart asks for. */
const recipe: Recipe = { name: "rabbitmq-forky-1", suite: "forky", packages: ["rabbitmq-server"] };

export const rabbitMq: StandIn = {
  name: "rabbitmq:4.3-management",
  folder: join(import.meta.dirname, "rabbitmq"),
  inputs: [import.meta.filename, LEFT_OUT],
  obtain: async (context) => {
    const root = await chroot(recipe);
    await packTree(root, context);
    const [server = ""] = await readdir(join(root, "usr/lib/rabbitmq/lib"));
    return `RabbitMQ ${server.replace(/^.*-/, "")} of Debian ${recipe.suite}`;
  },
};
