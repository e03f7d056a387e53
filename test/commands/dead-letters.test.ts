import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/adapters/clock.ts";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { flagOf, settingNames, settings } from "../../src/settings.ts";
import { encodeRows, rowsOf } from "../../src/domain/envelope.ts";
import { hourlyLog } from "../../src/domain/hourly-log.ts";
import { type ProjectionName, projectionNames } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { ChangeStore } from "../../src/ports/store.ts";
import type { Emit } from "../../src/signals.ts";
import { runWorker } from "../../src/worker/worker.ts";
import { startStandalone } from "../flow/standalone.ts";
import { type Answer, millrace } from "./millrace.ts";
import { openBroker, rubbish, workOff } from "./work-off.ts";

/** Names of the letters in a list, in its order. */
const namesIn = ({ stdout }: Answer): readonly string[] =>
  stdout
    .split("\n")
    .map((line) => /^(\w+:\d+) /.exec(line)?.[1])
    .filter((name) => name !== undefined);

describe("the dead-letters command", () => {
  let dataDir: string;
  const onQueues = ["accountName", "hourlyLog"] as const;
  const csv = rubbish("text/csv", "ann,reads,5");
  const cut = rubbish("application/json", '{"username":"Zoë","metric":');
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "millrace-letters-"));
    await using store = await openEmbeddedStore(dataDir);
    await using broker = openBroker(dataDir);
    await workOff(broker, store, [csv, cut], onQueues);
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  const deadLetters = (action: string, ...words: readonly string[]) =>
    millrace("dead-letters", action, ...words, "--data-dir", dataDir);
  const list = async (...words: readonly string[]) => namesIn(await deadLetters("list", ...words));
  /** Messages waiting in a queue. */
  async function waiting(queue: ProjectionName): Promise<number> {
    await using broker = openBroker(dataDir);
    return (await broker.backlog(queue)).ready;
  }

  test("list names each, since when it is dead, after how many attempts, how large it is, and why", async () => {
    const answer = await deadLetters("list");
    expect(answer).toMatchObject({ code: 0, stderr: "" });
    const [head, ...rows] = answer.stdout.trimEnd().split("\n");
    expect(head?.split(/ {2,}/)).toEqual(["ID", "DEAD SINCE", "ATTEMPTS", "SIZE", "REASON"]);
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual(
      onQueues.flatMap((queue) => [
        [`${queue}:1`, expect.any(String), "1", "11 B", 'MESSAGE_UNREADABLE: content type "text/csv"'],
        [`${queue}:2`, expect.any(String), "1", "28 B", "MESSAGE_UNREADABLE: the body is not JSON in UTF-8"],
      ]),
    );
    for (const row of rows) {
      const age = Date.now() - Date.parse(row.split(/ {2,}/)[1] ?? "");
      expect(age).toBeGreaterThanOrEqual(0);
      expect(age).toBeLessThan(120_000);
    }
  });

  test("list leaves out what --queue, --match, --limit and ids leave out", async () => {
    expect(await list("--queue", "hourlyLog")).toEqual(["hourlyLog:1", "hourlyLog:2"]);
    expect(await list("--queue", "distinctName")).toEqual([]);
    expect(await list("--match", "TEXT/CSV")).toEqual(["accountName:1", "hourlyLog:1"]);
    // In the body, not the reason.
    expect(await list("--match", "zoë", "--queue", "hourlyLog")).toEqual(["hourlyLog:2"]);
    expect(await list("--limit", "3")).toEqual(["accountName:1", "accountName:2", "hourlyLog:1"]);
    expect(await list("hourlyLog:2", "accountName:1")).toEqual(["accountName:1", "hourlyLog:2"]);
    expect(await list("hourlyLog:2", "accountName:1", "--match", "csv")).toEqual(["accountName:1"]);
    const none = await deadLetters("list", "--match", "nothing of the kind");
    expect(none).toEqual({ code: 0, stdout: "no dead letters\n", stderr: "" });
  });

  test("--older-than leaves out what has not been dead for so long, and drop spares it", async () => {
    const [first, , third] = await list();
    // Two of the four have died three days ago, by the broker's own file.
    {
      using file = new DatabaseSync(join(dataDir, "broker.sqlite"));
      const age = file.prepare("UPDATE dead_letter SET dead_at = dead_at - 3 * 86400000 WHERE seq = 1");
      expect(age.run().changes).toBe(2);
      // Of one nobody knows when.
      file.exec("UPDATE dead_letter SET dead_at = 0 WHERE seq = 2 AND queue = 0");
    }
    expect(await list("--older-than", "3")).toEqual([first, third]);
    expect(await list("--older-than", "4")).toEqual([]);
    expect(await list("--older-than", "2", "--queue", "hourlyLog")).toEqual(["hourlyLog:1"]);
    const dropped = await deadLetters("drop", "--older-than", "2", "--yes");
    expect(dropped).toMatchObject({ code: 0, stdout: "drop: 2 of 2\n" });
    expect(await list()).toEqual(["accountName:2", "hourlyLog:2"]);
    const wrong = await deadLetters("drop", "--older-than", "a month", "--yes");
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toContain("--older-than");
    expect(await list()).toHaveLength(2);
  });

  test("show prints a letter whole", async () => {
    const answer = await deadLetters("show", "hourlyLog:2");
    expect(answer).toMatchObject({ code: 0, stderr: "" });
    for (const part of ["hourlyLog:2", cut.id, "application/json", "attempts:     1", "not JSON in UTF-8"])
      expect(answer.stdout).toContain(part);
    expect(answer.stdout.trimEnd().endsWith('\n\n{"username":"Zoë","metric":')).toBe(true);
    expect(answer.stdout).not.toContain("ann,reads,5");
  });

  test("show says of an id that is not there that it is not, and fails", async () => {
    const answer = await deadLetters("show", "hourlyLog:42");
    expect(answer.stdout.trim() + answer.stderr.trim()).not.toBe("");
    expect(answer.code).not.toBe(0);
  });

  test.for(["replay", "drop"])(
    "%s asks, and without a terminal and --yes does nothing and fails",
    async (action) => {
      const answer = await deadLetters(action, "--queue", "hourlyLog");
      expect(answer.code).toBe(1);
      expect(answer.stdout).toBe("");
      // What it would have been done to, and how to have it done.
      for (const part of ["hourlyLog:1", "hourlyLog:2", `${action} these 2?`, "--yes"])
        expect(answer.stderr).toContain(part);
      expect(answer.stderr).not.toContain("accountName");
      expect(await list("--queue", "hourlyLog")).toHaveLength(2);
      expect(await waiting("hourlyLog")).toBe(0);
    },
  );

  test("drop --yes deletes those that are named, and no other", async () => {
    expect(await deadLetters("drop", "hourlyLog:1", "--yes")).toEqual({
      code: 0,
      stdout: "drop: 1 of 1\n",
      stderr: "",
    });
    expect(await list()).toEqual(["accountName:1", "accountName:2", "hourlyLog:2"]);
    expect(await deadLetters("drop", "--match", "csv", "--yes")).toMatchObject({ stdout: "drop: 1 of 1\n" });
    expect(await list()).toEqual(["accountName:2", "hourlyLog:2"]);
    expect(await deadLetters("drop", "--limit", "1", "--yes")).toMatchObject({ stdout: "drop: 1 of 1\n" });
    expect(await list()).toEqual(["hourlyLog:2"]);
    expect(await waiting("hourlyLog")).toBe(0);
  });

  test("replay --yes puts those that are selected back into their queues, and no other", async () => {
    const answer = await deadLetters("replay", "--queue", "hourlyLog", "--match", "csv", "--yes");
    expect(answer).toEqual({ code: 0, stdout: "replay: 1 of 1\n", stderr: "" });
    expect(await list()).toEqual(["accountName:1", "accountName:2", "hourlyLog:2"]);
    expect([await waiting("hourlyLog"), await waiting("accountName")]).toEqual([1, 0]);
    // What is still rubbish is a dead letter again.
    await using store = await openEmbeddedStore(dataDir);
    await using broker = openBroker(dataDir);
    const stop = new AbortController();
    const emit: Emit = (name) => {
      if (name === "delivery.settled") stop.abort();
    };
    const parts = { consumer: broker, store, projection: hourlyLog, clock: systemClock, emit };
    await runWorker(parts, { prefetch: 1, maxAttempts: 3, retryDelayMs: 1 }, stop.signal);
    expect(await list("--queue", "hourlyLog")).toEqual(["hourlyLog:1", "hourlyLog:2"]);
  });

  test("replay and drop of what is not there say so, and do nothing", async () => {
    for (const action of ["replay", "drop"])
      expect(await deadLetters(action, "hourlyLog:42", "--yes")).toMatchObject({
        stdout: "no dead letters match\n",
      });
    expect(await list()).toHaveLength(4);
  });

  test.for([
    ["a queue that does not exist", ["list", "--queue", "nope"], "accountName, distinctName, hourlyLog"],
    ["a limit of 0", ["list", "--limit", "0"], "an integer from 1 on"],
    ["a limit that is no number", ["list", "--limit", "many"], "an integer from 1 on"],
    ["show without an id", ["show"], "ids"],
    ["an action that does not exist", ["replai"], "replay"],
    ["an option that does not exist", ["list", "--queu", "hourlyLog"], "--queue"],
    ["--force without --repaired", ["replay", "--force"], "--force goes with --repaired"],
    ["--repaired beside ids", ["replay", "hourlyLog:1", "--repaired", "-"], "leave out ids"],
    ["--repaired beside --match", ["replay", "--match", "a", "--repaired", "-"], "cannot be used with"],
    ["--repaired beside --limit", ["replay", "--limit", "1", "--repaired", "-"], "cannot be used with"],
    ["a file that is not there", ["replay", "--repaired", "/nowhere/at/all"], "ENOENT"],
  ] as const)("%s is refused in words", async ([, words, told]) => {
    const answer = await millrace("dead-letters", ...words);
    expect(answer.code).toBe(1);
    expect(answer.stdout).toBe("");
    expect(answer.stderr).toContain(told);
  });
});

