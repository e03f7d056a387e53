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
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
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

const backup = (...words: readonly string[]) => millrace("backup", file, ...words);
const restore = (...words: readonly string[]) => millrace("restore", file, ...words);

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

describe("a backup of the embedded store", { timeout: 120_000 }, () => {
  test("restored into an empty install gives byte-equal answers, and holds all that the files hold", async () => {
    await fill(from);
    const answer = await backup("--data-dir", from);
    expect(answer).toMatchObject({ code: 0, stderr: "" });
    expect(answer.stdout).toMatch(/^backed up: .*, kind embedded, Millrace 0\.1\.0, \d+ bytes\n/);
    expect(answer.stdout).toMatch(/\nmessage +12\ndelivery +32\ndead_letter +4\naccount +40\n/);
    expect(await restore("--data-dir", to)).toMatchObject({ code: 0, stderr: "" });

    expect(await answersIn(to)).toBe(await answersIn(from));
    expect((await answersIn(to)).length).toBeGreaterThan(5000);
    const again = join(folder, "again.backup");
    expect(await millrace("backup", again, "--data-dir", to)).toMatchObject({ code: 0 });
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
    await backup("--data-dir", from);
    await restore("--data-dir", to);
    const before = await answersIn(to);
    await using store = await openEmbeddedStore(to);
    await Promise.all(numbers.map((i) => applyMessage(store, `m${i}`, eventsOf(i))));
    // Clients' retries, in messages of other ids.
    const retried = (i: number) => eventsOf(i).filter(({ id }) => id !== undefined);
    await Promise.all(numbers.map((i) => applyMessage(store, `again ${i}`, retried(i))));
    expect(await answersOf(store)).toBe(before);
  });

  test("is verified by command", async () => {
    await fill(from);
    await backup("--data-dir", from);
    expect(await backup("--verify")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^whole: /) });
    const bytes = await readFile(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(file, bytes);
    for (const answer of [await backup("--verify"), await restore("--data-dir", to)]) {
      expect(answer).toMatchObject({ code: 1, stdout: "" });
      expect(answer.stderr).toMatch(/^millrace: The backup is damaged or not whole: /);
    }
    // Not even a folder was made.
    expect(await readdir(folder)).toEqual(["from", "store.backup"]);
  });

  test("is refused where there is none to make, and leaves no file", async () => {
    expect(await backup("--data-dir", from)).toMatchObject({
      code: 1,
      stderr: `millrace: A setting is not valid: there is no store in the folder ${from}\n`,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test("is not restored over anything, and that is named", async () => {
    await fill(from);
    await backup("--data-dir", from);
    const before = await answersIn(from);
    const answer = await restore("--data-dir", from);
    expect(answer).toMatchObject({ code: 1, stdout: "" });
    expect(answer.stderr).toMatch(
      /^millrace: A backup is restored into an empty store alone: there are 12 rows of message, .*, 40 rows of account, /,
    );
    expect(await answersIn(from)).toBe(before);
  });

  test("is not restored while a process has the files open, which goes on", async () => {
    await fill(from);
    await backup("--data-dir", from);
    await using standalone = await startStandalone();
    const answer = await restore("--data-dir", standalone.dataDir);
    expect(answer).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining(`a process works on the files in ${standalone.dataDir}: stop it first`),
    });
    expect((await fetch(`${standalone.adminUrl}/readyz`)).status).toBe(200);
    await standalone.stop();
    // Its files are there and hold nothing.
    expect(await restore("--data-dir", standalone.dataDir)).toMatchObject({ code: 0, stderr: "" });
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
    await expect(run(process.execPath, ["--max-old-space-size=40", "-e", holding])).rejects.toThrow();
  });

  test("whose restore is killed at any instant leaves an empty store or a whole one", async () => {
    await backup("--data-dir", from);
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
      expect(whole || counts.every((count) => count === 0)).toBe(true);
      if (code === 0) expect(whole).toBe(true);
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
