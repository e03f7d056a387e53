import { request } from "node:http";

export type Row = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
  /** Of an answer that is a list. */
  readonly rows: readonly Row[];
  readonly next: string | undefined;
}

/** Asks for a path exactly as it is written: fetch would resolve `..`, even an escaped one. */
export function ask(queryUrl: string, path: string, method = "GET"): Promise<Answer> {
  return new Promise((done, fail) => {
    const { hostname, port } = new URL(queryUrl);
    const asked = request({ hostname, port, path, method }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", fail);
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString();
        const body: unknown = text === "" ? undefined : JSON.parse(text);
        const { statusCode: status = 0, headers } = response;
        const next = /^<(.+)>; rel="next"$/.exec(String(headers["link"] ?? ""))?.[1];
        done({ status, headers, body, rows: Array.isArray(body) ? (body as Row[]) : [], next });
      });
    });
    asked.once("error", fail).end();
  });
}
