import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openEmbeddedStore } from "../../src/adapters/embedded/store.ts";
import { repairedLetters } from "../../src/commands/dead-letter-lines.ts";
import { listedOf, settle } from "../../src/commands/dead-letters.ts";
import { encodeRows, envelopeContentType, type Message, rowsOf } from "../../src/domain/envelope.ts";
import { type ProjectionName, projectionNames } from "../../src/domain/projection.ts";
import { MillraceError } from "../../src/errors.ts";
import type { Broker } from "../../src/ports/broker.ts";
import type { ChangeStore, Store } from "../../src/ports/store.ts";
import { startStandalone } from "../flow/standalone.ts";
import { millrace, millraceReading } from "./millrace.ts";
import { openBroker, rubbish, work, workOff } from "./work-off.ts";

const json = "application/json";
/** A plain message of one event, as other producers send it. */
const plain = (username: string, count: number): string =>
  JSON.stringify({ username, metric: "reads", count, timestamp: Date.now() - 1000 });
const page = { limit: 100, after: undefined };
const counted = async (store: Store) => {
  const totals = await store.hourlyTotals(page, Date.now());
  return totals.map(({ metric, count, average }) => ({ metric, count, average }));
};

/** A line of an export. */
type Line = Record<string, unknown>;
const linesIn = (text: string): Line[] =>
  text.trimEnd() === ""
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);
const asText = (lines: readonly (Line | string)[]): string =>
  lines.map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`).join("");

let dataDir: string;
beforeEach(async () => (dataDir = await mkdtemp(join(tmpdir(), "millrace-lines-"))));
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const deadLetters = (action: string, ...words: readonly string[]) =>
  millrace("dead-letters", action, ...words, "--data-dir", dataDir);
const replay = (input: string, ...words: readonly string[]) =>
  millraceReading(input, "dead-letters", "replay", "--repaired", "-", ...words, "--data-dir", dataDir);
/** Has real workers of these queues give up these messages. */
async function bury(messages: readonly Message[], queues: readonly ProjectionName[]): Promise<void> {
  await using store = await openEmbeddedStore(dataDir);
  await using broker = openBroker(dataDir);
  await workOff(broker, store, messages, queues);
}
/** What the broker and the store hold once a worker of this queue has settled so many deliveries. */
async function worked<T>(
  queue: ProjectionName,
  deliveries: number,
  look: (broker: Broker, store: Store) => Promise<T>,
): Promise<T> {
  await using store = await openEmbeddedStore(dataDir);
  await using broker = openBroker(dataDir);
  if (deliveries > 0) await work(broker, store, queue, deliveries);
  return await look(broker, store);
}
const backlog = (queue: ProjectionName) => worked(queue, 0, (broker) => broker.backlog(queue));
/** The dead letters of a queue and their bodies. */
const left = (queue: ProjectionName) =>
  worked(queue, 0, async (broker) =>
    (await Array.fromAsync(broker.deadLetters.list(queue))).map(({ id, message }) => [
      id,
      Buffer.from(message.body).toString(),
    ]),
  );

describe("export", () => {
  const csv = rubbish("text/csv; charset=utf-8", "\uFEFFZoë,reads,5\r\nann,\u2028reads,7");
  const bytes = rubbish("application/octet-stream", Uint8Array.of(0xff, 0x00, 0x0a, 0xfe));
  const empty = rubbish("", "");

  test("writes a line a letter that holds all there is of it, its body as text or else as base64", async () => {
    const before = Date.now();
    await bury([csv, bytes, empty], ["accountName", "hourlyLog"]);
    const answer = await deadLetters("export");
    expect(answer).toMatchObject({ code: 0, stderr: "" });
    const facts = [
      { messageId: csv.id, contentType: csv.contentType, body: csv.body.toString(), id: 1 },
      { messageId: bytes.id, contentType: bytes.contentType, bodyBase64: "/wAK/g==", id: 2 },
      { messageId: empty.id, contentType: "", body: "", id: 3 },
    ];
    const lines = linesIn(answer.stdout);
    expect(lines).toEqual(
      ["accountName", "hourlyLog"].flatMap((queue) =>
        facts.map(({ id, ...line }) => ({
          name: `${queue}:${id}`,
          reason: expect.stringMatching(/^MESSAGE_UNREADABLE: content type/),
          attempts: 1,
          deadAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          ...line,
        })),
      ),
    );
    for (const { deadAt } of lines) {
      expect(Date.parse(String(deadAt))).toBeGreaterThanOrEqual(before);
      expect(Date.parse(String(deadAt))).toBeLessThanOrEqual(Date.now());
    }
    // It looks, and takes nothing.
    expect((await deadLetters("export")).stdout).toBe(answer.stdout);
  });

  test("leaves out what --queue, --match, --limit and ids leave out, and without --limit nothing", async () => {
    const many = Array.from({ length: 250 }, (_, i) => rubbish("text/csv", `row ${i}`));
    await bury(many, ["accountName", "hourlyLog"]);
    const names = async (...words: readonly string[]) =>
      linesIn((await deadLetters("export", ...words)).stdout).map(({ name }) => name);
    expect(await names()).toHaveLength(500);
    expect(await names("--queue", "hourlyLog", "--limit", "2")).toEqual(["hourlyLog:1", "hourlyLog:2"]);
    expect(await names("--match", "ROW 249")).toEqual(["accountName:250", "hourlyLog:250"]);
    expect(await names("hourlyLog:7")).toEqual(["hourlyLog:7"]);
    const none = await deadLetters("export", "--match", "nothing of the kind");
    expect(none).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

describe("replay --repaired", () => {
  const cut = rubbish(json, '{"username":"ann","metric":');
  const csv = rubbish("text/csv", "bob,reads,7");
  const third = rubbish("text/csv", "left alone");
  const queues = ["accountName", "hourlyLog"] as const;
  const mended = (line: Line): Line => ({ ...line, contentType: json, body: plain("ann", 5) });

  test("puts back the letters that its lines name as they say, and no other", async () => {
    await bury([cut, csv, third], queues);
    const [first, second] = linesIn((await deadLetters("export", "--queue", "hourlyLog")).stdout);
    const lines = [
      // All but the name, the content type and the body may be gone or changed.
      { name: second?.["name"], contentType: `${json}; charset=utf-8`, body: plain("bob", 7) },
      "",
      mended({ ...first, reason: "mended", attempts: "many", messageId: "another" }),
    ];
    const answer = await replay(`\uFEFF${asText(lines).replaceAll("\n", "\r\n")}`, "--yes");
    expect(answer).toEqual({ code: 0, stdout: "replay: 2 of 2\n", stderr: "" });
    expect(await left("hourlyLog")).toEqual([["3", "left alone"]]);
    expect((await left("accountName")).map(([id]) => id)).toEqual(["1", "2", "3"]);
    expect(await worked("hourlyLog", 2, (_broker, store) => counted(store))).toEqual([
      { metric: "reads", count: 2, average: 6 },
    ]);
    expect(await backlog("hourlyLog")).toEqual({ ready: 0, unsettled: 0, deadLetters: 1 });
    expect(await backlog("accountName")).toEqual({ ready: 0, unsettled: 0, deadLetters: 3 });
  });

  test("reads a file, a body in base64, and of two lines that say the same one", async () => {
    await bury([cut], ["hourlyLog"]);
    const line = {
      name: "hourlyLog:1",
      contentType: json,
      bodyBase64: Buffer.from(plain("Zoë", 5)).toString("base64"),
    };
    const path = join(dataDir, "mended.ndjson");
    // Its last line need not end.
    await writeFile(path, asText([line, line]).trimEnd());
    const answer = await deadLetters("replay", "--repaired", path, "--yes");
    expect(answer).toEqual({ code: 0, stdout: "replay: 1 of 1\n", stderr: "" });
    expect(await worked("hourlyLog", 1, (_broker, store) => counted(store))).toEqual([
      { metric: "reads", count: 1, average: 5 },
    ]);
  });

  test("asks, and without a terminal and --yes does nothing and fails", async () => {
    await bury([cut], queues);
    const exported = linesIn((await deadLetters("export")).stdout);
    const answer = await replay(asText(exported.map(mended)));
    expect(answer).toMatchObject({ code: 1, stdout: "" });
    for (const part of ["accountName:1", "hourlyLog:1", "replay these 2?", "--yes"])
      expect(answer.stderr).toContain(part);
    expect(await left("hourlyLog")).toEqual([["1", '{"username":"ann","metric":']]);
  });

  test("tells of every line that cannot be followed, with its number, and then does nothing", async () => {
    await bury([cut, csv], queues);
    const [first, second] = linesIn((await deadLetters("export", "--queue", "hourlyLog")).stdout);
    const answer = await replay(
      asText([mended(first ?? {}), second ?? {}, "", "{", { ...mended({}), name: "hourlyLog:42" }]),
      "--yes",
    );
    expect(answer).toMatchObject({ code: 1, stdout: "nothing done\n" });
    const told = answer.stderr.trimEnd().split("\n");
    expect(told).toHaveLength(3);
    expect(told[0]).toBe('millrace: line 2: content type "text/csv" (--force replays it all the same)');
    expect(told[1]).toContain("millrace: line 4: this is not JSON: ");
    expect(told[2]).toBe("millrace: line 5: no dead letter is called hourlyLog:42");
    expect(await left("hourlyLog")).toHaveLength(2);
    expect(await backlog("hourlyLog")).toEqual({ ready: 0, unsettled: 0, deadLetters: 2 });
  });

  test("with --force puts back what is still not readable, and it becomes a dead letter again", async () => {
    await bury([cut], ["hourlyLog"]);
    const line = { name: "hourlyLog:1", contentType: json, body: "{still broken" };
    expect(await replay(asText([line]), "--yes")).toMatchObject({ code: 1, stdout: "nothing done\n" });
    const answer = await replay(asText([line]), "--yes", "--force");
    expect(answer).toEqual({ code: 0, stdout: "replay: 1 of 1\n", stderr: "" });
    await worked("hourlyLog", 1, () => Promise.resolve());
    expect((await left("hourlyLog")).map(([, body]) => body)).toEqual(["{still broken"]);
    const [again] = linesIn((await deadLetters("export")).stdout);
    expect(again).toMatchObject({ messageId: cut.id, attempts: 1, body: "{still broken" });
  });

  test.for([
    ["", "no lines"],
    ["\n \r\n\n", "empty lines"],
  ] as const)("does nothing with %j", async ([input]) => {
    await bury([cut], ["hourlyLog"]);
    expect(await replay(input, "--yes")).toEqual({
      code: 0,
      stdout: "no dead letters match\n",
      stderr: "",
    });
    expect(await left("hourlyLog")).toHaveLength(1);
  });

  test("counts an event under the id that it claimed, though a client has sent it again meanwhile", async () => {
    const event = { username: "ann", metric: "reads", count: 5, atMs: Date.now() - 1000, id: "id:e1" };
    const broken = encodeRows(randomUUIDv7(), [rowsOf([event])]);
    {
      await using store = await openEmbeddedStore(dataDir);
      await using broker = openBroker(dataDir);
      const refusing: ChangeStore = {
        claim: (claim, nowMs) => store.claim(claim, nowMs),
        erasures: () => store.erasures(),
        apply: () => Promise.reject(new MillraceError("CHANGE_REFUSED", "too wide")),
      };
      await workOff(broker, refusing, [broken], ["hourlyLog"]);
      await workOff(broker, store, [encodeRows(randomUUIDv7(), [rowsOf([event])])], ["hourlyLog"]);
      expect(await counted(store)).toEqual([]);
    }
    const [line] = linesIn((await deadLetters("export")).stdout);
    const body = String(line?.["body"]);
    const another = { ...line, body: body.replace(broken.id, randomUUIDv7()) };
    const refused = await replay(asText([another]), "--yes");
    expect(refused).toMatchObject({ code: 1, stdout: "nothing done\n" });
    expect(refused.stderr).toContain(`line 1: the id in the body is not ${broken.id}`);
    const answer = await replay(asText([{ ...line, body: body.replace('"reads",5', '"reads",9') }]), "--yes");
    expect(answer).toMatchObject({ code: 0, stdout: "replay: 1 of 1\n" });
    expect(await worked("hourlyLog", 1, (_broker, store) => counted(store))).toEqual([
      { metric: "reads", count: 1, average: 9 },
    ]);
  });
});

test("a line that cannot be followed is told with the reason, and an id may hold any characters", async () => {
  await bury([rubbish(json, "{")], ["hourlyLog"]);
  await using broker = openBroker(dataDir);
  const line = (fields: Line): string =>
    JSON.stringify({ name: "hourlyLog:1", contentType: json, body: plain("ann", 5), ...fields });
  const rows: readonly (readonly [string | Uint8Array, RegExp])[] = [
    [line({}).slice(0, -1), /^this is not JSON: /],
    [Uint8Array.of(0x22, 0xff, 0x22), /^this is not text in UTF-8$/],
    ["[]", /^this is not a JSON object$/],
    ["null", /^this is not a JSON object$/],
    [line({ name: undefined }), /^name must be as `list` prints it/],
    [line({ name: 17 }), /^name must be as `list` prints it/],
    [line({ name: "17" }), /^name must be as `list` prints it/],
    [line({ name: "hourlyLog:" }), /^name must be as `list` prints it/],
    [line({ name: "hourlylog:1" }), /^name must be as `list` prints it/],
    [line({ name: "toString:1" }), /^name must be as `list` prints it/],
    [line({ name: "hourlyLog:01" }), /^no dead letter is called hourlyLog:01$/],
    [line({ name: "accountName:1" }), /^no dead letter is called accountName:1$/],
    [line({ name: "hourlyLog:a:b c\n\u2028ü" }), /^no dead letter is called hourlyLog:a:b c\n\u2028ü$/],
    [line({ contentType: undefined }), /^contentType must be a string of at most 255 bytes$/],
    [line({ contentType: null }), /^contentType must be a string of at most 255 bytes$/],
    [
      line({ contentType: `application/json; ${"x".repeat(255)}` }),
      /^contentType must be a string of at most 255 bytes$/,
    ],
    [line({ body: undefined }), /^there must be one of body and bodyBase64, and not both$/],
    [line({ bodyBase64: "e30=" }), /^there must be one of body and bodyBase64, and not both$/],
    [line({ body: { username: "ann" } }), /^body must be a string/],
    [line({ body: "\ud800" }), /^body holds half a surrogate pair$/],
    [line({ body: undefined, bodyBase64: "e30" }), /^bodyBase64 must be base64/],
    [line({ body: undefined, bodyBase64: 5 }), /^bodyBase64 must be base64/],
    [line({ contentType: "text/csv" }), /^content type "text\/csv" \(--force /],
    [line({ body: "{" }), /^the body is not JSON in UTF-8 \(--force /],
    [line({ body: '{"username":"ann","metric":"reads","count":5}' }), /^timestamp is missing \(--force /],
    [line({ contentType: envelopeContentType, body: "{}" }), /not of schema .* \(--force /],
  ];
  for (const [text, reason] of rows) {
    const file = Buffer.concat([Buffer.from("\n"), Buffer.from(text), Buffer.from("\n")]);
    const { faults } = await repairedLetters(broker.deadLetters, file, "readable");
    expect(faults).toEqual([{ line: 2, reason: expect.stringMatching(reason) }]);
  }
  const both = Buffer.from(`${line({})}\n${line({ body: plain("bob", 5) })}\n`);
  const { faults } = await repairedLetters(broker.deadLetters, both, "any");
  expect(faults).toEqual([{ line: 2, reason: "line 1 names hourlyLog:1 too, and differs" }]);
  const { letters } = await repairedLetters(broker.deadLetters, Buffer.from(line({})), "readable");
  expect(letters).toMatchObject([{ id: "1", queue: "hourlyLog", reason: /not JSON/ }]);
});

describe("a question at a terminal", () => {
  const answers: readonly (readonly [string, (input: PassThrough) => void, string])[] = [
    ["y", (input) => void input.write("y\n"), "replay: 1 of 1"],
    ["Yes", (input) => void input.write(" Yes \n"), "replay: 1 of 1"],
    ["nothing", (input) => void input.write("\n"), "nothing done"],
    ["yesterday", (input) => void input.write("yesterday\n"), "nothing done"],
    ["the end of the input", (input) => void input.end(), "nothing done"],
  ];
  test.for(answers)("answered with %s", async ([, answer, said]) => {
    await bury([rubbish("text/csv", "ann,reads,5")], ["hourlyLog"]);
    await using broker = openBroker(dataDir);
    const input = Object.assign(new PassThrough(), { isTTY: true });
    let asked = "";
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        asked += chunk.toString();
        if (asked.endsWith("replay these 1? [y/N] ")) answer(input);
        done();
      },
    });
    const letters = await Array.fromAsync(broker.deadLetters.list("hourlyLog"), listedOf);
    const settling = { action: "replay", deadLetters: broker.deadLetters, letters } as const;
    expect(await settle({ ...settling, terminal: { input, output } })).toEqual({
      text: said,
      settled: said === "nothing done" ? 0 : 1,
    });
    const done = said !== "nothing done";
    expect(await broker.backlog("hourlyLog")).toMatchObject({
      ready: done ? 1 : 0,
      deadLetters: done ? 0 : 1,
    });
    expect(asked).toContain("hourlyLog:1");
  });
});

test("a running standalone counts a letter that was exported, mended and replayed exactly once", async () => {
  await using standalone = await startStandalone();
  await standalone.stop();
  {
    await using broker = openBroker(standalone.dataDir);
    await broker.publish(rubbish(json, plain("ann", 5).slice(0, -1)));
    await broker.publish(rubbish(json, plain("bob", 7)));
  }
  await standalone.restart();
  const at = ["--data-dir", standalone.dataDir];
  const exported = () => millrace("dead-letters", "export", ...at).then(({ stdout }) => linesIn(stdout));
  await vi.waitFor(async () => expect(await exported()).toHaveLength(3), { timeout: 15_000 });
  const lines = (await exported()).map((line): Line => ({ ...line, body: `${String(line["body"])}}` }));
  expect(lines.map(({ name }) => name)).toEqual(projectionNames.map((queue) => `${queue}:1`));
  const again = () =>
    millraceReading(asText(lines), "dead-letters", "replay", "--repaired", "-", "--yes", ...at);
  expect(await again()).toEqual({ code: 0, stdout: "replay: 3 of 3\n", stderr: "" });

  const ask = async (path: string): Promise<unknown> => (await fetch(`${standalone.queryUrl}${path}`)).json();
  const once = async () => {
    expect(await ask("/metrics/hourly_logs/total")).toMatchObject([{ _id: "reads", count: 2, average: 6 }]);
    expect(await ask("/metrics/distinct_names")).toMatchObject([{ count: 2 }]);
    expect(await ask("/accounts")).toHaveLength(2);
  };
  await vi.waitFor(once, { timeout: 15_000 });
  // The same file once more, and a restart, change nothing.
  const second = await again();
  expect(second).toMatchObject({ code: 1, stdout: "nothing done\n" });
  expect(second.stderr.trimEnd().split("\n")).toEqual(
    projectionNames.map((queue, i) => `millrace: line ${i + 1}: no dead letter is called ${queue}:1`),
  );
  await standalone.restart();
  await once();
  expect(await exported()).toEqual([]);
});
