import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { counted, event, expectCounted, post, send } from "../collector/client.ts";
import { expectProblem } from "../collector/problem.ts";
import { event as eventRequest, json } from "../collector/requests.ts";
import { bytes, exchange, lines, request } from "../collector/wire.ts";
import { type Standalone, startStandalone } from "../flow/standalone.ts";
import { tryAttack } from "./try.ts";

const TIMEOUT_MS = 3000;
const hidden = JSON.stringify(event("hidden"));
/** What a smuggler hopes that the server takes for a request of its own. */
const behind =
  lines(
    "POST /event HTTP/1.1",
    "host: localhost",
    "content-type: application/json",
    `content-length: ${hidden.length}`,
    "",
  ) + hidden;

describe("on a standalone", () => {
  let millrace: Standalone;
  beforeAll(async () => {
    const environment = { MILLRACE_REQUEST_TIMEOUT_MS: String(TIMEOUT_MS) };
    millrace = await startStandalone({ environment, readyTimeoutMs: 100_000 });
  }, 110_000);
  afterAll(async () => {
    await millrace?.[Symbol.asyncDispose]();
  });

  tryAttack("oversizedBody", async (answered) => {
    for (const path of ["/event", "/events"]) {
      const said = request(`POST ${path}`, "", { ...json, "content-length": "10000000000" });
      const endless = bytes(
        lines(
          `POST ${path} HTTP/1.1`,
          "host: localhost",
          "content-type: application/json",
          "transfer-encoding: chunked",
          "",
        ),
        ...Array.from({ length: 512 }, () => `10000\r\n${"[".repeat(0x10000)}\r\n`),
      );
      for (const sent of [said, endless]) {
        const answers = await exchange(millrace.collectorUrl, sent, 1, "answered");
        expect(answers).toHaveLength(1);
        for (const answer of answers) {
          expectProblem(answer);
          expect(answer.headers.get("connection")).toBe("close");
          answered(answer.status);
        }
      }
    }
    await expectCounted(millrace, "none", 0);
  });

  const dripped = async (start: string, drop: string): Promise<readonly string[]> => {
    const sockets = Array.from({ length: 100 }, () =>
      connect(Number(new URL(millrace.collectorUrl).port), "127.0.0.1"),
    );
    const received = sockets.map((socket) => drip(socket, start, drop));
    for (let good = 0; good < 10; good += 1) {
      expect(await post(millrace, "/event", event("meanwhile"))).toMatchObject({ status: 200 });
    }
    return Promise.all(received);
  };
  const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);

  tryAttack("slowloris", async (answered) => {
    const start = "POST /event HTTP/1.1\r\nhost: localhost\r\n";
    answered(...(await dripped(start, "x: y\r\n")).map(statusOf));
  });
  tryAttack("slowBody", async (answered) => {
    const start = eventRequest("", { "content-length": "5000" }).toString();
    answered(...(await dripped(start, " ")).map(statusOf));
  });

  tryAttack("smuggling", async (answered) => {
    const head = ["POST /event HTTP/1.1", "host: localhost", "content-type: application/json"];
    const chunkedBehind = `${behind.length.toString(16)}\r\n${behind}\r\n0\r\n\r\n`;
    const tricks: readonly Buffer[] = [
      // CL.TE: what a proxy takes for the body ends with a request.
      bytes(
        lines(...head, `content-length: ${behind.length + 5}`, "transfer-encoding: chunked", ""),
        "0\r\n\r\n",
        behind,
      ),
      // TE.CL.
      bytes(lines(...head, "transfer-encoding: chunked", "content-length: 4", ""), chunkedBehind),
      // TE.TE: one of the two hides the other.
      ...[
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        '"chunked"',
        "chunked;q=1",
        "\tchunked\t, x",
      ].map((coding) =>
        bytes(lines(...head, `transfer-encoding: ${coding}`, `content-length: ${behind.length}`, ""), behind),
      ),
      bytes(
        lines(...head, "transfer-encoding: chunked", "transfer-encoding: identity", ""),
        "0\r\n\r\n",
        behind,
      ),
      bytes(lines(...head, "content-length: 0", `content-length: ${behind.length}`, ""), behind),
      bytes(lines(...head, `content-length: 0, ${behind.length}`, ""), behind),
      bytes(lines(...head, "content-length : 0", ""), behind),
      bytes(lines(...head, "content-length:\x0b0", ""), behind),
      bytes(lines(...head, "x: y", " content-length: 0", ""), behind),
      bytes(lines(...head).replaceAll("\r\n", "\n"), "content-length: 0\n\n", behind),
      bytes(lines(...head, "transfer-encoding: chunked", ""), "0\n\n", behind),
      bytes(lines(...head, "transfer-encoding: chunked", ""), "1\n{\r\n0\r\n\r\n", behind),
      bytes(lines(...head, "transfer-encoding: chunked", ""), "fffffffffffffffff\r\n{\r\n0\r\n\r\n", behind),
    ];
    for (const sent of tricks) {
      const answers = await exchange(millrace.collectorUrl, sent, 2, "answered");
      expect({ sent: sent.toString().slice(0, 200), answers: answers.length }).toMatchObject({ answers: 1 });
      answered(...answers.map(({ status }) => status));
    }
    await expectCounted(millrace, "hidden", 0);
  });

  tryAttack("pipelining", async (answered) => {
    const each = Array.from({ length: 200 }, (_, place) =>
      eventRequest(JSON.stringify(event("pipelined", { count: place }))),
    );
    const answers = await exchange(millrace.collectorUrl, bytes(...each), each.length, "answered");
    expect(answers).toHaveLength(each.length);
    answered(...answers.map(({ status }) => status));
    await expectCounted(millrace, "pipelined", each.length);
  });

  tryAttack("upgrade", async (answered) => {
    for (const to of ["h2c", "websocket", "TLS/1.0, HTTP/1.1"]) {
      const first = eventRequest(JSON.stringify(event("upgraded")), {
        connection: "Upgrade, HTTP2-Settings",
        upgrade: to,
        "http2-settings": "AAMAAABkAAQAAP__",
      });
      // Node reads no further on a connection that was to be another's.
      const answers = await exchange(millrace.collectorUrl, bytes(first, behind), 1, "answered");
      expect({ to, answers: answers.length }).toEqual({ to, answers: 1 });
      answered(...answers.map(({ status }) => status));
    }
    await expectCounted(millrace, "upgraded", 3);
    await expectCounted(millrace, "hidden", 0);
  });

  tryAttack("headerSplitting", async (answered) => {
    const username = "u\r\nset-cookie: a=b\r\n\r\n<script>";
    for (const metric of ["split 1", "split 2"])
      await post(millrace, "/event", { username, metric, count: 1 });
    await expect.poll(() => counted(millrace, "split 2"), { timeout: 20_000 }).toEqual([1, 1]);
    const search = `limit=1&username=${encodeURIComponent(username)}`;
    const path = `/metrics/hourly_logs/per_user?${search}`;
    const [answer] = await exchange(millrace.queryUrl, request(`GET ${path}`), 1, "answered");
    expect(answer?.headers.get("link")).toContain("%0D%0Aset-cookie");
    expect(answer?.headers.has("set-cookie")).toBe(false);
    answered(answer?.status ?? 0);
  });

  tryAttack(
    "traversal",
    async (answered) => {
      const ups = [
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "%252e%252e%252f",
        "..\\",
        "..%5c",
        "....//",
        ".%00./",
        "%c0%ae%c0%ae/",
        "\uff0e\uff0e/",
        "%ef%bc%8e%ef%bc%8e/",
      ];
      const folders = ["/console/", "/docs/static/", "/docs/", "/"];
      const files = ["package.json", "src/main.ts", "etc/passwd", "index.html"];
      for (const folder of folders) {
        for (const up of ups) {
          for (const file of files) {
            const path = `${folder}${up.repeat(6)}${file}`;
            const [answer] = await exchange(millrace.queryUrl, request(`GET ${path}`), 1, "answered");
            expect({ path, text: answer?.body }).toEqual({
              path,
              text: expect.not.stringMatching(/"private": true|root:|millrace standalone|readConfig|<html/),
            });
            answered(answer?.status ?? 0);
          }
        }
      }
      for (const target of ["file:///etc/passwd", "//127.0.0.1:1/", "/console/page-files.ts"]) {
        const [answer] = await exchange(millrace.queryUrl, request(`GET ${target}`), 1, "answered");
        answered(answer?.status ?? 0);
      }
      expect((await send("GET", `${millrace.queryUrl}/console/uplot.css`)).status).toBe(200);
    },
    240_000,
  );
});

/** Sends the start, and then a drop now and then, until the server ends the connection. Resolves to what it answered. */
async function drip(socket: Socket, start: string, drop: string): Promise<string> {
  let received = "";
  socket.setEncoding("latin1").on("data", (text: string) => (received += text));
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(start);
  const drops = setInterval(() => socket.write(drop), 200);
  await once(socket, "close");
  clearInterval(drops);
  return received;
}
