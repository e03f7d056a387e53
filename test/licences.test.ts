import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { packages } from "../docs/licences.ts";

/** Such as ask for no more than their notice to be kept. Another one is a matter to think about before it comes in. */
const allowed = [
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "PSF-2.0",
  "Unlicense",
];

test("what runs has packages of permissive licences alone, and each says which it has", async () => {
  const running = (await packages()).filter(({ development }) => !development);
  expect(running.length).toBeGreaterThan(100);
  const others = running.filter(({ licence }) => !allowed.includes(licence));
  expect(others.map(({ name, licence }) => `${name}: ${licence}`)).toEqual([]);
});

test("every dependency of package.json is among the packages that run", async () => {
  const text = await readFile(resolve(import.meta.dirname, "../package.json"), "utf8");
  const { dependencies } = JSON.parse(text) as { readonly dependencies: Readonly<Record<string, string>> };
  const running = new Set(
    (await packages())
      .filter(({ development }) => !development)
      .map(({ name, version }) => `${name}@${version}`),
  );
  expect(
    Object.entries(dependencies).filter(([name, version]) => !running.has(`${name}@${version}`)),
  ).toEqual([]);
});
