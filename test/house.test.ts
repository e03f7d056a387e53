import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const source = resolve(import.meta.dirname, "../src");

/** One import: what of, and whether of types alone (which leave nothing in the running program). */
interface Import {
  readonly of: string;
  readonly typesOnly: boolean;
}
interface File {
  /** From src, such as `domain/event.ts`. */
  readonly path: string;
  readonly lines: number;
  /** Without its comments. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Text of the code with what is in quotes kept and comments left out. */
function withoutComments(text: string): string {
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  return text.replaceAll(token, (found) => (found.startsWith("/") ? " " : found));
}
function withoutQuotes(code: string): string {
  return code.replaceAll(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g, '""');
}

function importsOf(code: string): readonly Import[] {
  const statements = /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm;
  const others = /\b(?:import|require|createRequire\([^)]*\))\(\s*"([^"]+)"/g;
  return [
    ...Array.from(code.matchAll(statements), (found) => ({
      of: found[2] ?? "",
      typesOnly: found[1] !== undefined,
    })),
    ...Array.from(code.matchAll(others), (found) => ({ of: found[1] ?? "", typesOnly: false })),
  ];
}

function filesOf(folder: string): readonly File[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(folder, path), "utf8");
      const code = withoutComments(text);
      return { path, lines: text.trimEnd().split("\n").length, code, imports: importsOf(code) };
    });
}
const files = filesOf(source);
const operator = filesOf(join(source, "../operator"));
/** Every file of the program, by its path from src. */
const program = [...files, ...operator.map((file) => ({ ...file, path: `../operator/${file.path}` }))];

/** The folder below src that a file is in, or its name where it is in src itself. */
const homeOf = (path: string): string => path.split("/", 1)[0] ?? "";
/** As from src where it is one of our files; a package's name, without what is below it, where it is none. */
function targetOf(file: File, of: string): string {
  if (of.startsWith(".")) return relative(source, resolve(source, dirname(file.path), of));
  if (of.startsWith("node:")) return of;
  return of.split("/", of.startsWith("@") ? 2 : 1).join("/");
}
const isOurs = (of: string): boolean => of.startsWith(".");
const driverOf = (path: string): string => path.split("/")[1] ?? "";
const isOf = (name: string, of: string) => (name.endsWith("/") ? of.startsWith(name) : of === name);
const those = (has: (file: File) => boolean): readonly string[] =>
  program.filter(has).map(({ path }) => path);

/** Folders and files of src, and what each may import of the others. Its own folder, it always may. */
const mayKnow: Readonly<Record<string, readonly string[]>> = {
  // Beyond STYLE.md's table: a rule of the domain throws and tells the errors of errors.ts.
  domain: ["errors.ts"],
  ports: ["domain", "errors.ts"],
  collector: ["domain", "ports", "errors.ts", "signals.ts", "http"],
  query: ["domain", "ports", "errors.ts", "signals.ts", "http"],
  console: ["domain", "ports", "errors.ts", "signals.ts", "http"],
  worker: ["domain", "ports", "errors.ts", "signals.ts"],
  sweeper: ["domain", "ports", "errors.ts", "signals.ts"],
  adapters: ["domain", "ports", "errors.ts", "signals.ts"],
  http: ["domain", "ports", "errors.ts", "signals.ts"],
  commands: ["domain", "ports", "errors.ts", "config.ts", "settings.ts"],
  "errors.ts": [],
  "signals.ts": ["domain", "ports", "errors.ts"],
  "certificates.ts": ["ports", "errors.ts", "settings.ts", "signals.ts"],
  "config.ts": ["errors.ts", "settings.ts"],
  "settings.ts": ["setting-kinds.ts"],
  "setting-kinds.ts": [],
  "heap.ts": ["errors.ts", "settings.ts"],
  "run.ts": ["signals.ts"],
  "version.ts": [],
};
const knowEverything = ["backends.ts", "compose.ts", "doctor.ts", "main.ts"];

