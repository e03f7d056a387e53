import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openEmbeddedBackup } from "../../src/adapters/embedded/backup.ts";
import { openEmbeddedRestore } from "../../src/adapters/embedded/restore.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { restore as restored, backup as writtenBackup } from "../../src/commands/backup.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { millrace } from "../commands/millrace.ts";
import { answersOf, applyMessage, eventsOf } from "../commands/store-answers.ts";
import { openBroker, rubbish, workOff } from "../commands/work-off.ts";
import { childEnvironment, millraceBin, startStandalone } from "../flow/standalone.ts";

let folder: string;
let from: string;
let to: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "millrace-backup-"));
  [from, to, file] = [join(folder, "from"), join(folder, "to"), join(folder, "store.backup")];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const shown = { terminal: process.stderr, environment: { CI: "true" } };
async function backup(dataDir: string, path = file): Promise<string> {
  await using source = openEmbeddedBackup({ dataDir, broker: "embedded" });
  return await writtenBackup(source, { path, millrace: "0.1.0", nowMs: Date.now() }, shown);
}
const restore = (dataDir: string): Promise<string> =>
  restored(async () => openEmbeddedRestore({ dataDir, broker: "embedded" }), file, shown);

/** Of the messages that are applied, at the same time. */
const numbers = Array.from({ length: 60 }, (_, i) => i);

/** A store with all there may be in it, and messages and dead letters in the broker's file. */
async function fill(dataDir: string): Promise<void> {
  await using store = await openEmbeddedStore(dataDir);
  await Promise.all(numbers.map((i) => applyMessage(store, `m${i}`, eventsOf(i))));
  await store.mergeMonths("2096-10-01", 0);
  await store.acquireLease("sweeper", "someone", Date.now() + 3_600_000, Date.now());
  await using broker = openBroker(dataDir);
  await workOff(
    broker,
    store,
    [rubbish("text/csv", "ann,reads,5"), rubbish("image/png", "\u0000\uFFFD")],
    ["hourlyLog", "accountName"],
  );
  const more = Array.from({ length: 10 }, (_, i) => 60 + i);
  await Promise.all(more.map((i) => broker.publish(encodeRows(`m${i}`, [rowsOf(eventsOf(i))]))));
}

async function answersIn(dataDir: string): Promise<string> {
  await using store = await openEmbeddedStore(dataDir);
  return await answersOf(store);
}
/** Its lines, without those that tell of the backup itself. */
const linesOf = async (path: string): Promise<readonly string[]> =>
  gunzipSync(await readFile(path))
    .toString()
    .trimEnd()
    .split("\n")
    .slice(1, -1);