test("a running standalone takes up a letter that is replayed, and counts it once", async () => {
  await using standalone = await startStandalone();
  await standalone.stop();
  const atMs = Date.now() - 1000;
  const rows = rowsOf([
    { username: "ann", metric: "reads", count: 5, atMs, id: "id:e1" },
    { username: "bob", metric: "reads", count: 7, atMs, id: undefined },
  ]);
  {
    await using store = await openEmbeddedStore(standalone.dataDir);
    await using broker = openBroker(standalone.dataDir);
    // A store that is too old for the change: the cause that is gone by the next start.
    const refusing: ChangeStore = {
      claim: (claim, nowMs) => store.claim(claim, nowMs),
      erasures: () => store.erasures(),
      apply: () => Promise.reject(new MillraceError("CHANGE_REFUSED", "too wide")),
    };
    await workOff(broker, refusing, [encodeRows(randomUUIDv7(), [rows])], projectionNames);
    expect(await broker.backlog("hourlyLog")).toEqual({ ready: 0, unsettled: 0, deadLetters: 1 });
  }
  await standalone.restart();
  const ask = async (path: string): Promise<unknown> => (await fetch(`${standalone.queryUrl}${path}`)).json();
  expect(await ask("/metrics/hourly_logs/total")).toEqual([]);

  const replayed = await millrace("dead-letters", "replay", "--yes", "--data-dir", standalone.dataDir);
  expect(replayed).toEqual({ code: 0, stdout: "replay: 3 of 3\n", stderr: "" });
  await vi.waitFor(
    async () => {
      expect(await ask("/metrics/hourly_logs/total")).toMatchObject([{ _id: "reads", count: 2, average: 6 }]);
      expect(await ask("/metrics/distinct_names")).toMatchObject([{ count: 2 }]);
      expect(await ask("/accounts")).toHaveLength(2);
    },
    { timeout: 15_000 },
  );
  const left = await millrace("dead-letters", "list", "--data-dir", standalone.dataDir);
  expect(left.stdout).toBe("no dead letters\n");
});

