import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BackupFacts, FORMAT, type Head, writeBackup } from "../../src/commands/backup-file.ts";
import { readBackup, verifyBackup } from "../../src/commands/backup-reader.ts";
import { encodeTrailer, TRAILER_BYTES } from "../../src/commands/backup-trailer.ts";
import { sectionsOf, type StoreKind } from "../../src/domain/backup-rows.ts";
import type { Rows } from "../../src/ports/backup.ts";

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-backup-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const newPath = (): string => join(folder, `${(files += 1)}.backup`);

const headOf = (kind: StoreKind): Head => ({
  format: FORMAT,
  id: "0193-test",
  millrace: "0.1.0",
  kind,
  startedAtMs: Date.parse("2026-11-24T12:00:00Z"),
});
const nothingYet = () => ({ rows: 0, bytes: 0 });

type Content = readonly Rows[];
async function written(kind: StoreKind, content: Content): Promise<string> {
  const path = newPath();
  await writeBackup(path, headOf(kind), yielded(content), nothingYet());
  return path;
}
async function* yielded(content: Content): AsyncGenerator<Rows> {
  yield* content;
}
/** What a backup holds, rows of a section together. */
async function contentOf(path: string): Promise<ReadonlyMap<string, readonly unknown[]>> {
  const content = new Map<string, unknown[]>();
  for await (const { section, rows } of readBackup(path, nothingYet()))
    content.set(section, [...(content.get(section) ?? []), ...rows]);
  return content;
}
/** Undefined where it is whole. */
async function faultOf(bytes: Uint8Array): Promise<unknown> {
  const path = newPath();
  await writeFile(path, bytes);
  try {
    await verifyBackup(path, nothingYet());
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await rm(path);
  }
}

const whole = fc.maxSafeInteger();
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const queue = fc.integer({ min: 0, max: 2 });
const base64 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const rowsOf: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  message: fc.tuple(whole, text, text, base64, fc.option(text), fc.option(text)),
  delivery: fc.tuple(whole, queue, whole, whole),
  dead_letter: fc.tuple(queue, whole, text, whole, whole),
  account: fc.tuple(text, whole),
  distinct_name: fc.tuple(text, text, whole),
  hourly_log: fc.tuple(whole, text, text, whole, whole, whole, whole, whole),
  hourly_total: fc.tuple(whole, text, whole, whole, whole, whole, whole),
  applied: fc.tuple(text, queue, whole),
  claim: fc.tuple(text, queue, text, whole),
};
const contents: fc.Arbitrary<Content> = fc
  .tuple(
    ...sectionsOf("embedded").map((section) =>
      fc.array(rowsOf[section] ?? fc.constant(null), { maxLength: 12 }).map((rows) => ({ section, rows })),
    ),
  )
  .map((sections) => sections.filter(({ rows }) => rows.length > 0));

/** The lines of a backup, for a file with others of them that ends as it should. */
const linesOf = (bytes: Uint8Array): readonly string[] =>
  gunzipSync(bytes.subarray(0, bytes.length - TRAILER_BYTES))
    .toString()
    .trimEnd()
    .split("\n");
function fileOf(lines: readonly string[], rows: number): Uint8Array {
  const body = gzipSync(`${lines.join("\n")}\n`);
  const sha256 = createHash("sha256").update(body).digest("hex");
  return Buffer.concat([body, encodeTrailer({ rows, sha256 })]);
}
const isRowLine = (line: string): boolean => line.startsWith("[");

