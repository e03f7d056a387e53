import type { TestProject } from "vitest/node";
import { hyperkube } from "../../kind/offline/programs.ts";
import { say } from "../parts/command.ts";
import { PartMissing } from "../parts/part.ts";
import { helmVersions, obtainHelm } from "./helm.ts";
import { obtainKubeScore } from "./kube-score.ts";
import { obtainSchemas, type Schemas } from "./schemas.ts";

export interface ChartTools {
  readonly helm3: string;
  readonly helm4: string;
  readonly kubeScore: string;
  readonly schemas: Schemas;
}

declare module "vitest" {
  interface ProvidedContext {
    /** Undefined where one of them cannot be had. */
    readonly chartTools: ChartTools | undefined;
    /** Why not; undefined where all can. */
    readonly chartToolsMissing: string | undefined;
    /** Why there is no API server to install into; undefined where there is one. */
    readonly apiServerMissing: string | undefined;
  }
}

/** Before the first test of the chart: obtains what the tests run it through. */
export default async function setup(project: TestProject): Promise<void> {
  try {
    // One after the other: each compiler takes all of the machine.
    const schemas = await obtainSchemas();
    const kubeScore = await obtainKubeScore();
    const helm4 = await obtainHelm("v4");
    const helm3 = await obtainHelm("v3");
    project.provide("chartTools", { helm3, helm4, kubeScore, schemas });
    project.provide("chartToolsMissing", undefined);
    project.provide("apiServerMissing", await missingServer());
    say(`the chart is tested with helm ${helmVersions.v4} and ${helmVersions.v3}`);
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error;
    project.provide("chartTools", undefined);
    project.provide("chartToolsMissing", error.message);
    project.provide("apiServerMissing", error.message);
    tellSkipped("TESTS OF THE CHART", error);
  }
}

async function missingServer(): Promise<string | undefined> {
  try {
    await hyperkube();
    return undefined;
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error;
    tellSkipped("INSTALLS OF THE CHART INTO AN API SERVER", error);
    return error.message;
  }
}

function tellSkipped(what: string, { message }: PartMissing): void {
  const bar = "!".repeat(80);
  process.stderr.write(`\n${bar}\n!! ${what} ARE SKIPPED\n!! ${message}\n${bar}\n\n`);
}
