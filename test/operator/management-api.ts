import { once } from "node:events";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Certificate } from "./certificate.ts";
import { portOf } from "../parts/ports.ts";

/** Answers in place of RabbitMQ's management API, as it is told to. */
export interface ManagementApi extends AsyncDisposable {
  /** Ends with a slash. */
  readonly url: string;
  /** Every request, from the first: method and path with its query. */
  readonly requests: readonly string[];
  /** Connections that were opened. */
  readonly connections: () => number;
}

/** `answer` gets the path below `/api/`, without the query. */
export type Answering = (path: string, response: ServerResponse, query: URLSearchParams) => void;

export async function managementApi(answer: Answering, tls?: Certificate): Promise<ManagementApi> {
  const requests: string[] = [];
  let connections = 0;
  const listener: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const url = new URL(request.url ?? "", "http://api");
    answer(url.pathname.slice("/api/".length), response, url.searchParams);
  };
  const server: Server =
    tls === undefined ? createServer(listener) : createTlsServer({ cert: tls.pem, key: tls.key }, listener);
  server.on("connection", () => {
    connections += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http${tls === undefined ? "" : "s"}://127.0.0.1:${portOf(server)}/`,
    requests,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** What `GET /api/overview` answers of a broker with so many queues; `more` goes over it. */
export const overview = (queues: number, more: object = {}): object => ({
  rates_mode: "basic",
  disable_stats: false,
  object_totals: { queues },
  ...more,
});

/** A queue as in an answer; `more` goes over it. */
export const queue = (name: string, more: object = {}): object => ({
  vhost: "/",
  name,
  messages_ready: 0,
  messages_unacknowledged: 0,
  consumers: 0,
  ...more,
});
