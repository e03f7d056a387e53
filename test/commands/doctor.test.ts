import * as fc from "fast-check";
import { chmod, mkdtemp, open, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type EmbeddedDoctorSettings, embeddedChecks } from "../../src/adapters/embedded/doctor.ts";
import { openBrokerDatabase } from "../../src/adapters/embedded/broker-schema.ts";
import { openStoreDatabase } from "../../src/adapters/embedded/store-schema.ts";
import { examine, report, type Result, worstOf } from "../../src/commands/doctor.ts";
import { heapProblems } from "../../src/commands/doctor-machine.ts";
import { readConfig } from "../../src/config.ts";
import { checkTable, fault, maskOf, warning } from "../../src/domain/diagnosis.ts";
import { checksOf } from "../../src/doctor.ts";
import { checkHeap } from "../../src/heap.ts";
import type { Check } from "../../src/ports/check.ts";
import { millrace } from "./millrace.ts";

const asIs = (text: string): string => text;
const NOW = Date.parse("2096-11-24T12:00:00Z");
const by = (results: readonly Result[], name: string): Result => {
  const found = results.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no result of ${name}`);
  return found;
};

describe("the embedded files", { timeout: 120_000 }, () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "millrace-doctor-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const usual = {
    backlogMaxBytes: 1024 * 1024,
    sweepIntervalMs: 10_000,
    files: ["broker", "store"],
  } as const;
  const look = (settings: Partial<EmbeddedDoctorSettings> = {}) =>
    examine(embeddedChecks({ dataDir: folder, ...usual, now: () => NOW, ...settings }), 20_000, asIs);
  const makeBoth = () => {
    for (const make of [openBrokerDatabase, openStoreDatabase]) make(folder, 1024).close();
  };

  test("that are sound have no fault, and stay as they are", async () => {
    makeBoth();
    const before = await stat(join(folder, "store.sqlite"));
    const results = await look();
    expect(results.map(({ name, level, problems }) => ({ name, level, problems }))).toEqual(
      ["data folder", "broker file", "store file"].map((name) => ({ name, level: "ok", problems: [] })),
    );
    expect(by(results, "broker file").found).toMatch(/of wal.*accountName 0, distinctName 0, hourlyLog 0/);
    expect((await stat(join(folder, "store.sqlite"))).mtimeMs).toBe(before.mtimeMs);
  });

  test("that are not there yet are no fault, and are not made", async () => {
    const absent = join(folder, "not", "yet");
    const results = await look({ dataDir: absent });
    expect(worstOf(results)).toBe("ok");
    await expect(stat(join(folder, "not"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("that are damaged are told, with what to do", async () => {
    makeBoth();
    const file = await open(join(folder, "store.sqlite"), "r+");
    await file.write(Buffer.alloc(8192, 0xff), 0, 8192, 4096);
    await file.close();
    await writeFile(join(folder, "broker.sqlite"), "no database, but text that is long enough to be one");
    const results = await look();
    expect(by(results, "store file")).toMatchObject({
      level: "fault",
      problems: [{ level: "fault", todo: expect.stringContaining("restore the last backup") }],
    });
    expect(by(results, "broker file")).toMatchObject({
      level: "fault",
      problems: [{ what: "the file is damaged: file is not a database" }],
    });
  });

  test("with dead letters, a backlog near its bound and no sweeper are told", async () => {
    makeBoth();
    const broker = openBrokerDatabase(folder, 1024);
    broker
      .prepare("INSERT INTO message (id, content_type, body) VALUES ('m', 't', ?)")
      .run(Buffer.alloc(900_000));
    broker.exec("INSERT INTO dead_letter VALUES (1, 1, 'r', 1, 1); INSERT INTO delivery VALUES (1, 2, 0, 0)");
    broker.close();
    const store = openStoreDatabase(folder, 1024);
    store.prepare("INSERT INTO lease VALUES ('sweeper', 'one', ?)").run(NOW - 3_600_000);
    store.close();
    const results = await look();
    expect(by(results, "broker file")).toMatchObject({
      level: "warning",
      found: expect.stringMatching(/distinctName 0, hourlyLog 1/),
      problems: [
        { what: expect.stringMatching(/of at most 1.0 MiB/) },
        { what: "1 dead letters in distinctName", todo: expect.stringContaining("millrace dead-letters") },
      ],
    });
    expect(by(results, "store file").problems).toEqual([
      warning(
        "no sweeper has held the lease since 2096-11-24T11:00:00.000Z; what is too old stays",
        "run `millrace sweeper`, or `millrace standalone`",
      ),
    ]);
    expect(by(await look({ backlogMaxBytes: 4096 }), "broker file").level).toBe("fault");
  });

  const putLog = (second: number) => {
    const store = openStoreDatabase(folder, 1024);
    store.prepare("INSERT INTO hourly_log VALUES (?, 'reads', 'ann', 1, 1, 0, 1, 1)").run(second);
    store.close();
  };
  const LATE_SECONDS = 3600 + 15 * 60;

  test("without a lease, as a sweeper leaves it, are told from when something stays that is too old", async () => {
    makeBoth();
    expect(by(await look({ files: ["store"] }), "store file").level).toBe("ok");
    putLog(NOW / 1000 - LATE_SECONDS + 1);
    expect(by(await look({ files: ["store"] }), "store file").level).toBe("ok");
    putLog(NOW / 1000 - LATE_SECONDS);
    expect(by(await look({ files: ["store"] }), "store file").problems).toEqual([
      warning(
        "no sweeper has the lease, and what is too old stays: the hourly log goes back to 2096-11-24T10:45:00.000Z",
        "run `millrace sweeper`, or `millrace standalone`",
      ),
    ]);
    expect(by(await look({ files: ["store"], sweepIntervalMs: 3_600_000 }), "store file").level).toBe("ok");
  });

  test("of a sweeper that pauses for long are given the time of two pauses", async () => {
    makeBoth();
    const store = openStoreDatabase(folder, 1024);
    store.prepare("INSERT INTO lease VALUES ('sweeper', 'one', ?)").run(NOW - 7_200_000);
    store.close();
    expect(by(await look({ files: ["store"], sweepIntervalMs: 3_600_000 }), "store file").level).toBe("ok");
    expect(by(await look({ files: ["store"], sweepIntervalMs: 3_599_999 }), "store file").level).toBe(
      "warning",
    );
  });

  test("that a role beside a server has no use for are skipped, unless they are there", async () => {
    const absent = join(folder, "not", "yet");
    for (const name of ["broker", "store"] as const) {
      const results = await look({ dataDir: absent, files: [name] });
      expect(results.map((one) => [one.name, one.level, one.found, one.problems])).toEqual([
        [
          "data folder",
          "skipped",
          `MILLRACE_${name.toUpperCase()}_URL names no server: a role that needs the ${name} would use a file in ${absent}`,
          [],
        ],
        [`${name} file`, "skipped", "not looked at: see data folder", []],
      ]);
    }
    // As in the sweeper's pod.
    await using parts = new AsyncDisposableStack();
    const config = readConfig({ MILLRACE_STORE_URL: "mongodb://h/x", MILLRACE_DATA_DIR: absent }, {});
    const checks = await checksOf(config, 1000, parts);
    const ofFiles = checks.filter(({ name }) => name === "data folder" || name.endsWith(" file"));
    expect((await examine(ofFiles, 1000, asIs)).map(({ name, level }) => [name, level])).toEqual([
      ["data folder", "skipped"],
      ["broker file", "skipped"],
    ]);
    await chmod(folder, 0o755);
    openStoreDatabase(folder, 1024).close();
    expect((await look({ files: ["broker"] })).map(({ level }) => level)).toEqual(["skipped", "skipped"]);
    expect((await look({ files: ["store"] })).map(({ level }) => level)).toEqual(["warning", "ok"]);
  });

  test("in a folder that others may enter, or that is none, are told", async () => {
    makeBoth();
    await chmod(folder, 0o755);
    expect(by(await look(), "data folder")).toMatchObject({
      level: "warning",
      problems: [{ what: expect.stringContaining("mode 0755"), todo: `chmod 0700 ${folder}` }],
    });
    const results = await look({ dataDir: join(folder, "store.sqlite") });
    expect(by(results, "data folder").problems[0]?.what).toMatch(/is no folder/);
    expect(by(results, "store file")).toMatchObject({ level: "skipped", problems: [] });
  });
});

describe("the run of the checks", () => {
  const check = (name: Check["name"], run: Check["run"], after?: Check["name"]): Check => ({
    name,
    run,
    todo: "do this",
    ...(after === undefined ? {} : { after }),
  });
  test("goes on though one throws and one never answers, and skips what needs them", async () => {
    const results = await examine(
      [
        check("store", () => new Promise(() => {})),
        check("broker", () => Promise.reject(new Error("refused"))),
        check("broker topology", async () => ({ found: "never seen", problems: [] }), "broker"),
        check("broker queues", async () => ({ found: "never seen", problems: [] }), "broker topology"),
        check("settings", async () => ({ found: "all", problems: [] })),
      ],
      50,
      asIs,
    );
    expect(results.map(({ name, level, found, problems }) => [name, level, found, problems])).toEqual([
      ["settings", "ok", "all", []],
      ["broker", "fault", "", [fault("refused", "do this")]],
      ["broker topology", "skipped", "not looked at: see broker", []],
      ["broker queues", "skipped", "not looked at: see broker", []],
      ["store", "fault", "", [fault("no answer within 50 ms", "do this")]],
    ]);
    expect(report(results)).toMatch(/5 checks: 1 ok, 2 fault, 2 skipped$/);
  });

  test("prints one line a check whatever servers say", async () => {
    const results = await examine(
      [check("store", () => Promise.reject(new Error("a\nb\u001b[31m\r\nc")))],
      1000,
      asIs,
    );
    expect(report(results).split("\n")).toEqual([
      "fault    store",
      "         fault: a b [31m c",
      "         what to do: do this",
      "1 checks: 1 fault",
    ]);
  });

  test("never prints a password, as it is written or as it is meant", async () => {
    const passwords = fc.string({ minLength: 4, maxLength: 30, unit: "binary-ascii" });
    await fc.assert(
      fc.asyncProperty(
        passwords,
        fc.constantFrom("amqp", "mongodb+srv", "https"),
        async (password, scheme) => {
          const url = `${scheme}://user:${encodeURIComponent(password)}@host:1/path`;
          const words = `${url} failed: ${password} of ${encodeURIComponent(password)}`;
          const shown = report(
            await examine([check("broker", () => Promise.reject(new Error(words)))], 1000, maskOf([url])),
          );
          expect(shown).toBe(
            report(
              await examine(
                [check("broker", () => Promise.reject(new Error("*** failed: *** of ***")))],
                1000,
                asIs,
              ),
            ),
          );
        },
      ),
    );
  });

  test("has its table in the order in which it is told", () => {
    expect(Object.keys(checkTable).slice(0, 4)).toEqual(["settings", "heap", "open files", "data folder"]);
  });
});

