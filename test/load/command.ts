import { readFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { obtainPython } from "../../load/python.ts";
import type { Report } from "../../load/report.ts";
import { type Child, childEnvironment, type Exit, startChild } from "../flow/standalone.ts";
import { PartMissing } from "../parts/part.ts";

const root = resolve(import.meta.dirname, "../..");

/** `npm run load` with the words, as a child process. */
export interface Load extends AsyncDisposable {
  readonly exited: Promise<Exit>;
  /** Passed on as a Ctrl-C would be. */
  interrupt(): void;
  /** All it has written so far. */
  output(): string;
  /** What it reported last. */
  report(): Promise<Report>;
}

export async function startLoad(...words: string[]): Promise<Load> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-load-test-"));
  const file = join(folder, "report.json");
  let output = "";
  const child: Child = startChild(["load/run.ts", ...words, "--report", file], {
    env: childEnvironment(),
    cwd: root,
    keep: (text) => (output += text),
  });
  return {
    exited: child.exited,
    interrupt: () => child.kill("SIGTERM"),
    output: () => output,
    report: async () => JSON.parse(await readFile(file, "utf8")) as Report,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Of Locust's virtual environment, which is made where it is not there; undefined, and loudly so, where it cannot be had. */
export async function pythonOrSkip(): Promise<string | undefined> {
  try {
    return await obtainPython();
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error;
    process.stderr.write(`\n!! TESTS WITH LOCUST ARE SKIPPED: ${error.message}\n\n`);
    return undefined;
  }
}
