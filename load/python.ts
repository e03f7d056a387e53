import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { command } from "../test/parts/command.ts";
import { PartMissing } from "../test/parts/part.ts";
import { tell } from "./tell.ts";

const here = import.meta.dirname;
const environment = join(here, ".venv");
const requirements = join(here, "requirements.txt");
/** What Locust's release asks for. */
const LEAST = { major: 3, minor: 11 };
const help =
  `Locust runs on Python ${LEAST.major}.${LEAST.minor} or newer with its module venv: ` +
  "`apt-get install python3-venv`, `brew install python`, or name another python by the variable PYTHON";

/** The python of the project's own virtual environment, which is made at first, and anew when its list changes. Rejects with PartMissing. */
export async function obtainPython(): Promise<string> {
  const python = join(environment, "bin/python");
  const mark = join(environment, "made-of");
  const list = await readFile(requirements);
  const made = createHash("sha256").update(list).digest("hex");
  // The python that it was made with may have been removed since.
  if ((await readFile(mark, "utf8").catch(() => "")) === made && existsSync(python)) return python;

  const system = await systemPython();
  tell("making load/.venv with Locust, which takes a minute at the first time");
  const begun = performance.now();
  // It appears under its name once it is whole. Whoever makes another meanwhile does no harm.
  const partial = `${environment}-${process.pid}`;
  try {
    await command(system, ["-m", "venv", partial]);
    const quietly = ["--quiet", "--disable-pip-version-check", "--no-input"];
    const install = ["-m", "pip", "install", ...quietly, "--require-hashes", "--requirement", requirements];
    await command(join(partial, "bin/python"), install);
    await writeFile(join(partial, "made-of"), made);
    await rm(environment, { recursive: true, force: true });
    await rename(partial, environment);
  } catch (error) {
    throw new PartMissing(`Locust could not be installed from PyPI: ${String(error)}`, { cause: error });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  tell(`load/.venv is there after ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  return python;
}

/** What PYTHON names, else the one on the PATH. */
async function systemPython(): Promise<string> {
  const name = process.env["PYTHON"] || "python3";
  const ask = "import sys, venv, ensurepip; print(sys.version_info.major, sys.version_info.minor)";
  const answer = await command(name, ["-c", ask]).catch((error: unknown) => {
    throw new PartMissing(`${name} is missing or has no venv. ${help}`, { cause: error });
  });
  const [major = 0, minor = 0] = answer.trim().split(" ").map(Number);
  if (major === LEAST.major && minor >= LEAST.minor) return name;
  throw new PartMissing(`${name} is Python ${major}.${minor}. ${help}`);
}
