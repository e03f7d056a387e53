import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { chartFiles } from "./chart.ts";
import { plainYaml } from "./plain.ts";
import { merged } from "./template/values.ts";

// `npm run synth`: writes the chart and the plain manifests. With --check it writes nothing, and tells what of the chart is stale.

const root = join(import.meta.dirname, "..");
const chartFolder = join(root, "charts/millrace");

const { values: flags } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    values: { type: "string", multiple: true, default: [] },
    release: { type: "string", default: "millrace" },
    namespace: { type: "string" },
    output: { type: "string", default: join(root, "charts/dist/millrace.yaml") },
  },
});

const files = chartFiles();
const present = await readdir(chartFolder, { recursive: true, withFileTypes: true }).catch(() => []);
const left = present
  .filter((entry) => entry.isFile())
  .map((entry) => relative(chartFolder, join(entry.parentPath, entry.name)))
  .filter((path) => !files.has(path));

if (flags.check) {
  const stale = [...left];
  for (const [path, text] of files) {
    const written = await readFile(join(chartFolder, path), "utf8").catch(() => undefined);
    if (written !== text) stale.push(path);
  }
  for (const path of stale)
    console.error(`charts/millrace/${path} is not what cdk8s/ says: run \`npm run synth\``);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const path of left) await rm(join(chartFolder, path));
  for (const [path, text] of files) {
    await mkdir(dirname(join(chartFolder, path)), { recursive: true });
    await writeFile(join(chartFolder, path), text);
  }
  let values: unknown = {};
  for (const file of flags.values) values = merged(values, parse(await readFile(file, "utf8")));
  await mkdir(dirname(flags.output), { recursive: true });
  await writeFile(
    flags.output,
    plainYaml({ release: flags.release, namespace: flags.namespace ?? flags.release, values }),
  );
  console.log(`wrote charts/millrace (${files.size} files) and ${relative(process.cwd(), flags.output)}`);
}
