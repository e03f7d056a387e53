import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openKeyFile } from "../../src/adapters/embedded/key-file.ts";
import { newKey } from "../../src/commands/key.ts";
import type { Access } from "../../src/domain/key.ts";
import { openBroker, rubbish } from "../commands/work-off.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { runSchemathesis } from "./schemathesis.ts";

export interface ApiFuzzOptions {
  /** Cases for each operation and phase. */
  readonly examples: number;
  readonly seed: number;
  /** Of schemathesis, whose others are "coverage" and "stateful". */
  readonly phases: readonly string[];
  /** What the names of the runs must hold; all of them do by default. */
  readonly only?: string;
  readonly tell: (text: string) => void;
}
export interface ApiFuzzResult {
  readonly what: string;
  readonly passed: boolean;
  readonly output: string;
}

const config = join(import.meta.dirname, "schemathesis.toml");

/**
 * Sends what the descriptions allow and what they do not to both APIs of a standalone: where nothing asks for a key, where
 * hashes do, and where a file of keys does, with each kind of key and without one.
 */
export async function fuzzApi(options: ApiFuzzOptions): Promise<readonly ApiFuzzResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-fuzz-"));
  const results: ApiFuzzResult[] = [];
  try {
    for (const { environment, runs: all } of await keyCases(folder)) {
      const runs = all.filter((run) => nameOf(run).includes(options.only ?? ""));
      if (runs.length === 0) continue;
      await using millrace = await startStandalone({ environment, readyTimeoutMs: 180_000 });
      await using broker = openBroker(millrace.dataDir);
      // So that there are dead letters to list.
      for (const body of ["<b>one</b>", "\u0000two", "\ud83d"])
        await broker.publish(rubbish("text/csv", body));
      for (const run of runs) results.push(await fuzzed({ ...options, folder, millrace }, run));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

interface Run {
  readonly api: "collector" | "query";
  readonly keys: string;
  readonly key?: string | undefined;
  /** What the key allows. */
  readonly access: readonly Access[];
}

const nameOf = ({ api, keys }: Run): string => `${api}, ${keys}`;

async function fuzzed(
  at: ApiFuzzOptions & { readonly folder: string; readonly millrace: Standalone },
  run: Run,
): Promise<ApiFuzzResult> {
  const { millrace, tell } = at;
  const { api, key = "", access } = run;
  const what = nameOf(run);
  tell(`\n== ${what}\n`);
  const url = api === "collector" ? millrace.collectorUrl : millrace.queryUrl;
  const words = ["--config-file", config, "run", `${url}/openapi.json`, "--seed", String(at.seed)];
  words.push("--phases", at.phases.join(), "--max-examples", String(at.examples));
  if (key !== "") words.push("-H", `Authorization: Bearer ${key}`);
  const environment = { MILLRACE_FUZZ_KEY: key, MILLRACE_FUZZ_ACCESS: access.join() };
  const { passed, output } = await runSchemathesis(words, { folder: at.folder, environment, tell });
  const ended = await Promise.race([millrace.exited, Promise.resolve()]);
  const log = failuresIn(millrace.log());
  if (ended !== undefined) tell(`the process ended: ${JSON.stringify(ended)}\n`);
  if (log !== "") tell(`the log of the process tells of defects:\n${log}\n`);
  return { what, passed: passed && ended === undefined && log === "", output: output + log };
}

/** What each process is started with, and who asks it then. */
async function keyCases(folder: string) {
  const hashed = newKey();
  const keysFile = join(folder, "keys.json");
  const [writer, reader, admin] = [newKey(), newKey(), newKey()];
  const createdAt = new Date().toISOString();
  await openKeyFile(keysFile).change(() => [
    { name: "writer", hash: writer.hash, access: ["write"], createdAt },
    { name: "reader", hash: reader.hash, access: ["read"], createdAt },
    { name: "admin", hash: admin.hash, access: ["admin"], createdAt },
  ]);
  // Without a file, a key that may write may replay as well.
  const byHash = { keys: "with keys", key: hashed.key, access: ["write", "admin"] } as const;
  return [
    {
      environment: {},
      runs: [
        { api: "collector", keys: "without keys", access: [] },
        { api: "query", keys: "without keys", access: [] },
      ],
    },
    {
      environment: { MILLRACE_WRITE_KEY_HASHES: hashed.hash },
      runs: [
        { api: "collector", ...byHash },
        { api: "query", ...byHash },
      ],
    },
    {
      environment: { MILLRACE_KEYS_FILE: keysFile },
      runs: [
        { api: "collector", keys: "with a key that may write", key: writer.key, access: ["write"] },
        { api: "collector", keys: "with a key that may read", key: reader.key, access: ["read"] },
        { api: "query", keys: "with a key that may read", key: reader.key, access: ["read"] },
        { api: "query", keys: "with a key of dead letters", key: admin.key, access: ["admin"] },
        { api: "query", keys: "with a key that may write", key: writer.key, access: ["write"] },
        { api: "query", keys: "with a key that nobody knows", key: newKey().key, access: [] },
        { api: "query", keys: "with none of the keys", access: [] },
      ],
    },
  ] as const satisfies readonly {
    readonly environment: Readonly<Record<string, string>>;
    readonly runs: readonly Run[];
  }[];
}

const failuresIn = (log: string): string =>
  log
    .split("\n")
    .filter((line) => line.includes("this is a defect"))
    .slice(0, 5)
    .join("\n");
