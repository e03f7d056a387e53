import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cached } from "../parts/cache.ts";
import { command, say } from "../parts/command.ts";
import { PartMissing } from "../parts/part.ts";

const requirements = join(import.meta.dirname, "requirements.txt");

/** The python of a virtual environment that has schemathesis, made once. Rejects with PartMissing. */
async function obtainSchemathesis(): Promise<string> {
  const pinned = createHash("sha256")
    .update(await readFile(requirements))
    .digest("hex");
  const folder = await cached(`schemathesis-${pinned.slice(0, 12)}`, async (path) => {
    say("installing schemathesis from PyPI");
    try {
      await command("python3", ["-m", "venv", path]);
      await command(join(path, "bin/python"), ["-m", "pip", "install", "--quiet", "-r", requirements]);
    } catch (cause) {
      const why = "schemathesis needs Python 3.10 or newer with venv, and PyPI";
      throw new PartMissing(`${why}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  });
  return join(folder, "bin/python");
}

export interface FuzzRun {
  readonly passed: boolean;
  /** All that it wrote. */
  readonly output: string;
}

/** Runs `schemathesis` with these words and resolves once it has ended; what it writes is also handed on as it comes. */
export async function runSchemathesis(
  words: readonly string[],
  at: {
    readonly folder: string;
    /** Variables that hooks.py reads. */
    readonly environment: Readonly<Record<string, string>>;
    readonly tell: (text: string) => void;
  },
): Promise<FuzzRun> {
  const python = await obtainSchemathesis();
  // Started as a module: a script of the environment names the folder in which that was made.
  const all = ["-m", "schemathesis.cli", "--no-color", ...words];
  const hooks = join(import.meta.dirname, "hooks.py");
  const env = { ...process.env, ...at.environment, SCHEMATHESIS_HOOKS: hooks };
  const child = spawn(python, all, { cwd: at.folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      at.tell(text);
    });
  }
  const code = await new Promise<number | NodeJS.Signals | null>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exit, signal) => done(exit ?? signal));
  });
  return { passed: code === 0, output };
}
