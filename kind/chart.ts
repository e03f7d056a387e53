import { join } from "node:path";
import { GROUP, PLURAL } from "../operator/queue-scaler.ts";
import { command } from "../test/parts/command.ts";
import { type Cluster, kubectl, loadImages } from "./cluster.ts";
import { buildImage, IMAGE } from "./image.ts";
import { serverImages } from "./offline/server-images.ts";
import { obtainHelmFor } from "./programs.ts";
import { step } from "./progress.ts";
import type { Reach } from "./reach.ts";

/** Of the release, and of its namespace. */
export const RELEASE = "millrace";

const here = import.meta.dirname;
const chart = join(here, "../charts/millrace");

/** Builds the image, makes it known to the nodes, and installs the chart or brings it up to date. Resolves once all is ready. */
export async function installChart(cluster: Cluster, valueFiles: readonly string[]): Promise<void> {
  const servers = cluster.reach === "offline" ? await step("images of servers", serverImages) : [];
  const tag = await step("image of millrace", async () => buildImage(cluster.reach));
  await step("images into the nodes", async () => loadImages(cluster, [`${IMAGE}:${tag}`, ...servers]));
  const helm = await obtainHelmFor(cluster.reach);
  await kubectl(cluster, ["apply", "--server-side", "--filename", join(here, "namespace.yaml")]);
  await step("kind of QueueScaler", async () => defineQueueScaler(cluster));
  const what = ["upgrade", "--install", RELEASE, chart, "--namespace", RELEASE];
  const where = ["--kubeconfig", cluster.kubeconfig, "--kube-context", cluster.context];
  const values = [...ownValues(cluster.reach), ...valueFiles].flatMap((file) => ["--values", file]);
  const image = ["--set-string", `image.tag=${tag}`];
  const words = [...what, ...where, ...values, ...image, "--wait", "--timeout", "10m"];
  await step("chart", async () => command(helm, words));
}

function ownValues(reach: Reach): readonly string[] {
  const names = reach === "offline" ? ["values.yaml", "values-offline.yaml"] : ["values.yaml"];
  return names.map((name) => join(here, name));
}

/** Helm does it at the first install alone. */
async function defineQueueScaler(cluster: Cluster): Promise<void> {
  const apply = ["apply", "--server-side", "--force-conflicts", "--filename", join(chart, "crds")];
  await kubectl(cluster, apply);
  const wait = ["wait", "--for=condition=Established", "--timeout=60s", `crd/${PLURAL}.${GROUP}`];
  await kubectl(cluster, wait);
}