describe("a backup of the embedded store", { timeout: 240_000 }, () => {
  test("restored into an empty install gives byte-equal answers, and holds all that the files hold", async () => {
    await fill(from);
    const told = await backup(from);
    expect(told).toMatch(/^backed up: .*, kind embedded, Millrace 0\.1\.0, \d+ bytes\n/);
    expect(told).toMatch(/\nmessage +12\ndelivery +32\ndead_letter +4\naccount +40\n/);
    expect(await restore(to)).toMatch(/^restored: /);

    expect(await answersIn(to)).toBe(await answersIn(from));
    expect((await answersIn(to)).length).toBeGreaterThan(5000);
    const again = join(folder, "again.backup");
    await backup(to, again);
    expect(await linesOf(again)).toEqual(await linesOf(file));

    await using broker = openBroker(to);
    for (const queue of projectionNames)
      expect(await broker.backlog(queue)).toMatchObject({
        ready: queue === "distinctName" ? 12 : 10,
        deadLetters: queue === "distinctName" ? 0 : 2,
      });
  });

  test("knows its messages and event ids again", async () => {
    await fill(from);
    await backup(from);
    await restore(to);
    const before = await answersIn(to);
    await using store = await openEmbeddedStore(to);
    await Promise.all(numbers.map((i) => applyMessage(store, `m${i}`, eventsOf(i))));
    // Clients' retries, in messages of other ids.
    const retried = (i: number) => eventsOf(i).filter(({ id }) => id !== undefined);
    await Promise.all(numbers.map((i) => applyMessage(store, `again ${i}`, retried(i))));
    expect(await answersOf(store)).toBe(before);
  });

  test("is made, verified and restored by command, and a damaged one is not", async () => {
    await fill(from);
    const commands = [
      ["backup", file, "--data-dir", from],
      ["backup", file, "--verify"],
      ["restore", file, "--data-dir", to],
    ];
    for (const [i, done] of ["backed up", "whole", "restored"].entries()) {
      const answer = await millrace(...(commands[i] ?? []));
      expect(answer).toMatchObject({
        code: 0,
        stderr: "",
        stdout: expect.stringMatching(`^${done}: ${file}, `),
      });
    }
    expect(await answersIn(to)).toBe(await answersIn(from));
    const bytes = await readFile(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(file, bytes);
    for (const words of [
      ["backup", file, "--verify"],
      ["restore", file, "--data-dir", join(folder, "new")],
    ]) {
      const answer = await millrace(...words);
      expect(answer).toMatchObject({ code: 1, stdout: "" });
      expect(answer.stderr).toMatch(/^millrace: The backup is damaged or not whole: /);
    }
    // Not even a folder was made.
    expect(await readdir(folder)).toEqual(["from", "store.backup", "to"]);
  });

  test("is refused where there is none to make, and leaves no file", async () => {
    await expect(backup(from)).rejects.toMatchObject({
      code: "INVALID_SETTING",
      detail: `there is no store in the folder ${from}`,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test("is not restored over anything, and that is named", async () => {
    await fill(from);
    await backup(from);
    const before = await answersIn(from);
    await expect(restore(from)).rejects.toMatchObject({
      code: "STORE_NOT_EMPTY",
      detail: expect.stringMatching(/^there are 12 rows of message, .*, 40 rows of account, /),
    });
    expect(await answersIn(from)).toBe(before);
  });

  test("is not restored while a process has the files open, which goes on", async () => {
    await fill(from);
    await backup(from);
    await using standalone = await startStandalone();
    await expect(restore(standalone.dataDir)).rejects.toMatchObject({
      code: "STORE_NOT_EMPTY",
      detail: `a process works on the files in ${standalone.dataDir}: stop it first`,
    });
    expect((await fetch(`${standalone.adminUrl}/readyz`)).status).toBe(200);
    await standalone.stop();
    // Its files are there and hold nothing.
    await restore(standalone.dataDir);
    expect(await answersIn(standalone.dataDir)).toBe(await answersIn(from));
  });
});

/** Many rows, as fast as they can be made. */
function fillWith(dataDir: string, rows: number): void {
  using store = new DatabaseSync(join(dataDir, "store.sqlite"));
  const series = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})`;
  const long = "'".concat("x".repeat(80), "'");
  store.exec(`
    PRAGMA synchronous = OFF;
    ${series} INSERT INTO account SELECT 'user ' || i || ${long}, i FROM n;
    ${series} INSERT INTO claim (event_id, projection, message_id, at)
      SELECT 'id:' || i || ${long}, 1, 'message ' || i, i FROM n`);
}

describe("a large backup", { timeout: 240_000 }, () => {
  const ROWS = 150_000;
  beforeEach(async () => {
    await (await openEmbeddedStore(from))[Symbol.asyncDispose]();
    fillWith(from, ROWS);
  });

  test("is made, verified and restored in a heap that would not hold its rows", async () => {
    const run = promisify(execFile);
    const small = (...words: readonly string[]) =>
      run(process.execPath, ["--max-old-space-size=40", millraceBin, ...words], { env: childEnvironment() });
    await small("backup", file, "--data-dir", from);
    await small("backup", file, "--verify");
    const { stdout } = await small("restore", file, "--data-dir", to);
    expect(stdout).toMatch(new RegExp(`\\naccount +${ROWS}\\n[^]*\\nclaim +${ROWS}\\n`));
    // One that holds them all does not get through.
    const holding = `const rows = []; for (let i = 0; i < ${2 * ROWS}; i++) rows.push(["user " + i + "u".repeat(80).split("").join(""), i]);`;
    await expect(run(process.execPath, ["--max-old-space-size=40", "-e", holding])).rejects.toThrow(
      "heap out of memory",
    );
  });

  test("whose restore is killed at any instant leaves an empty store or a whole one", async () => {
    await backup(from);
    const outcomes = new Set<string>();
    let whole = false;
    for (let delayMs = 600; !whole; delayMs *= 1.6) {
      const child = spawn(process.execPath, [millraceBin, "restore", file, "--data-dir", to], {
        env: childEnvironment(),
        stdio: "ignore",
      });
      const ended = once(child, "exit");
      await Promise.race([sleep(delayMs), ended]);
      child.kill("SIGKILL");
      const [code] = (await ended) as [number | null];
      const counts = await countsIn(to);
      whole = counts.every((count) => count === ROWS);
      outcomes.add(code === 0 ? "ended" : "killed");
      expect(whole || (code !== 0 && counts.every((count) => count === 0))).toBe(true);
    }
    expect(outcomes).toContain("killed");
  });
});

/** As a role finds them. */
async function countsIn(dataDir: string): Promise<readonly number[]> {
  await (await openEmbeddedStore(dataDir))[Symbol.asyncDispose]();
  using store = new DatabaseSync(join(dataDir, "store.sqlite"));
  return ["account", "claim"].map((table) =>
    Number(store.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.["n"]),
  );
}
