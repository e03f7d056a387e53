import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** The files below a folder, by their path in it, that hold one of these texts in UTF-8 at any place. */
export async function filesHolding(folder: string, texts: readonly string[]): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const needles = texts.map((text) => Buffer.from(text));
  const found: string[] = [];
  for (const path of paths.toSorted()) if (await holds(path, needles)) found.push(path);
  return found;
}

async function holds(path: string, needles: readonly Buffer[]): Promise<boolean> {
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  let tail = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(path)) {
      const bytes = Buffer.concat([tail, chunk as Buffer]);
      if (needles.some((needle) => bytes.includes(needle))) return true;
      tail = bytes.subarray(Math.max(0, bytes.length - overlap));
    }
  } catch (error) {
    // A write-ahead log goes away when the last process closes it.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
  return false;
}
