import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import helmet from "@fastify/helmet";
import fastify, { type FastifyInstance } from "fastify";
import { type ErrorCode, MillraceError } from "../errors.ts";
import type { Emit } from "../signals.ts";
import { errorOf, problemContentType, problemOf, sendProblem } from "./problem.ts";

export interface ServerSettings {
  /** Longest time a request may take to arrive, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/** A fastify server that answers every error, its own included, with problem details, and 405 with `Allow`. */
export function createServer(settings: ServerSettings, emit: Emit): FastifyInstance {
  const server = fastify({
    logger: false,
    requestTimeout: settings.requestTimeoutMs,
    http: {
      headersTimeout: settings.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, settings.requestTimeoutMs),
    },
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: true },
    ajv: { customOptions: { coerceTypes: true, removeAdditional: false, allErrors: true } },
    frameworkErrors: (error, request, reply) => void sendProblem(reply, errorOf(error, request)),
    clientErrorHandler: answerBrokenRequest,
  });

  const methods = new Map<string, Set<string>>();
  server.addHook("onRoute", ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });

  server.setErrorHandler<Error>((thrown, request, reply) => {
    const error = errorOf(thrown, request);
    if (error.facts.status === 500) emit("request.failed", { route: request.routeOptions.url ?? "", error });
    return sendProblem(reply, error);
  });
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "";
    const allowed = methods.get(path);
    if (allowed === undefined) return sendProblem(reply, new MillraceError("NOT_FOUND", path.slice(0, 256)));
    void reply.header("allow", Array.from(allowed).join(", "));
    return sendProblem(reply, new MillraceError("METHOD_NOT_ALLOWED", `${request.method} on ${path}`));
  });
  return server;
}

/** Adds /openapi.json and /docs, made from the schemas of the routes registered after this. */
export async function describe(server: FastifyInstance, title: string, description: string): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title, description, version: "1", license: { name: "Apache-2.0" } },
    },
  });
  // In a scope of its own: the headers that guard a page in a browser cost every event time and give it nothing.
  await server.register(async (pages) => {
    await pages.register(helmet, {
      contentSecurityPolicy: {
        directives: { "style-src": ["'self'", "'unsafe-inline'"], "upgrade-insecure-requests": null },
      },
      strictTransportSecurity: false,
    });
    await pages.register(swaggerUi, { routePrefix: "/docs" });
  });
  server.get("/openapi.json", { schema: { hide: true } }, () => server.swagger());
}

/** What the HTTP parser refuses never becomes a request: the answer is written to the bare socket. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const code: ErrorCode = error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "BODY_TIMEOUT" : "MALFORMED_BODY";
  const problem = problemOf(new MillraceError(code, "this is not a well-formed HTTP request"));
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nconnection: close\r\n` +
      `content-type: ${problemContentType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
