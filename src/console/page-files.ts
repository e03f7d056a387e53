import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

/** A file of the page as it is sent. */
export interface PageFile {
  readonly contentType: string;
  /** Of both its forms: they are told apart by `vary`. */
  readonly etag: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

/** Files of other kinds are no part of the page. */
const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
};

const uplot = new URL("./", import.meta.resolve("uplot"));
/** Files of packages, by the name that the page has for them. */
const borrowed = [
  { name: "uplot.js", file: new URL("uPlot.esm.js", uplot) },
  { name: "uplot.css", file: new URL("uPlot.min.css", uplot) },
] as const;

/** Reads all files of the page into memory, by their name. */
export async function readPageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const folder = join(import.meta.dirname, "page");
  const names = await readdir(folder);
  const own = names.map((name) => ({ name: basename(name), path: join(folder, name) }));
  const others = borrowed.map(({ name, file }) => ({ name, path: fileURLToPath(file) }));
  const files = [...own, ...others].flatMap(({ name, path }) => {
    const contentType = contentTypes[extname(name)];
    return contentType === undefined ? [] : [{ name, path, contentType }];
  });
  return new Map(
    await Promise.all(
      files.map(async ({ name, path, contentType }) => {
        const plain = await readFile(path);
        const gzipped = await promisify(gzip)(plain);
        const etag = `"${createHash("sha256").update(plain).digest("base64url").slice(0, 27)}"`;
        return [name, { contentType, etag, plain, gzipped }] as const;
      }),
    ),
  );
}