describe("every command", () => {
  const flags = settingNames.filter((name) => !settings[name].secret).map(flagOf);
  const letters = [...flags, "--queue", "--match", "--older-than", "--limit"];
  const places = [...flags, "--secret"];
  const helps: readonly (readonly [string, readonly string[]])[] = [
    ["standalone", flags],
    ["collector", flags],
    ["query", flags],
    ["sweeper", flags],
    ["worker", flags],
    ["operator", flags],
    ["config", flags],
    ["doctor", [...flags, "--json", "--timeout-ms"]],
    ["key", []],
    ["keys create", [...places, "--name", "--access", "--expires-in", "--rate-limit", "--quota"]],
    ["keys list", [...places, "--format"]],
    ["keys revoke", places],
    ["keys rotate", [...places, "--overlap", "--expires-in"]],
    [
      "send",
      [
        "--url",
        "--format",
        "--batch-size",
        "--concurrency",
        "--retries",
        "--timeout-ms",
        "--gzip",
        "--write-key-file",
        "--rejects",
        "--failed",
      ],
    ],
    ["dead-letters list", letters],
    ["dead-letters show", letters],
    ["dead-letters export", letters],
    ["dead-letters replay", [...letters, "--yes", "--repaired", "--force"]],
    ["dead-letters drop", [...letters, "--yes"]],
    ["backup", [...flags, "--verify"]],
    ["restore", flags],
    ["erase", [...flags, "--yes", "--json", "--limit"]],
  ];
  let general: Answer;
  let ofLetters: Answer;
  let ofKeys: Answer;
  beforeAll(async () => {
    general = await millrace("--help");
    ofLetters = await millrace("dead-letters", "--help");
    ofKeys = await millrace("keys", "--help");
  });
  /** The words that a help lists as commands. */
  const commandsIn = ({ stdout }: Answer): readonly string[] =>
    Array.from((stdout.split("Commands:")[1] ?? "").matchAll(/^ {2}([a-z-]+)/gm), (found) => found[1] ?? "");

  test("is listed by --help, and has a row here", () => {
    expect([general.code, ofLetters.code, ofKeys.code]).toEqual([0, 0, 0]);
    const below = (group: string, help: Answer) =>
      commandsIn(help)
        .filter((name) => name !== "help")
        .map((name) => `${group} ${name}`);
    const listed = [
      ...commandsIn(general).filter((name) => !["dead-letters", "keys", "help"].includes(name)),
      ...below("dead-letters", ofLetters),
      ...below("keys", ofKeys),
    ];
    expect(listed.toSorted()).toEqual(helps.map(([name]) => name).toSorted());
  });

  test.for(helps)(
    "%s --help names every option and what it is for, and ends with 0",
    async ([name, options]) => {
      const answer = await millrace(...name.split(" "), "--help");
      expect(answer).toMatchObject({ code: 0, stderr: "" });
      expect(answer.stdout).toContain(`Usage: millrace ${name}`);
      // An option, its value if any, and the first words on it.
      const named = Array.from(
        answer.stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)(?: <\S+>)? {2,}\S/gm),
        (found) => {
          return found[1] ?? "";
        },
      );
      expect(named.toSorted()).toEqual([...options, "--help"].toSorted());
    },
  );

  test.for([
    ["standalon", "standalone"],
    ["wroker", "worker"],
    ["dead-leters", "dead-letters"],
  ] as const)("that does not exist, such as %s, is refused with a suggestion", async ([given, meant]) => {
    const answer = await millrace(given);
    expect(answer.code).toBe(1);
    expect(answer.stdout).toBe("");
    expect(answer.stderr).toContain(`unknown command '${given}'`);
    expect(answer.stderr).toMatch(new RegExp(`Did you mean ${meant}\\?`));
  });

  test("left out shows the help and fails", async () => {
    const answer = await millrace();
    expect(answer.code).toBe(1);
    expect(commandsIn({ ...answer, stdout: answer.stderr })).toContain("standalone");
  });
});
