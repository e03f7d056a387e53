import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import packageFacts from "../../package.json" with { type: "json" };
import { readConfig } from "../../src/config.ts";
import { settings } from "../../src/settings.ts";
import { childEnvironment, type Exit } from "../flow/standalone.ts";
import { copiesOf, pairsOf, readCompose, restsOf, root, stagesOf, textOf } from "./files.ts";

const stages = stagesOf(textOf("Dockerfile"));
const image = stages.at(-1) ?? [];
/** What the image's process is given: the variables of `ENV`. */
const imageEnvironment = pairsOf(image, "ENV");
const lineOf = (word: string): string => restsOf(image, word).at(-1) ?? "";

describe("Dockerfile", () => {
  test("every stage is on the Node that the tests run on, named to the last digit", () => {
    expect(packageFacts.devDependencies.node).toBe(process.versions.node);
    for (const [from] of stages) {
      expect(from?.rest.split(" ", 1)[0]).toMatch(new RegExp(`^node:${process.versions.node}-[a-z]+-slim$`));
    }
  });

  test("is shown what it copies and nothing else", () => {
    const copied = stages.flatMap(copiesOf).filter(({ from }) => from === undefined);
    const [first, ...admitted] = textOf(".dockerignore")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(first).toBe("*");
    expect(admitted.toSorted()).toEqual(
      Array.from(new Set(copied.flatMap(({ sources }) => sources)), (one) => `!${one}`).toSorted(),
    );
  });

  test("the image holds bin, src, operator, package.json and LICENSE, and production's packages", () => {
    const sources = copiesOf(image).flatMap((copy) => copy.sources);
    const made = ["/app/.compile-cache", "/app/node_modules", "/data"];
    expect(sources.toSorted()).toEqual([...made, "LICENSE", "bin", "operator", "package.json", "src"]);
    expect(restsOf(stages[0] ?? [], "RUN")[0]).toMatch(/^npm ci --omit=dev\b/);
  });

  test("runs as a user with a number and without rights, and gets its signals itself", () => {
    expect(lineOf("USER")).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(JSON.parse(lineOf("ENTRYPOINT"))).toEqual(["node", "/app/bin/millrace.js"]);
    expect(JSON.parse(lineOf("CMD"))).toEqual(["standalone"]);
    expect(lineOf("STOPSIGNAL")).toBe("SIGTERM");
  });

  test("the cache of compiled code is made as the user that will read it", () => {
    const [uid, gid] = lineOf("USER").split(":");
    const warmed = restsOf(stages[0] ?? [], "RUN").find((rest) => rest.includes("millrace.js config"));
    expect(warmed).toContain(`--reuid=${uid} --regid=${gid}`);
    expect(pairsOf(stages[0] ?? [], "ENV")["NODE_COMPILE_CACHE"]).toBe(
      imageEnvironment["NODE_COMPILE_CACHE"],
    );
  });

  test("its variables are settings, and it listens to more than itself", () => {
    const config = readConfig(imageEnvironment, {});
    expect(config).toMatchObject({ host: "0.0.0.0", dataDir: "/data", brokerUrl: "embedded:" });
  });

  test("says of the image what package.json says, and which ports there are", () => {
    const label = pairsOf(image, "LABEL");
    const { name, version, description, license } = packageFacts;
    const said = ["title", "version", "description", "licenses"].map(
      (key) => label[`org.opencontainers.image.${key}`],
    );
    expect(said).toEqual([name, version, description, license]);
    const ports = [settings.collectorPort, settings.queryPort, settings.adminPort];
    expect(lineOf("EXPOSE")).toBe(ports.map((one) => one.default).join(" "));
  });
});

