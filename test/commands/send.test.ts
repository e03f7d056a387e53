import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { judge } from "../../src/commands/post.ts";
import { send, sendDefaults, type SendOptions } from "../../src/commands/send.ts";

interface Request {
  readonly headers: IncomingHttpHeaders;
  readonly events: readonly Record<string, unknown>[];
  readonly atMs: number;
}
interface Reply {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}
/** Answers a request; "hangUp" cuts the connection instead. The number counts requests from 1. */
type Script = (request: Request, number: number) => Reply | "hangUp" | Promise<Reply | "hangUp">;

const taken = (request: Request, rejected: Record<number, string> = {}): Reply => {
  const results = Object.entries(rejected).map(([index, reason]) => {
    return { index: Number(index), id: null, status: "rejected", reason };
  });
  const accepted = request.events.length - results.length;
  return { status: accepted === 0 ? 400 : 200, body: { accepted, rejected: results.length, results } };
};

/** The remote side: a collector that does what the script says. */
async function collector(script: Script = (request) => taken(request)) {
  const requests: Request[] = [];
  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const body = Buffer.concat(await Array.fromAsync(incoming as AsyncIterable<Buffer>));
      const text = (incoming.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString();
      const events = text.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
      const request = { headers: incoming.headers, events, atMs: performance.now() };
      const reply = await script(request, requests.push(request));
      if (reply === "hangUp") return outgoing.destroy();
      outgoing.writeHead(reply.status, { "content-type": "application/json", ...reply.headers });
      return outgoing.end(JSON.stringify(reply.body ?? {}));
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await once(server.close(), "close");
  };
  return { url, requests, [Symbol.asyncDispose]: close };
}

/** A stream that keeps what is written to it, and tells of each write. */
class Kept extends Writable {
  text = "";
  isTTY?: boolean;
  columns?: number;
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    this.emit("kept");
    done();
  }
}

