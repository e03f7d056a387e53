import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { type Attack, attacks } from "./attacks.ts";

const root = resolve(import.meta.dirname, "../..");
const rows: readonly (readonly [string, Attack])[] = Object.entries(attacks);

test.for(rows)("%s has its test in the file that the table names", async ([name, { file, title }]) => {
  const text = await readFile(resolve(root, file), "utf8");
  const tried = text.match(new RegExp(String.raw`\btryAttack\(\s*"${name}"`, "g")) ?? [];
  const found = title === undefined ? tried.length : Number(text.includes(title));
  expect({ file, found }).toEqual({ file, found: 1 });
});
