/** `npm run kind:down`: deletes the cluster; with `--all` also what was kept for the next one, and the engine if it is ours. */
import { closeCluster, findCluster } from "./cluster.ts";
import { removeKept } from "./offline/kept.ts";
import { nameOption, runCommand } from "./options.ts";
import { note, step } from "./progress.ts";

const options = { ...nameOption, all: { type: "boolean", default: false } } as const;

await runCommand({ options }, async ({ name, all }) => {
  const cluster = await findCluster(name);
  if (cluster === undefined) note(`there is no cluster ${name}`);
  else await step(`end of cluster ${name}`, async () => closeCluster(cluster));
  if (all) await step("end of what was kept", removeKept);
});
