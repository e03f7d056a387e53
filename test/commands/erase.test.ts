import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { projectionNames } from "../../src/domain/projection.ts";
import { childEnvironment, millraceBin, startChild } from "../flow/standalone.ts";
import { millrace, millraceAudited } from "./millrace.ts";
import { openBroker, workOff } from "./work-off.ts";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "millrace-erase-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const NAME = "someone-to-erase";
const count = async (...usernames: readonly string[]): Promise<void> => {
  const events = usernames.map((username) => ({
    username,
    metric: "reads",
    count: 1,
    atMs: Date.now() - 1000,
    id: undefined,
  }));
  await using store = await openEmbeddedStore(dataDir);
  await using broker = openBroker(dataDir);
  await workOff(broker, store, [encodeRows(randomUUIDv7(), [rowsOf(events)])], projectionNames);
};
const accounts = async (): Promise<readonly string[]> => {
  await using store = await openEmbeddedStore(dataDir);
  const found = await store.accounts({ sinceMs: undefined, page: { limit: 10, after: undefined } });
  return found.map(({ username }) => username);
};

test("with no process at work it erases the user alone, tells how much, and never whom", async () => {
  await count(NAME, "ann");
  const { audit, ...answer } = await millraceAudited("", "erase", NAME, "--yes", "--data-dir", dataDir);
  expect(answer).toMatchObject({ code: 0, stderr: "" });
  expect(answer.stdout).toMatch(/^erased in 2 rounds:\n1 +accounts\n1 +rows of the hourly log\n0 +event ids/);
  expect(answer.stdout).toContain("no file of the data folder holds the name");
  expect(audit).toMatchObject([{ action: "user.erased", settled: 2, count: 0, ids: [], outcome: "done" }]);
  expect(JSON.stringify([answer, audit])).not.toContain(NAME);
  expect(await accounts()).toEqual(["ann"]);
});

test("a user who is not there is found in no file, which is proof as well", async () => {
  await count("ann");
  const { code, stdout } = await millrace("erase", NAME, "--yes", "--json", "--data-dir", dataDir);
  const erased = { accounts: 0, hourlyRows: 0, claims: 0, events: 0, deadLetters: 0, unreadable: 0 };
  expect(JSON.parse(stdout)).toEqual({
    erased,
    rounds: 1,
    complete: true,
    inHand: 0,
    holding: [],
    proof: "no file of the data folder holds the name",
    left: [],
  });
  expect(code).toBe(0);
});

test("bytes of the name in a longer text are told, and are no proof", async () => {
  await count(NAME, `${NAME}r`);
  const { code, stdout } = await millrace("erase", NAME, "--yes", "--data-dir", dataDir);
  expect(stdout).toContain(`${join(dataDir, "store.sqlite")} holds the bytes of the name`);
  expect(code).toBe(1);
  expect(await accounts()).toEqual([`${NAME}r`]);
});

test("without --yes and a terminal to ask on nothing is erased", async () => {
  await count(NAME);
  const { code, stderr } = await millrace("erase", NAME, "--data-dir", dataDir);
  expect(stderr).toContain("There is no terminal to ask on: say --yes");
  expect(code).toBe(1);
  expect(await accounts()).toEqual([NAME]);
});

test.for([
  ["MILLRACE_BROKER_URL", "amqp://127.0.0.1:1", "MILLRACE_STORE_URL"],
  ["MILLRACE_STORE_URL", "mongodb://127.0.0.1:1/x", "MILLRACE_BROKER_URL"],
] as const)(
  "with a %s beside an embedded other it does nothing, rather than a part",
  async ([variable, url, embedded]) => {
    await count(NAME);
    const words = [millraceBin, "erase", NAME, "--yes", "--data-dir", dataDir];
    let said = "";
    const keep = (text: string) => void (said += text);
    const child = startChild(words, { env: childEnvironment({ [variable]: url }), cwd: dataDir, keep });
    expect(await child.exited).toEqual({ code: 1, signal: null });
    expect(said).toContain(`${embedded} is 'embedded:' and the other is not`);
    expect(await accounts()).toEqual([NAME]);
  },
);

test("a folder without a store, and a name that no event may have, are refused", async () => {
  expect(await millrace("erase", NAME, "--yes", "--data-dir", dataDir)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`there is no store in the folder ${dataDir}`),
  });
  await count("ann");
  for (const name of ["", "x".repeat(257)])
    expect(await millrace("erase", name, "--yes", "--data-dir", dataDir)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("<username> is none that an event may have"),
    });
});
