import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";

export const root = resolve(import.meta.dirname, "../..");
export const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** A line of a Dockerfile, with the lines that continue it. */
export interface Instruction {
  readonly word: string;
  readonly rest: string;
}
/** The instructions of one `FROM`, itself the first. */
export type Stage = readonly Instruction[];

/** The last stage is what becomes of it. */
export function stagesOf(dockerfile: string): readonly Stage[] {
  const stages: Instruction[][] = [];
  const lines = dockerfile.replaceAll(/^\s*#.*\n/gm, "").replaceAll(/\\\n\s*/g, " ");
  for (const line of lines.split("\n").filter((one) => one.trim() !== "")) {
    const [, word = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (word === "FROM") stages.push([]);
    stages.at(-1)?.push({ word, rest });
  }
  return stages;
}

/** What follows each use of a word in a stage. */
export const restsOf = (stage: Stage, word: string): readonly string[] =>
  stage.filter((one) => one.word === word).map(({ rest }) => rest);

/** The `name=value` pairs that the `ENV` or `LABEL` of a stage set. */
export function pairsOf(stage: Stage, word: "ENV" | "LABEL"): Readonly<Record<string, string>> {
  const pairs = restsOf(stage, word).flatMap((rest) => Array.from(rest.matchAll(/([\w.]+)=("[^"]*"|\S+)/g)));
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value.replaceAll('"', "")]));
}

export interface Copy {
  /** The stage that it copies from; undefined for the folder that is built. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}
export function copiesOf(stage: Stage): readonly Copy[] {
  return restsOf(stage, "COPY").map((rest) => {
    const words = rest.split(/\s+/);
    const paths = words.filter((word) => !word.startsWith("--"));
    return {
      from: words.find((word) => word.startsWith("--from="))?.slice("--from=".length),
      sources: paths.slice(0, -1),
      target: paths.at(-1) ?? "",
    };
  });
}

/** What of a service of compose.yaml is looked at. */
export interface Service {
  readonly image: string;
  readonly build?: string;
  readonly pull_policy?: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly user?: string;
  readonly hostname?: string;
  readonly container_name?: string;
  readonly privileged?: boolean;
  readonly restart: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt: readonly string[];
  readonly volumes?: readonly string[];
  readonly mem_limit: string;
  readonly stop_grace_period: string;
  readonly healthcheck: { readonly test?: readonly string[] };
  readonly profiles?: readonly string[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}
export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
  readonly configs: Readonly<Record<string, { readonly file: string }>>;
}

export const parseText = (path: string): unknown => parse(textOf(path));

/** compose.yaml with its anchors merged, and with the defaults where it takes something from the environment. */
export function readCompose(): Compose {
  return parse(textOf("compose.yaml").replaceAll(/\$\{\w+:-(\w+)\}/g, "$1"), { merge: true }) as Compose;
}
