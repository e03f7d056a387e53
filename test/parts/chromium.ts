import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { PartMissing } from "./part.ts";

const NAMES = ["chromium", "chromium-browser"];

/** Starts this machine's browser, without a window; closed by disposal. Rejects with PartMissing where there is none. */
export async function openChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
}

/** Whether tests that need a browser have to be skipped, which it says loudly. */
export function noChromium(): boolean {
  try {
    findChromium();
    return false;
  } catch (error) {
    if (!(error instanceof PartMissing)) throw error;
    process.stderr.write(`\n!! TESTS IN A BROWSER ARE SKIPPED: ${error.message}\n\n`);
    return true;
  }
}

/** What CHROMIUM names, else the first on the PATH. */
function findChromium(): string {
  const chosen = process.env["CHROMIUM"];
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(Boolean);
  const places = chosen ? [chosen] : folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const found = places.find(isProgram);
  if (found !== undefined) return found;
  throw new PartMissing(
    chosen
      ? `CHROMIUM names ${chosen}, which is no program`
      : "no chromium on the PATH: `apt-get install chromium`, or name a Chrome by the variable CHROMIUM",
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