describe("a backup file", () => {
  test("gives back the rows it was given, and their numbers", async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (content) => {
        const path = await written("embedded", content);
        expect(Array.from(await contentOf(path))).toEqual(
          content.map(({ section, rows }) => [section, rows]),
        );
        const facts: BackupFacts = await verifyBackup(path, nothingYet());
        const counts = sectionsOf("embedded").map((section) => [
          section,
          content.find((one) => one.section === section)?.rows.length ?? 0,
        ]);
        expect(Array.from(facts.rows)).toEqual(counts);
        expect(facts.head).toEqual(headOf("embedded"));
        expect(facts.bytes).toBe((await readFile(path)).length);
      }),
      { numRuns: 30 },
    );
  });

  test("of a store that is empty is whole", async () => {
    const facts = await verifyBackup(await written("mongodb", []), nothingYet());
    expect(Array.from(facts.rows)).toEqual(sectionsOf("mongodb").map((section) => [section, 0]));
  });

  test("is gzip, with its trailer as the last line", async () => {
    const path = await written("embedded", [{ section: "account", rows: [["ann", 5]] }]);
    const lines = gunzipSync(await readFile(path))
      .toString()
      .trimEnd()
      .split("\n");
    expect(lines.slice(1)).toEqual([
      ...'"message" 0 "delivery" 0 "dead_letter" 0 "account" ["ann",5] 1'.split(" "),
      ...["distinct_name", "hourly_log", "hourly_total", "applied", "claim"].flatMap((name) => [
        `"${name}"`,
        "0",
      ]),
      expect.stringMatching(/^\{"rows": +1,"sha256":"[0-9a-f]{64}"\}$/),
    ]);
  });

  test("with one byte changed anywhere is found to be damaged", async () => {
    await fc.assert(
      fc.asyncProperty(
        contents,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        async (content, place, change) => {
          const bytes = await readFile(await written("embedded", content));
          const at = Math.floor(place * bytes.length);
          bytes[at] = (bytes[at] ?? 0) ^ change;
          expect(await faultOf(bytes)).toMatchObject({ code: "BACKUP_DAMAGED" });
        },
      ),
      { numRuns: 80 },
    );
  });

  test("with any single bit changed is found to be damaged", async () => {
    const bytes = await readFile(await written("embedded", [{ section: "account", rows: [["ann", 5]] }]));
    const missed: string[] = [];
    for (const at of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      if ((await faultOf(changed)) === undefined) missed.push(`bit ${at % 8} of byte ${at}`);
    }
    expect(missed).toEqual([]);
  });

  test("cut short anywhere, or with anything after its end, is found to be damaged", async () => {
    await fc.assert(
      fc.asyncProperty(
        contents,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        async (content, place, more) => {
          const bytes = await readFile(await written("embedded", content));
          const cut = bytes.subarray(0, Math.floor(place * bytes.length));
          expect(await faultOf(cut)).toMatchObject({ code: "BACKUP_DAMAGED" });
          expect(await faultOf(Buffer.concat([bytes, more]))).toMatchObject({ code: "BACKUP_DAMAGED" });
          // A part from the middle is missing.
          const gap = Buffer.concat([cut, bytes.subarray(cut.length + more.length)]);
          expect(await faultOf(gap)).toMatchObject({ code: "BACKUP_DAMAGED" });
        },
      ),
      { numRuns: 40 },
    );
  });

  test("whose lines are in another order, missing or twice is found to be damaged, whatever its checksum", async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.nat(), fc.nat(), async (content, a, b) => {
        const lines = linesOf(await readFile(await written("embedded", content)));
        const rows = lines.filter(isRowLine).length;
        expect(await faultOf(fileOf(lines, rows))).toBeUndefined();
        const [i, j] = [a % lines.length, b % lines.length];
        const one = lines[i] ?? "";
        const other = lines[j] ?? "";
        // Rows of one section may change places: what they say is the same.
        fc.pre(one !== other && !(isRowLine(one) && isRowLine(other)));
        const swapped = lines.with(i, other).with(j, one);
        expect(await faultOf(fileOf(swapped, rows))).toMatchObject({ code: "BACKUP_DAMAGED" });
        expect(await faultOf(fileOf(lines.toSpliced(i, 1), rows))).toMatchObject({ code: "BACKUP_DAMAGED" });
        expect(await faultOf(fileOf(lines.toSpliced(i, 0, one), rows))).toMatchObject({
          code: "BACKUP_DAMAGED",
        });
      }),
      { numRuns: 25 },
    );
  });

  test("with sections in another order is found to be damaged, whatever its checksum", async () => {
    const content = [
      { section: "account", rows: [["ann", 5]] },
      { section: "applied", rows: [["m1", 0, 1]] },
    ];
    const lines = linesOf(await readFile(await written("embedded", content)));
    const at = (name: string) => lines.indexOf(JSON.stringify(name));
    const sections = sectionsOf("embedded").map((name, i, all) =>
      lines.slice(at(name), i + 1 < all.length ? at(all[i + 1] ?? "") : lines.length),
    );
    const head = lines.slice(0, 1);
    expect(await faultOf(fileOf([...head, ...sections.flat()], 2))).toBeUndefined();
    const reversed = [...head, ...sections.toReversed().flat()];
    expect(await faultOf(fileOf(reversed, 2))).toMatchObject({
      message: expect.stringContaining('line 2: section "claim" is not due here'),
    });
  });

  test.for([
    ["a text where a number belongs", '["ann","5"]'],
    ["a number that is not whole", '["ann",5.5]'],
    ["a number beyond what is exact", '["ann",9007199254740993]'],
    ["a field too many", '["ann",5,6]'],
    ["a field too few", '["ann"]'],
    ["an object", '{"username":"ann"}'],
    ["nothing", "null"],
    ["no JSON", '["ann",5'],
  ] as const)("with %s in a row is found to be damaged, whatever its checksum", async ([, row]) => {
    const lines = linesOf(
      await readFile(await written("embedded", [{ section: "account", rows: [["ann", 5]] }])),
    );
    const changed = lines.map((line) => (line === '["ann",5]' ? row : line));
    expect(changed).not.toEqual(lines);
    expect(await faultOf(fileOf(changed, 1))).toMatchObject({ code: "BACKUP_DAMAGED" });
  });

  test("of another version is told from a damaged one", async () => {
    const lines = linesOf(await readFile(await written("embedded", [])));
    const other = { ...headOf("embedded"), format: "millrace backup 2", millrace: "9.0.0" };
    expect(await faultOf(fileOf(lines.with(0, JSON.stringify(other)), 0))).toMatchObject({
      code: "BACKUP_MISMATCH",
      message: expect.stringMatching(/'millrace backup 2', written by Millrace 9\.0\.0.*'millrace backup 1'/),
    });
    expect(await faultOf(Buffer.from("no backup at all"))).toMatchObject({ code: "BACKUP_DAMAGED" });
    await expect(verifyBackup(join(folder, "nowhere"), nothingYet())).rejects.toMatchObject({
      code: "INVALID_SETTING",
      message: expect.stringContaining("ENOENT"),
    });
  });

  test("is not there, and leaves nothing, where its rows come to an error or are none", async () => {
    const empty = await mkdtemp(join(folder, "empty-"));
    async function* failing(): AsyncGenerator<Rows> {
      yield { section: "account", rows: [["ann", 5]] };
      throw new Error("the store is gone");
    }
    const path = join(empty, "a.backup");
    await expect(writeBackup(path, headOf("embedded"), failing(), nothingYet())).rejects.toThrow("is gone");
    const odd = yielded([{ section: "account", rows: [["ann", "five"]] }]);
    await expect(writeBackup(path, headOf("embedded"), odd, nothingYet())).rejects.toMatchObject({
      code: "STORE_MISMATCH",
    });
    expect(await readdir(empty)).toEqual([]);
  });

  test("takes the place of no other file", async () => {
    const path = await written("embedded", []);
    const before = await readFile(path);
    await expect(writeBackup(path, headOf("embedded"), yielded([]), nothingYet())).rejects.toMatchObject({
      code: "INVALID_SETTING",
      message: expect.stringContaining("it is there already"),
    });
    expect(await readFile(path)).toEqual(before);
  });
});
