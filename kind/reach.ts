import { spawn } from "node:child_process";
import { whyNoChroot } from "../test/parts/chroot.ts";
import { command } from "../test/parts/command.ts";
import { PartMissing } from "../test/parts/part.ts";
import { NODE_REPOSITORY } from "./offline/node-image.ts";
import { note } from "./progress.ts";

/** Whether images come from their registries, or are all made on this machine. */
export type Reach = "online" | "offline";

/** Of kind's release: those of a release are found by their digest alone. */
export const ONLINE_NODE =
  "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d";

/** How long a registry has to answer, not to send the image. */
const REGISTRY_MS = 20_000;

/** Undefined where there is no cluster of that name. */
export async function reachOf(cluster: string): Promise<Reach | undefined> {
  const words = ["inspect", "--format", "{{.Config.Image}}", `${cluster}-control-plane`];
  return command("docker", words).then(
    (image) => (image.startsWith(NODE_REPOSITORY) ? "offline" : "online"),
    () => undefined,
  );
}

/** Online where the node image is there or its registry has it. Rejects with PartMissing where neither way is open. */
export async function chooseReach(): Promise<Reach> {
  if (await succeeds("docker", ["image", "inspect", ONLINE_NODE])) return "online";
  if (await succeeds("docker", ["manifest", "inspect", ONLINE_NODE])) return "online";
  const missing = whyNoChroot();
  if (missing !== undefined) {
    throw new PartMissing(
      `no Docker engine here can pull ${ONLINE_NODE}, nor can one be made without: ${missing}`,
    );
  }
  note(
    "the node image cannot be pulled: making all of it here (--offline; the first time takes some minutes)",
  );
  return "offline";
}

async function succeeds(program: string, words: readonly string[]): Promise<boolean> {
  const child = spawn(program, words, { stdio: "ignore", timeout: REGISTRY_MS });
  return new Promise((done) => {
    child.once("error", () => done(false));
    child.once("close", (code) => done(code === 0));
  });
}
