import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newKey } from "../../src/commands/key.ts";
import { startStandalone } from "../flow/standalone.ts";
import { runSchemathesis } from "./schemathesis.ts";

export interface ApiFuzzOptions {
  /** Cases for each operation and phase. */
  readonly examples: number;
  readonly seed: number;
  /** Of schemathesis, whose others are "coverage" and "stateful". */
  readonly phases: readonly string[];
  readonly tell: (text: string) => void;
}
export interface ApiFuzzResult {
  readonly what: string;
  readonly passed: boolean;
  readonly output: string;
}

const config = join(import.meta.dirname, "schemathesis.toml");

/** Sends what the descriptions allow and what they do not to both APIs of a standalone: without keys, and with them. */
export async function fuzzApi({
  examples,
  seed,
  phases,
  tell,
}: ApiFuzzOptions): Promise<readonly ApiFuzzResult[]> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-fuzz-"));
  const results: ApiFuzzResult[] = [];
  try {
    for (const { keys, environment, headers } of keyCases()) {
      await using millrace = await startStandalone({ environment, readyTimeoutMs: 50_000 });
      for (const [api, url] of [
        ["collector", millrace.collectorUrl],
        ["query", millrace.queryUrl],
      ] as const) {
        const what = `${api}, ${keys}`;
        tell(`\n== ${what}\n`);
        const words = ["--config-file", config, "run", `${url}/openapi.json`, "--seed", String(seed)];
        words.push("--phases", phases.join());
        words.push("--max-examples", String(examples), ...headers.flatMap((header) => ["-H", header]));
        const { passed, output } = await runSchemathesis(words, { folder, tell });
        const ended = await Promise.race([millrace.exited, Promise.resolve()]);
        const log = failuresIn(millrace.log());
        if (ended !== undefined) tell(`the process ended: ${JSON.stringify(ended)}\n`);
        if (log !== "") tell(`the log of the process tells of defects:\n${log}\n`);
        results.push({ what, passed: passed && ended === undefined && log === "", output: output + log });
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return results;
}

/** With keys, requests bring a good one: what is refused without is a matter of the description's security schemes. */
function keyCases() {
  const { key, hash } = newKey();
  return [
    { keys: "without keys", environment: {}, headers: [] },
    {
      keys: "with keys",
      environment: { MILLRACE_WRITE_KEY_HASHES: hash },
      headers: [`Authorization: Bearer ${key}`],
    },
  ] as const;
}

const failuresIn = (log: string): string =>
  log
    .split("\n")
    .filter((line) => line.includes("this is a defect"))
    .slice(0, 5)
    .join("\n");