/** Packages, and the only places that may import them; a folder ends with a slash. */
const homes: Readonly<Record<string, readonly string[]>> = {
  fastify: ["collector/", "query/", "console/", "http/"],
  "@fastify/": ["collector/", "query/", "console/", "http/"],
  "@kubernetes/client-node": ["../operator/kubernetes.ts", "../operator/kubernetes/"],
  "prom-client": ["adapters/telemetry/"],
  "@opentelemetry/": ["adapters/telemetry/"],
  pino: ["adapters/telemetry/pino.ts"],
  "pino-pretty": ["adapters/telemetry/pino.ts"],
  amqplib: ["adapters/rabbitmq/"],
  mongodb: ["adapters/mongodb/"],
  "node:sqlite": ["adapters/embedded/"],
  "node:worker_threads": ["adapters/embedded/"],
  commander: ["main.ts", "commands/keys-line.ts", "commands/dead-letters-line.ts"],
  typebox: [
    "domain/",
    "collector/",
    "query/",
    "console/",
    "../operator/queue-scaler.ts",
    "../operator/queue-scaler-status.ts",
  ],
};
/** Files that may name a package's types away from its home. */
const typesElsewhere: Readonly<Record<string, readonly string[]>> = {
  // serverActor is how a server becomes an actor, and runs any; it starts none itself.
  fastify: ["run.ts", "compose.ts"],
  // A command in a file of its own adds itself to the program, which main.ts makes.
  commander: ["commands/backup-command.ts", "commands/doctor-command.ts", "commands/erase-command.ts"],
};
/** What of node the domain may use: functions of bytes and text, without a clock, chance or the outside. */
const pureNode = ["node:buffer"];

const isAt = (path: string, places: readonly string[]): boolean =>
  places.some((place) => (place.endsWith("/") ? path.startsWith(place) : path === place));

describe("the reader of imports", () => {
  test.for([
    ['import { a } from "../b.ts";', ["../b.ts"]],
    ['import type { A } from "../b.ts";', ["../b.ts"]],
    ['import {\n  a,\n  type B,\n} from "../b.ts";', ["../b.ts"]],
    ['import a, { b } from "@fastify/cors";', ["@fastify/cors"]],
    ['import "./effect.ts";', ["./effect.ts"]],
    ['export * from "./c.ts";\nexport { d } from "./d.ts";', ["./c.ts", "./d.ts"]],
    ['const a = await import("./late.ts");', ["./late.ts"]],
    ['createRequire(import.meta.url)("pino-pretty")', ["pino-pretty"]],
    ['// import { a } from "./no.ts";\n/* import "./no.ts" */\nconst b = "x";', []],
    ['const url = "http://x";\nimport { a } from "./yes.ts";', ["./yes.ts"]],
  ] as const)("finds what is imported by %j", ([text, found]) => {
    expect(importsOf(withoutComments(text)).map(({ of }) => of)).toEqual(found);
  });

  test("found the files of src, and imports in most of them", () => {
    expect(files.length).toBeGreaterThan(40);
    expect(files.filter(({ imports }) => imports.length > 0).length).toBeGreaterThan(files.length * 0.8);
    expect(files.flatMap(({ imports }) => imports).filter(({ of }) => isOurs(of)).length).toBeGreaterThan(
      150,
    );
  });

  test("finds for every import of ours a file that is there", () => {
    const paths = new Set(program.map(({ path }) => path));
    const lost = program.flatMap((file) =>
      file.imports
        .filter(({ of }) => isOurs(of))
        .map(({ of }) => targetOf(file, of))
        .filter((target) => !paths.has(target) && !target.endsWith(".json"))
        .map((target) => `${file.path} imports ${target}`),
    );
    expect(lost).toEqual([]);
  });
});

