import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "../../../test/parts/command.ts";
import { obtainMongoWire } from "../../../test/parts/mongo-wire.ts";
import type { StandIn } from "./stand-in.ts";
import { LEFT_OUT, packTree } from "./tree.ts";

const parts = join(import.meta.dirname, "../../../test/parts");

/** The store that the tests use, too. */
export const mongo: StandIn = {
  name: "mongo:8.0",
  folder: join(import.meta.dirname, "mongo"),
  inputs: [import.meta.filename, LEFT_OUT, join(parts, "mongo-wire.ts"), join(parts, "ferretdb.ts")],
  obtain: async (context) => {
    const root = await obtainMongoWire();
    await packTree(root, context);
    const ferretDb = join(context, "ferretdb");
    await copyFile(join(root, "usr/local/bin/ferretdb"), ferretDb);
    // A database folder is of use to its owner alone, so it is packed as that user's.
    const template = ["--directory", join(root, "srv/template"), "--owner=999", "--group=999", "."];
    await command("tar", ["--create", `--file=${join(context, "template.tar")}`, ...template]);
    const version = /^version: v(.*)$/m.exec(await command(ferretDb, ["--version"]))?.[1];
    return `FerretDB ${version} before PostgreSQL with DocumentDB of Debian`;
  },
};
