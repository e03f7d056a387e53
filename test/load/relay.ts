import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import { type AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/**
 * What becomes of a request: `pass` hands it on; `wait` is answered 503 with Retry-After, and `broken` 500, and neither is handed on;
 * `hangUp` is handed on and not answered; `swallow` is answered 200 and not handed on; `double` is handed on twice, the second
 * time without the event's id.
 */
export type Fate = "pass" | "wait" | "broken" | "hangUp" | "swallow" | "double";

export interface Relay extends AsyncDisposable {
  readonly url: string;
  /** Requests that met each fate. */
  readonly counts: Readonly<Record<Fate, number>>;
}

/** In front of a collector: each post meets the next of the fates, in turn. */
export async function startRelay(collectorUrl: string, fates: readonly [Fate, ...Fate[]]): Promise<Relay> {
  const counts = { pass: 0, wait: 0, broken: 0, hangUp: 0, swallow: 0, double: 0 };
  let turn = 0;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    const fate = request.method === "POST" ? (fates[turn % fates.length] ?? "pass") : "pass";
    if (request.method === "POST") turn += 1;
    counts[fate] += 1;
    if (fate === "wait") return void response.writeHead(503, { "retry-after": "0" }).end("busy");
    if (fate === "broken") return void response.writeHead(500).end("broken");
    if (fate === "swallow") return void response.writeHead(200).end();
    const answer = await hand(collectorUrl, request, body);
    if (fate === "double") {
      const { id: _, ...event } = JSON.parse(body.toString()) as Record<string, unknown>;
      await hand(collectorUrl, request, Buffer.from(JSON.stringify(event)));
    }
    const text = await answer.text();
    if (fate === "hangUp") return void request.socket.resetAndDestroy();
    return void response.writeHead(answer.status, headersOf(answer)).end(text);
  };
  const server = createServer((request, response) => {
    void serve(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const passed = /^(content-type|content-encoding|ce-[\w-]+)$/;

async function hand(collectorUrl: string, request: IncomingMessage, body: Buffer): Promise<Response> {
  const headers = Object.entries(request.headers).filter(([name]) => passed.test(name)) as [string, string][];
  const method = request.method ?? "GET";
  return fetch(`${collectorUrl}${request.url}`, {
    method,
    headers,
    ...(method === "POST" ? { body: new Uint8Array(body) } : {}),
  });
}

function headersOf(answer: Response): Record<string, string> {
  const retryAfter = answer.headers.get("retry-after");
  return {
    "content-type": answer.headers.get("content-type") ?? "text/plain",
    ...(retryAfter === null ? {} : { "retry-after": retryAfter }),
  };
}