describe("who may know whom", () => {
  test("is said of every folder and file of src", () => {
    const known = [...Object.keys(mayKnow), ...knowEverything];
    expect(Array.from(new Set(files.map(({ path }) => homeOf(path)))).toSorted()).toEqual(known.toSorted());
  });

  test.for(Object.entries(mayKnow))("%s imports nothing of ours but %j", ([home, allowed]) => {
    const faults = files
      .filter(({ path }) => homeOf(path) === home)
      .flatMap((file) =>
        file.imports
          .filter(({ of }) => isOurs(of))
          .map(({ of }) => targetOf(file, of))
          .filter((target) => homeOf(target) !== home && !allowed.includes(homeOf(target)))
          .map((target) => `${file.path} imports ${target}`),
      );
    expect(faults).toEqual([]);
  });

  test("adapters of one driver know none of another", () => {
    const faults = files
      .filter(({ path }) => /^adapters\/\w+\//.test(path))
      .flatMap((file) =>
        file.imports
          .filter(({ of }) => isOurs(of))
          .map(({ of }) => targetOf(file, of))
          .filter((target) => homeOf(target) === "adapters" && driverOf(target) !== driverOf(file.path))
          .map((target) => `${file.path} imports ${target}`),
      );
    expect(faults).toEqual([]);
  });

  test("ports import types alone, and hold no code", () => {
    const ports = files.filter(({ path }) => homeOf(path) === "ports");
    expect(ports.length).toBeGreaterThan(2);
    expect(ports.flatMap(({ imports }) => imports).filter(({ typesOnly }) => !typesOnly)).toEqual([]);
    const coded = ports.filter(({ code }) =>
      /^\s*(?:export\s+)?(?:const|let|function|class|async)\b/m.test(code),
    );
    expect(coded.map(({ path }) => path)).toEqual([]);
  });
});

describe("the operator", () => {
  /** From operator/, without its folder in front. */
  const uses = program
    .filter(({ path }) => path.startsWith("../operator/"))
    .flatMap((file) =>
      file.imports
        .filter(({ of }) => isOurs(of))
        .map(({ of }) => ({ path: file.path.slice("../operator/".length), target: targetOf(file, of) })),
    );
  const isAdapter = (path: string) => /^(kubernetes|rabbitmq)(\.ts$|\/)/.test(path);

  test("knows of src, but for its root, the domain, the ports, the errors and the signals alone", () => {
    const faults = uses.filter(
      ({ path, target }) =>
        path !== "compose.ts" &&
        !target.startsWith("../operator/") &&
        !["domain", "ports", "errors.ts", "signals.ts"].includes(homeOf(target)),
    );
    expect(faults).toEqual([]);
  });
  test("meets its adapters in its root alone", () => {
    const faults = uses.filter(
      ({ path, target }) =>
        path !== "compose.ts" && !isAdapter(path) && isAdapter(target.slice("../operator/".length)),
    );
    expect(uses.length).toBeGreaterThan(20);
    expect(faults).toEqual([]);
  });
  test("decides without a clock, chance, or anything of the outside", () => {
    const pure = operator.filter(({ path }) =>
      /^(decide(\.ts$|\/)|conflict|manual-scale|notices|status)/.test(path),
    );
    const impure =
      /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\b|\bprocess\.|\bfetch\(|"node:/;
    expect(pure.length).toBeGreaterThan(4);
    expect(pure.filter(({ code }) => impure.test(code)).map(({ path }) => path)).toEqual([]);
  });
  test("is known to src in main.ts alone", () => {
    const knows = files.filter((file) =>
      file.imports.some(({ of }) => isOurs(of) && targetOf(file, of).startsWith("../operator/")),
    );
    expect(knows.map(({ path }) => path)).toEqual(["main.ts"]);
  });
});

describe("packages", () => {
  const used = program.flatMap((file) =>
    file.imports
      .filter(({ of }) => !isOurs(of))
      .map(({ of, typesOnly }) => ({ path: file.path, of: targetOf(file, of), typesOnly })),
  );

  test.for(Object.entries(homes))("%s is imported in %j alone", ([name, places]) => {
    const uses = used.filter(({ of }) => isOf(name, of));
    expect(uses.length).toBeGreaterThan(0);
    const faults = uses.filter(
      ({ path, typesOnly }) =>
        !isAt(path, places) && !(typesOnly && typesElsewhere[name]?.includes(path) === true),
    );
    expect(faults).toEqual([]);
  });

  test("all have a home", () => {
    const homeless = used.filter(
      ({ of }) => !of.startsWith("node:") && !Object.keys(homes).some((name) => isOf(name, of)),
    );
    expect(homeless).toEqual([]);
  });

  test("the domain uses of node what is pure alone, and no clock and no chance", () => {
    const domain = files.filter(({ path }) => homeOf(path) === "domain");
    const outside = used.filter(
      ({ path, of }) => homeOf(path) === "domain" && of.startsWith("node:") && !pureNode.includes(of),
    );
    expect(outside).toEqual([]);
    const impure =
      /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\b|\bprocess\.|\bcrypto\b|\bfetch\(/;
    expect(domain.filter(({ code }) => impure.test(withoutQuotes(code))).map(({ path }) => path)).toEqual([]);
  });

  test("process.env and process.argv are read in main.ts alone", () => {
    const reads = files.filter(({ code }) =>
      /\bprocess\.(?:env|argv|exitCode|exit)\b/.test(withoutQuotes(code)),
    );
    expect(reads.map(({ path }) => path)).toEqual(["main.ts"]);
  });
});

describe("every file of src and operator", () => {
  test("has at most 300 lines", () => {
    expect(program.filter(({ lines }) => lines > 300).map(({ path, lines }) => `${path} ${lines}`)).toEqual(
      [],
    );
  });
  test("has named exports alone", () => {
    expect(those(({ code }) => /\bexport\s+default\b|\bas\s+default\b/.test(withoutQuotes(code)))).toEqual(
      [],
    );
  });
  test("is named for what it holds: no index.ts, and kebab-case", () => {
    const bad = program.filter(
      ({ path }) => /(^|\/)index\.ts$/.test(path) || !/^(\.\.\/)?[a-z0-9/-]+\.ts$/.test(path),
    );
    expect(bad.map(({ path }) => path)).toEqual([]);
    const vague = /(^|\/)(utils?|helpers?|common|shared|managers?|services?)(\/|\.ts$)/;
    expect(those(({ path }) => vague.test(path))).toEqual([]);
  });
  test("says nothing of any, and has no enum", () => {
    const any = /(?:[:<|&,(=]|\bas|\bextends)\s*any\b(?!\s*[:(.])|\bany\s*(?:\[\]|[>|&])/;
    expect(any.test("const a: any = 1") && any.test("x as any") && any.test("Record<string, any>")).toBe(
      true,
    );
    expect(those(({ code }) => any.test(withoutQuotes(code)))).toEqual([]);
    expect(those(({ code }) => /^\s*(?:export\s+)?(?:const\s+)?enum\s/m.test(withoutQuotes(code)))).toEqual(
      [],
    );
  });
});

describe("the sources of the manifests", () => {
  const manifests = filesOf(join(source, "../cdk8s"));
  const uses = manifests.flatMap(({ path, imports }) => imports.map(({ of }) => ({ path, of })));
  const targets = uses
    .filter(({ of }) => isOurs(of))
    .map(({ path, of }) => ({ path, target: join("cdk8s", dirname(path), of) }));

  test("know nothing of the program but its settings and its custom resource", () => {
    const outside = targets.filter(({ target }) => !target.startsWith("cdk8s/"));
    const known = ["src/settings.ts", "operator/custom-resource.ts", "operator/queue-scaler.ts"];
    expect(outside.filter(({ target }) => !known.includes(target))).toEqual([]);
  });
  test("say what is in a template, which knows nothing of them", () => {
    const faults = targets.filter(
      ({ path, target }) => path.startsWith("template/") && !target.startsWith("cdk8s/template/"),
    );
    expect(faults).toEqual([]);
  });
  test("are files of at most 300 lines", () => {
    expect(manifests.filter(({ lines }) => lines > 300).map(({ path }) => path)).toEqual([]);
  });
});