test("a heap that cannot hold the requests in hand is a fault, one above the container's limit a warning", () => {
  const config = (mebibytes: number) =>
    readConfig({ MILLRACE_UNCONFIRMED_MAX_BYTES: String(mebibytes * 1024 * 1024) }, {});
  const roomy = { heap: 1000, memory: 2000 };
  expect(heapProblems(config(1), checkHeap, roomy)).toEqual([]);
  expect(heapProblems(config(4096), checkHeap, roomy)).toMatchObject([{ level: "fault" }]);
  expect(heapProblems(config(1), checkHeap, { heap: 2000, memory: 1000 })).toMatchObject([
    { level: "warning" },
  ]);
});

describe("millrace doctor", { timeout: 120_000 }, () => {
  test("ends with 0 without a fault, 1 with one and 2 for a wrong call", async () => {
    const dataDir = join(tmpdir(), "millrace-doctor-never-made");
    const good = await millrace("doctor", "--data-dir", dataDir, "--json");
    expect(good).toMatchObject({ code: 0, stderr: "" });
    const told = JSON.parse(good.stdout);
    expect(told).toMatchObject({ format: 1, level: "ok" });
    expect(told.checks.map(({ name }: Result) => name)).toEqual([
      "settings",
      "heap",
      "open files",
      "data folder",
      "broker file",
      "store file",
    ]);
    const bad = await millrace("doctor", "--data-dir", import.meta.filename);
    expect(bad).toMatchObject({ code: 1, stdout: expect.stringMatching(/^fault +data folder/m) });
    const unread = await millrace("doctor", "--collector-port", "x");
    expect(unread).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/--collector-port is "x"; it must be/),
    });
    const masked = await millrace(
      "doctor",
      "--data-dir",
      dataDir,
      "--collector-url",
      "http://ann:pass-word@h/",
    );
    expect(masked.stdout).toMatch(/MILLRACE_COLLECTOR_URL=http:\/\/ann:\*\*\*@h\/$/m);
    expect(await millrace("doctor", "--bogus")).toMatchObject({ code: 2, stdout: "" });
  });
});