const folder = mkdtempSync(join(tmpdir(), "millrace-send-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
function fileOf(content: string | Uint8Array, ending = ".ndjson"): string {
  const path = join(folder, `${(files += 1)}${ending}`);
  writeFileSync(path, content);
  return path;
}
const ndjson = (events: readonly object[]): string => events.map((event) => JSON.stringify(event)).join("\n");
const numbered = (count: number): { username: string; metric: string; count: number }[] =>
  Array.from({ length: count }, (_, index) => ({
    username: `user-${index % 7}`,
    metric: "clicks",
    count: index,
  }));

async function run(options: Partial<SendOptions> & { url: string; file: string }) {
  const [stdout, stderr] = [new Kept(), new Kept()];
  const code = await send({
    ...sendDefaults,
    retryDelayMs: 1,
    writeKey: undefined,
    gzip: false,
    reportFiles: { rejects: undefined, failed: undefined },
    stdin: Readable.from([]),
    stdout,
    stderr,
    environment: {},
    stop: new AbortController().signal,
    ...options,
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** The figures of a summary, by their names. */
function figures(stdout: string): Record<string, number> {
  const rows = Array.from(stdout.matchAll(/^([a-z/ ]+?) {2,}([\d.]+)$/gm));
  return Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)]));
}
const tally = (sent: number, accepted: number, rejected: number, failed: number) => ({
  sent,
  accepted,
  rejected,
  failed,
});

/** What arrives of a CSV file; its ids apart from the rest. */
async function sendCsv(content: string | Uint8Array, options: Partial<SendOptions> = {}) {
  await using remote = await collector();
  const result = await run({ url: remote.url, file: fileOf(content, ".csv"), ...options });
  const events = remote.requests.flatMap((request) => request.events);
  return {
    ...result,
    events: events.map(({ id: _id, ...event }) => event),
    ids: events.map((event) => event["id"]),
  };
}

/** What is drawn while a request is in flight. */
async function watched(terminal: { isTTY?: boolean }, environment: Record<string, string>) {
  const stderr = Object.assign(new Kept(), terminal);
  const drawn = terminal.isTTY === true && Object.keys(environment).length === 0;
  await using remote = await collector(async (request) => {
    if (drawn) await once(stderr, "kept");
    return taken(request);
  });
  const { code } = await run({ url: remote.url, file: fileOf(ndjson(numbered(5))), stderr, environment });
  expect(code).toBe(0);
  return stderr.text;
}

describe("a file that the collector takes", () => {
  test("every event arrives with its content, in batches, and the exit code is 0", async () => {
    await using remote = await collector();
    const events = numbered(25);
    const { code, stdout, stderr } = await run({
      url: remote.url,
      file: fileOf(ndjson(events)),
      batchSize: 10,
    });
    expect(code).toBe(0);
    expect(figures(stdout)).toMatchObject({ ...tally(25, 25, 0, 0), "retried requests": 0 });
    expect(stderr).toBe("");
    const sizes = remote.requests.map((request) => request.events.length);
    expect(sizes.toSorted((a, b) => b - a)).toEqual([10, 10, 5]);
    const arrived = remote.requests.flatMap((request) => request.events);
    const byCount = arrived.toSorted((a, b) => Number(a["count"]) - Number(b["count"]));
    expect(byCount.map(({ id: _id, ...event }) => event)).toEqual(events);
    expect(remote.requests[0]?.headers["content-type"]).toBe("application/x-ndjson");
  });

  test("an event without an id gets one of its own, and an id that is there is kept", async () => {
    await using remote = await collector();
    const file = fileOf(
      '{"username":"a","metric":"m","count":1,"id":"mine"}\n{"username":"b","metric":"m","count":1}\n {} \n',
    );
    expect((await run({ url: remote.url, file })).code).toBe(0);
    const ids = remote.requests.flatMap((request) => request.events.map((event) => event["id"]));
    expect(ids[0]).toBe("mine");
    expect(ids[1]).toMatch(/^[\da-f]{8}-[\da-f]{4}-7/);
    expect(new Set(ids).size).toBe(3);
  });

  test("a number keeps all the digits it was written with", async () => {
    let body = "";
    const server = createServer((incoming, outgoing) => {
      incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
      incoming.on("end", () => outgoing.end(JSON.stringify({ accepted: 1, rejected: 0, results: [] })));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const file = fileOf('{"username":"a","metric":"m","count":9007199254740993}');
    expect((await run({ url, file })).code).toBe(0);
    expect(body).toContain('"count":9007199254740993');
    server.closeAllConnections();
    server.close();
  });

  test("with gzip the bodies are compressed", async () => {
    await using remote = await collector();
    const { code } = await run({ url: remote.url, file: fileOf(ndjson(numbered(100))), gzip: true });
    expect(code).toBe(0);
    expect(remote.requests[0]?.headers["content-encoding"]).toBe("gzip");
    expect(remote.requests[0]?.events).toHaveLength(100);
  });

  test("the write key goes into the header and into no output", async () => {
    await using remote = await collector(() => ({ status: 503 }));
    const writeKey = "k3y-that-nobody-sees";
    const file = fileOf(ndjson(numbered(1)));
    const { stdout, stderr } = await run({ url: remote.url, file, writeKey, retries: 1 });
    expect(remote.requests[0]?.headers.authorization).toBe(`Bearer ${writeKey}`);
    expect(stdout + stderr).not.toContain(writeKey);
    const unfit = await run({ url: remote.url, file, writeKey: `${writeKey}\n` });
    expect(unfit.code).toBe(1);
    expect(unfit.stdout + unfit.stderr).not.toContain(writeKey);
  });

  test("an address with a path in front of /events keeps it", async () => {
    const paths: (string | undefined)[] = [];
    const server = createServer((incoming, outgoing) => {
      paths.push(incoming.url);
      outgoing.end(JSON.stringify({ accepted: 1, rejected: 0, results: [] }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const file = fileOf(ndjson(numbered(1)));
    for (const url of [base, `${base}/`, `${base}/ingest/`]) expect((await run({ url, file })).code).toBe(0);
    expect(paths).toEqual(["/events", "/events", "/ingest/events"]);
    server.closeAllConnections();
    server.close();
  });

  test("a batch is closed before it grows over a mebibyte", async () => {
    const sizes: number[] = [];
    await using remote = await collector((request) => {
      sizes.push(Number(request.headers["content-length"]));
      return taken(request);
    });
    const events = Array.from({ length: 30 }, (_, index) => ({ username: "x".repeat(100_000), index }));
    expect((await run({ url: remote.url, file: fileOf(ndjson(events)) })).code).toBe(0);
    expect(sizes.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
  });

  test("an empty file is no error", async () => {
    for (const file of [fileOf(""), fileOf("\n\n"), fileOf("", ".csv")]) {
      const { code, stdout } = await run({ url: "http://127.0.0.1:9", file });
      expect([code, figures(stdout)["sent"]]).toEqual([0, 0]);
    }
  });
});

describe("a collector that fails", () => {
  test("a request is tried again after 408, 429, 5xx and a lost connection, with the same ids", async () => {
    const script: (Reply | "hangUp")[] = [408, 429, 500, 502, 503].map((status) => ({ status }));
    script.push("hangUp");
    await using remote = await collector((request, number) => script[number - 1] ?? taken(request));
    const { code, stdout } = await run({ url: remote.url, file: fileOf(ndjson(numbered(20))) });
    expect(code).toBe(0);
    expect(figures(stdout)).toMatchObject({ ...tally(20, 20, 0, 0), "retried requests": 6 });
    const tries = remote.requests.map((request) => request.events.map((event) => event["id"]));
    expect(tries).toHaveLength(7);
    for (const ids of tries) expect(ids).toEqual(tries[0]);
    expect(new Set(tries[0]).size).toBe(20);
  });

  test("Retry-After is waited for", async () => {
    await using remote = await collector((request, number) =>
      number === 1 ? { status: 503, headers: { "retry-after": "1" } } : taken(request),
    );
    expect((await run({ url: remote.url, file: fileOf(ndjson(numbered(1))) })).code).toBe(0);
    const [first, second] = remote.requests;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(995);
  });

  test("a Retry-After of seconds and one of a date are both understood", () => {
    const nowMs = Date.parse("2026-11-24T06:00:00Z");
    const afterMs = (retryAfter: string | null): number | undefined => {
      const verdict = judge({ status: 429, retryAfter, body: "" }, 1, nowMs);
      return verdict.kind === "later" ? verdict.afterMs : -1;
    };
    expect(afterMs("7")).toBe(7000);
    expect(afterMs("Tue, 24 Nov 2026 06:00:30 GMT")).toBe(30_000);
    expect(afterMs("Tue, 24 Nov 2026 05:00:00 GMT")).toBe(0);
    expect(afterMs("soon")).toBeUndefined();
    expect(afterMs(null)).toBeUndefined();
  });

  test("a try that gets no answer in time is given up and made again", async () => {
    const never = Promise.withResolvers<Reply>();
    await using remote = await collector((request, number) =>
      number === 1 ? never.promise : taken(request),
    );
    const { code, stdout } = await run({
      url: remote.url,
      file: fileOf(ndjson(numbered(1))),
      timeoutMs: 100,
    });
    expect([code, figures(stdout)["retried requests"]]).toEqual([0, 1]);
  });

  test("events that no try brought home are counted as failed, named by line and written with their ids", async () => {
    await using remote = await collector((request) =>
      request.events.some((event) => event["count"] === 12)
        ? { status: 503, body: { title: "Too much" } }
        : taken(request),
    );
    const failed = join(folder, "failed.ndjson");
    const { code, stdout } = await run({
      url: remote.url,
      file: fileOf(`\n${ndjson(numbered(30))}`),
      batchSize: 10,
      retries: 2,
      reportFiles: { rejects: undefined, failed },
    });
    expect(code).toBe(1);
    expect(figures(stdout)).toMatchObject({ ...tally(30, 20, 0, 10), "retried requests": 2 });
    expect(stdout).toContain("lines 12 to 21 failed: the collector answers 503: Too much (3 tries)\n");
    const written = readFileSync(failed, "utf8").trimEnd().split("\n");
    const posted = remote.requests.find((request) => request.events[0]?.["count"] === 10);
    expect(written.map((line) => JSON.parse(line) as unknown)).toEqual(posted?.events);
  });

  test("a connection that is refused fails with its reason", async () => {
    const { code, stdout } = await run({
      url: "http://127.0.0.1:9",
      file: fileOf(ndjson(numbered(1))),
      retries: 0,
    });
    expect(code).toBe(1);
    expect(stdout).toMatch(/line 1 failed: no answer: .+ \(1 try\)/);
  });
});

describe("a collector that refuses", () => {
  test("a batch that is too large is halved until it passes", async () => {
    await using remote = await collector((request) =>
      request.events.length > 3 ? { status: 413 } : taken(request),
    );
    const { code, stdout } = await run({ url: remote.url, file: fileOf(ndjson(numbered(20))) });
    expect(code).toBe(0);
    expect(figures(stdout)).toMatchObject(tally(20, 20, 0, 0));
    const sizes = remote.requests.map((request) => request.events.length);
    expect(sizes).toEqual([20, 10, 5, 2, 3, 5, 2, 3, 10, 5, 2, 3, 5, 2, 3]);
    const arrived = remote.requests
      .filter((request) => request.events.length <= 3)
      .flatMap(({ events }) => events);
    expect(arrived.map((event) => event["count"])).toEqual(numbered(20).map((event) => event.count));
  });

  test("a single event that is too large is rejected, and the others are taken", async () => {
    await using remote = await collector((request) =>
      request.events.some((event) => event["count"] === 4)
        ? { status: 413, body: { title: "Too large" } }
        : taken(request),
    );
    const { code, stdout } = await run({ url: remote.url, file: fileOf(ndjson(numbered(8))) });
    expect(code).toBe(1);
    expect(figures(stdout)).toMatchObject(tally(8, 7, 1, 0));
    expect(stdout).toContain("line 5: the collector answers 413: Too large\n");
  });

  test("rejected events are told by their line in the file and the collector's reason", async () => {
    await using remote = await collector((request) => {
      const bad = request.events.flatMap((event, index) => (event["count"] === "x" ? [index] : []));
      return taken(request, Object.fromEntries(bad.map((index) => [index, `count is "x" at ${index}`])));
    });
    const content = [
      '{"count":1}',
      "",
      '{"count":"x"}',
      "  ",
      '{"count":2}',
      '{"count":"x"}',
      '{"count":"x"}',
    ].join("\n");
    const rejects = join(folder, "rejects.ndjson");
    const { code, stdout } = await run({
      url: remote.url,
      file: fileOf(content),
      batchSize: 2,
      concurrency: 1,
      reportFiles: { rejects, failed: undefined },
    });
    expect(code).toBe(1);
    expect(figures(stdout)).toMatchObject(tally(5, 2, 3, 0));
    const lines = stdout.split("\n").filter((line) => line.startsWith("line "));
    expect(lines).toEqual([
      'line 3: count is "x" at 1',
      'line 6: count is "x" at 1',
      'line 7: count is "x" at 0',
    ]);
    const written = readFileSync(rejects, "utf8").trimEnd().split("\n");
    expect(written.map((line) => JSON.parse(line) as unknown)).toEqual([
      { line: 3, reason: 'count is "x" at 1' },
      { line: 6, reason: 'count is "x" at 1' },
      { line: 7, reason: 'count is "x" at 0' },
    ]);
  });

  test("at most twenty rejected lines are shown, the first ones of the file", async () => {
    await using remote = await collector();
    const { stdout } = await run({ url: remote.url, file: fileOf("bad\n".repeat(33)) });
    const shown = stdout.split("\n").filter((line) => line.startsWith("line "));
    expect(shown.map((line) => Number(/\d+/.exec(line)?.[0]))).toEqual(
      Array.from({ length: 20 }, (_, at) => at + 1),
    );
    expect(stdout).toContain("and 13 more lines\n");
  });

  test("a refused body without results rejects every line of it", async () => {
    await using remote = await collector(() => ({
      status: 400,
      body: { title: "Unreadable", detail: "why" },
    }));
    const { code, stdout } = await run({ url: remote.url, file: fileOf(ndjson(numbered(2))) });
    expect([code, figures(stdout)]).toMatchObject([1, tally(2, 0, 2, 0)]);
    expect(stdout).toContain("line 2: the collector answers 400: Unreadable: why\n");
  });

  for (const status of [401, 403, 404, 302]) {
    test(`${status} stops everything with a clear message`, async () => {
      await using remote = await collector(() => ({
        status,
        headers: { location: "http://127.0.0.1:9/" },
        body: { title: "Not for you" },
      }));
      const { code, stdout, stderr } = await run({
        url: remote.url,
        file: fileOf(ndjson(numbered(1000))),
        batchSize: 10,
        concurrency: 2,
      });
      expect(code).toBe(1);
      expect(stderr).toBe(`millrace send: stopped, since the collector answers ${status}: Not for you\n`);
      expect(remote.requests.length).toBeLessThanOrEqual(4);
      expect(figures(stdout)).toMatchObject({ accepted: 0, "retried requests": 0 });
      expect(stdout).toMatch(/stopped at line \d+: nothing from there on was sent/);
    });
  }

  test("an answer that does not account for every event is not believed", async () => {
    const answers: unknown[] = [
      "welcome",
      { accepted: 1, rejected: 0, results: [] },
      { accepted: 1, rejected: 1, results: [{ index: 2, status: "rejected", reason: "?" }] },
    ];
    for (const body of answers) {
      await using remote = await collector(() => ({ status: 200, body }));
      const { code, stderr } = await run({ url: remote.url, file: fileOf(ndjson(numbered(2))) });
      expect([code, stderr]).toEqual([
        1,
        "millrace send: stopped, since the answer is not one of a collector\n",
      ]);
    }
  });

  test("control characters in a reason do not reach the terminal", async () => {
    await using remote = await collector((request) => taken(request, { 0: "\u001B[2Jcleared\u009B" }));
    const { stdout } = await run({ url: remote.url, file: fileOf("{}\n\u001B[31mred") });
    expect(stdout).toContain("line 1: �[2Jcleared�\n");
    for (const control of ["\u001B", "\u009B"]) expect(stdout).not.toContain(control);
  });
});

describe("NDJSON that is not in order", () => {
  test("lines that are no JSON objects are rejected by number, and the rest is sent", async () => {
    await using remote = await collector();
    const content = Buffer.concat([
      Buffer.from('\uFEFF{"count":1}\r\n\r\n{"count":2\n[1]\nnull\n"text"\n'),
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x0a]),
      Buffer.from('{"count":3}'),
    ]);
    const { code, stdout } = await run({ url: remote.url, file: fileOf(content) });
    expect(code).toBe(1);
    expect(remote.requests.flatMap(({ events }) => events.map((event) => event["count"]))).toEqual([1, 3]);
    expect(figures(stdout)).toMatchObject(tally(2, 2, 5, 0));
    const lines = stdout.split("\n").filter((line) => line.startsWith("line "));
    expect(lines[0]).toMatch(/^line 3: this is not JSON: /);
    expect(lines.slice(1)).toEqual([
      "line 4: this is not a JSON object",
      "line 5: this is not a JSON object",
      "line 6: this is not a JSON object",
      "line 7: this is not text in UTF-8",
    ]);
  });

  test("a line over a mebibyte is rejected by number, and one of just a mebibyte is sent", async () => {
    await using remote = await collector();
    const exact = '{"count":1}'.padEnd(1024 * 1024, " ");
    const content = `{"count":0}\n${exact}\n${exact} \n{"count":2}\n${"x".repeat(3_000_000)}`;
    const { code, stdout } = await run({ url: remote.url, file: fileOf(content) });
    expect(code).toBe(1);
    expect(remote.requests.flatMap(({ events }) => events.map((event) => event["count"]))).toEqual([0, 1, 2]);
    expect(stdout.split("\n").filter((line) => line.startsWith("line "))).toEqual([
      "line 3: this is longer than 1048576 bytes",
      "line 5: this is longer than 1048576 bytes",
    ]);
  });

  test("it makes no difference where the input is cut into pieces", async () => {
    const content = Buffer.from('\uFEFF{"count":1,"username":"ü€😀"}\r\nbad\n\n{"count":2}');
    for (const size of [1, 2, 3, 7]) {
      await using remote = await collector();
      const pieces = Array.from({ length: Math.ceil(content.length / size) }, (_, at) =>
        content.subarray(at * size, (at + 1) * size),
      );
      const { stdout } = await run({ url: remote.url, file: "-", stdin: Readable.from(pieces) });
      const events = remote.requests.flatMap((request) => request.events);
      expect(events.map((event) => event["username"] ?? event["count"])).toEqual(["ü€😀", 2]);
      expect(stdout).toContain("line 2: this is not JSON");
    }
  });
});

describe("CSV", () => {
  test("quotes, commas, newlines, CRLF and a byte order mark are read as RFC 4180 says", async () => {
    const content =
      '\uFEFF"metric",username,count\r\n' +
      'clicks,"Smith, ""Jo""",1\r\n' +
      '"a\r\nb\nc",plain,2\r\n' +
      "\r\n" +
      '"",  spaces ,-3\n' +
      "last,ü,4";
    const { code, events } = await sendCsv(content);
    expect(code).toBe(0);
    expect(events).toEqual([
      { metric: "clicks", username: 'Smith, "Jo"', count: 1 },
      { metric: "a\r\nb\nc", username: "plain", count: 2 },
      { metric: "", username: "  spaces ", count: -3 },
      { metric: "last", username: "ü", count: 4 },
    ]);
  });

  test("columns may come in any order, and an empty id or timestamp is absent", async () => {
    const content =
      "timestamp,count,id,metric,username\n2026-01-02T03:04:05Z,1,one,m,u\n,2,,m,u\n1767323045000,3,,m,u\n";
    const { code, events, ids } = await sendCsv(content);
    expect(code).toBe(0);
    expect(events).toEqual([
      { timestamp: "2026-01-02T03:04:05Z", count: 1, metric: "m", username: "u" },
      { count: 2, metric: "m", username: "u" },
      { timestamp: 1_767_323_045_000, count: 3, metric: "m", username: "u" },
    ]);
    expect(ids[0]).toBe("one");
    expect(new Set(ids).size).toBe(3);
  });

  test("a record that cannot be read is rejected by the line it begins on, and the rest is sent", async () => {
    const content = [
      "username,metric,count",
      'u,"two\nlines",1',
      "u,m,many",
      "u,m,",
      "u,m,0x10",
      "u,m",
      "u,m,1,2",
      'u,"m"x,1',
      'u,5" pipe,1',
      "u,m,1e3",
      'u,"never closed,1',
      "u,m,5",
    ].join("\n");
    const { code, stdout, events } = await sendCsv(content);
    expect(code).toBe(1);
    expect(events.map((event) => event["count"])).toEqual([1, 1000]);
    expect(stdout.split("\n").filter((line) => line.startsWith("line "))).toEqual([
      'line 4: count is "many"; it must be a number',
      'line 5: count is ""; it must be a number',
      'line 6: count is "0x10"; it must be a number',
      "line 7: this has 2 fields; the header names 3",
      "line 8: this has 4 fields; the header names 3",
      "line 9: there is text between a closing quote and the comma",
      "line 10: there is a quote within a field that is not quoted",
      "line 12: a quoted field is never closed (lines 12 to 13)",
    ]);
  });

  test("a record over a mebibyte is rejected with the lines it takes", async () => {
    const long = `u,"${"x\n".repeat(700_000)}",1`;
    const { code, stdout, events } = await sendCsv(`username,metric,count\n${long}\nu,m,2\n`);
    expect(code).toBe(1);
    expect(events.map((event) => event["count"])).toEqual([2]);
    expect(stdout).toContain("line 2: this is longer than 1048576 bytes (lines 2 to 700002)\n");
  });

  test("a header that cannot be used stops with what is wrong", async () => {
    const faults = {
      "username,count": "the CSV header has no column metric",
      "username,metric,count,colour":
        'the CSV header names "colour"; the columns are username, metric, count, id, timestamp',
      "username,metric,count,count": 'the CSV header names "count" twice',
      '"username,metric,count': "the CSV header cannot be read: a quoted field is never closed",
    };
    for (const [header, fault] of Object.entries(faults)) {
      const file = fileOf(`${header}\nu,m,1\n`, ".csv");
      const { code, stderr, events } = await sendCsv("", { file });
      expect([code, stderr, events]).toEqual([1, `millrace send: cannot read ${file}: ${fault}\n`, []]);
    }
  });

  test("the format can be said where the file's ending does not", async () => {
    const { code, events } = await sendCsv("", {
      file: "-",
      format: "csv",
      stdin: Readable.from([Buffer.from("username,metric,count\nu,m,1")]),
    });
    expect([code, events]).toEqual([0, [{ username: "u", metric: "m", count: 1 }]]);
  });
});

describe("a long or endless input", () => {
  test("no more is read than the requests in flight may hold", async () => {
    const piece = Buffer.from(
      `${JSON.stringify({ username: "x".repeat(950), metric: "m", count: 1 })}\n`.repeat(64),
    );
    let [read, answered, most] = [0, 0, 0];
    function* pieces(): Generator<Buffer> {
      for (let count = 0; count < 1500; count += 1) {
        read += 64;
        most = Math.max(most, read - answered);
        yield piece;
      }
    }
    await using remote = await collector((request) => {
      answered += request.events.length;
      return taken(request);
    });
    const stdin = Readable.from(pieces(), { highWaterMark: 1 });
    const { code, stdout } = await run({ url: remote.url, file: "-", stdin, concurrency: 2, batchSize: 500 });
    expect([code, figures(stdout)["accepted"]]).toEqual([0, 96_000]);
    // Two batches in flight, one that waits for its turn, and what lies between.
    expect(most).toBeLessThanOrEqual(4 * 500);
  });

  test("a line that never ends is not held", async () => {
    let most = 0;
    function* pieces(): Generator<Buffer> {
      for (let count = 0; count < 512; count += 1) {
        most = Math.max(most, process.memoryUsage().arrayBuffers);
        yield Buffer.alloc(1024 * 1024, "x");
      }
    }
    const before = process.memoryUsage().arrayBuffers;
    const stdin = Readable.from(pieces(), { highWaterMark: 1 });
    const { code, stdout } = await run({ url: "http://127.0.0.1:9", file: "-", stdin });
    expect([code, figures(stdout)]).toMatchObject([1, tally(0, 0, 1, 0)]);
    expect(most - before).toBeLessThan(256 * 1024 * 1024);
  });

  test("an input that falls silent does not hold back what it has given", async () => {
    const arrived = Promise.withResolvers<void>();
    await using remote = await collector((request) => {
      arrived.resolve();
      return taken(request);
    });
    const stdin = new PassThrough();
    const done = run({ url: remote.url, file: "-", stdin });
    stdin.write('{"count":1}\n');
    await arrived.promise;
    stdin.end();
    expect((await done).code).toBe(0);
  });

  test("a stop finishes what is in flight, reads no further and says where it stopped", async () => {
    const stop = new AbortController();
    const release = Promise.withResolvers<void>();
    await using remote = await collector(async (request) => {
      stop.abort();
      await release.promise;
      return taken(request);
    });
    const stdin = new PassThrough();
    stdin.write(`${ndjson(numbered(25))}\n`);
    const done = run({ url: remote.url, file: "-", stdin, batchSize: 10, concurrency: 1, stop: stop.signal });
    await once(stop.signal, "abort");
    release.resolve();
    const { code, stdout } = await done;
    expect(code).toBe(1);
    expect(figures(stdout)).toMatchObject(tally(10, 10, 0, 0));
    expect(stdout).toContain("stopped at line 11: nothing from there on was sent\n");
  });

  test("a stop ends the wait for a silent input", async () => {
    await using remote = await collector();
    const stop = new AbortController();
    const done = run({ url: remote.url, file: "-", stdin: new PassThrough(), stop: stop.signal });
    stop.abort();
    expect((await done).code).toBe(1);
  });

  test("a stop makes no further try of a request that failed", async () => {
    const stop = new AbortController();
    await using remote = await collector(() => {
      stop.abort();
      return { status: 503, headers: { "retry-after": "60" } };
    });
    const { code, stdout } = await run({
      url: remote.url,
      file: fileOf(ndjson(numbered(3))),
      stop: stop.signal,
    });
    expect([code, figures(stdout)]).toMatchObject([1, tally(3, 0, 0, 3)]);
    expect(remote.requests).toHaveLength(1);
  });
});

describe("what the user sees", () => {
  test("a terminal gets a progress bar, which is gone at the end", async () => {
    const text = await watched({ isTTY: true }, {});
    expect(text).toMatch(/\r.*█{24}.* 100% of 0\.0 MiB {2}0 events\/s {2}0 accepted/);
    expect(text.endsWith("\r\u001B[K")).toBe(true);
  });

  test("nothing is drawn elsewhere, in CI and on a dumb terminal", async () => {
    expect(await watched({ isTTY: false }, {})).toBe("");
    expect(await watched({ isTTY: true }, { CI: "true" })).toBe("");
    expect(await watched({ isTTY: true }, { TERM: "dumb" })).toBe("");
  });

  test("a file or an address that cannot be used is told plainly", async () => {
    const missing = await run({ url: "http://127.0.0.1:9", file: join(folder, "missing") });
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("ENOENT")]);
    for (const url of ["localhost", "ftp://host", "http://user:secret@host"]) {
      const { code, stderr } = await run({ url, file: fileOf("{}") });
      expect([code, stderr]).toEqual([1, expect.stringContaining("the address of the collector must")]);
      expect(stderr).not.toContain("secret");
    }
  });
});