describe("what the image holds, by itself", () => {
  let folder: string;
  /** The folder that stands for the image's /app. */
  const app = () => join(folder, "app");
  const started: { readonly exited: Promise<Exit>; kill(signal: NodeJS.Signals): boolean }[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-image-"));
    await mkdir(app());
    for (const { from, sources, target } of copiesOf(image)) {
      if (from !== undefined) continue;
      for (const source of sources) {
        await cp(join(root, source), join(app(), target === "./" ? source : target), { recursive: true });
      }
    }
    // As `npm ci --omit=dev` does: a package that only development has is not there for src to find.
    const production = Object.entries(lock.packages).filter(
      ([path, facts]) => path !== "" && !("dev" in facts),
    );
    for (const [path] of production.filter(([one]) => one.lastIndexOf("node_modules/") === 0)) {
      await mkdir(dirname(join(app(), path)), { recursive: true });
      await symlink(join(root, path), join(app(), path));
    }
  });
  afterAll(async () => {
    for (const child of started) child.kill("SIGKILL");
    await Promise.all(started.map(({ exited }) => exited));
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs node with the image's variables, as compose.yaml starts it. */
  function start(nodeArguments: readonly string[], environment: Readonly<Record<string, string>>) {
    const child = spawn(process.execPath, nodeArguments, {
      env: childEnvironment({
        NODE_OPTIONS: readCompose().services["collector"]?.environment["NODE_OPTIONS"] ?? "",
        NODE_ENV: imageEnvironment["NODE_ENV"] ?? "",
        ...environment,
      }),
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    const exited = once(child, "close").then(([code, signal]): Exit => ({ code, signal }));
    const one = { exited, output: () => output, kill: (signal: NodeJS.Signals) => child.kill(signal) };
    started.push(one);
    return one;
  }
  const millrace = (words: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
    start([join(app(), "bin/millrace.js"), ...words], environment);
  /** The command of HEALTHCHECK, where the admin port is this. */
  async function isHealthy(adminPort: string): Promise<boolean> {
    const [node, ...nodeArguments] = JSON.parse(lineOf("HEALTHCHECK").replace(/^.*? CMD /, "")) as string[];
    expect(node).toBe("node");
    const { code } = await start(nodeArguments, { MILLRACE_ADMIN_PORT: adminPort }).exited;
    return code === 0;
  }

  test("prints its settings", async () => {
    const { exited, output } = millrace(["config"]);
    expect({ ...(await exited), output: output() }).toMatchObject({
      code: 0,
      output: expect.stringContaining("MILLRACE_COLLECTOR_PORT"),
    });
  });

  test("runs, counts an event, tells that it is well, and ends with 0 when told to", async () => {
    const { exited, output, kill } = millrace(["standalone"], {
      MILLRACE_COLLECTOR_PORT: "0",
      MILLRACE_QUERY_PORT: "0",
      MILLRACE_ADMIN_PORT: "0",
      MILLRACE_DATA_DIR: join(folder, "data"),
    });
    /** Where a role listens, as its log tells. */
    const addressOf = (role: string): string =>
      new RegExp(`"role":"${role}","address":"([^"]+)"`).exec(output())?.[1] ?? "";
    const listening = () => ["admin", "query", "collector"].every((role) => addressOf(role) !== "");
    await expect.poll(() => listening() || output(), { timeout: 20_000, interval: 50 }).toBe(true);
    const posted = await fetch(`${addressOf("collector")}/event`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ username: "kodingbot", metric: "kite_call", count: 1 }),
    });
    expect(posted.status).toBe(200);
    const asked = async () => (await fetch(`${addressOf("query")}/metrics/hourly_logs/total`)).json();
    await expect.poll(asked, { timeout: 5000, interval: 50 }).toMatchObject([{ _id: "kite_call", count: 1 }]);
    const adminPort = new URL(addressOf("admin")).port;
    expect(await isHealthy(adminPort)).toBe(true);
    // The collector answers there, too, but with 404.
    expect(await isHealthy(new URL(addressOf("collector")).port)).toBe(false);
    kill("SIGTERM");
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(await isHealthy(adminPort)).toBe(false);
  });
});
