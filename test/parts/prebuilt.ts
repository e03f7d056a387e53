import { createWriteStream, existsSync } from "node:fs";
import { chmod, rm } from "node:fs/promises";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { say } from "./command.ts";

/**
 * Unpacks `<name>.xz` of the folder that MILLRACE_PARTS_CACHE names to the path, and resolves with true. Resolves with
 * false, and leaves nothing at the path, where there is none or where `accepts` rejects it.
 */
export async function unpackPrebuilt(
  name: string,
  path: string,
  accepts: (path: string) => Promise<void>,
): Promise<boolean> {
  const folder = process.env["MILLRACE_PARTS_CACHE"];
  const packed = folder ? join(folder, `${name}.xz`) : undefined;
  if (packed === undefined || !existsSync(packed)) return false;
  try {
    const xz = spawn("xz", ["--decompress", "--stdout", packed], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = new Promise<number | null>((done, fail) => {
      xz.once("error", fail);
      xz.once("close", done);
    });
    await Promise.all([pipeline(xz.stdout, createWriteStream(path)), ended]);
    if ((await ended) !== 0) throw new Error(`xz ended with ${await ended}`);
    await chmod(path, 0o755);
    await accepts(path);
    say(`took ${name} from ${packed}`);
    return true;
  } catch (error) {
    say(`${packed} is not taken: ${String(error)}`);
    await rm(path, { force: true });
    return false;
  }
}
