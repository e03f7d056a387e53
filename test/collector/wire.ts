import { connect } from "node:net";

export type Text = string | Buffer;
export type Headers = Readonly<Record<string, string | undefined>>;

export const bytes = (...parts: readonly Text[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
export const lines = (...all: readonly string[]): string => all.map((line) => `${line}\r\n`).join("");

/** A request of HTTP/1.1 whose framing is right. A header that is undefined is left out. */
export function request(line: string, body: Text = "", headers: Headers = {}): Buffer {
  const length = Buffer.byteLength(body);
  const all: Headers = {
    host: "localhost",
    ...(length > 0 && { "content-length": `${length}` }),
    ...headers,
  };
  const given = Object.entries(all).filter(([, value]) => value !== undefined);
  return bytes(lines(`${line} HTTP/1.1`, ...given.map(([name, value]) => `${name}: ${value}`), ""), body);
}
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The whole answers in what a connection brought; an answer without a length lasts until the end. */
function answersIn(received: Buffer): readonly Answer[] {
  const answers: Answer[] = [];
  let rest = received;
  while (rest.includes("\r\n\r\n")) {
    const at = rest.indexOf("\r\n\r\n");
    const [first = "", ...headerLines] = rest.toString("latin1", 0, at).split("\r\n");
    const headers = new Map(
      headerLines.map((line): [string, string] => {
        const [name = "", ...value] = line.split(":");
        return [name.toLowerCase(), value.join(":").trim()];
      }),
    );
    const status = Number(/^HTTP\/1\.1 (\d{3})\b/.exec(first)?.[1]);
    const length = Number(headers.get("content-length") ?? rest.length - at - 4);
    if (rest.length < at + 4 + length) break;
    answers.push({ status, headers, body: rest.toString("utf8", at + 4, at + 4 + length) });
    rest = rest.subarray(at + 4 + length);
  }
  return answers;
}

/** How our side of the connection ends: after the last awaited answer, right after the bytes, or with a reset. */
export type End = "answered" | "half-closed" | "reset";

/** Sends bytes over a connection of their own, and resolves to all answers once the server has closed it. */
export function exchange(url: string, sent: Buffer, awaited: number, end: End): Promise<readonly Answer[]> {
  return new Promise((done, fail) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    const received = (): readonly Answer[] => answersIn(Buffer.concat(chunks));
    socket.setTimeout(10_000, () => {
      const got = JSON.stringify(Buffer.concat(chunks).toString().slice(0, 500));
      socket.destroy(new Error(`neither closed nor answered ${awaited} times in time: ${got}`));
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (received().length >= awaited) socket.end();
    });
    socket.on("error", (error: Error & { code?: string }) => {
      if (error.code === undefined) fail(error);
    });
    socket.once("close", () => done(received()));
    socket.write(sent, () => {
      if (end === "half-closed") socket.end();
      if (end === "reset") socket.resetAndDestroy();
    });
  });
}
