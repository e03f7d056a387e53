import type { IncomingMessage, ServerResponse } from "node:http";
import { Server as TlsServer } from "node:tls";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import helmet from "@fastify/helmet";
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type HTTPMethods,
} from "fastify";
import { MillraceError } from "../errors.ts";
import type { CertificateSource } from "../ports/certificates.ts";
import type { Emit } from "../signals.ts";
import { answerBrokenRequest, endOnClose } from "./connection.ts";
import { type HostRules, refuseOtherHosts } from "./host.ts";
import { KEY_SCHEME } from "./keys.ts";
import { errorOf, noSniffing, problemContentType, problemOf, sendProblem } from "./problem.ts";

export interface ServerSettings extends HostRules {
  /** With these, TLS is spoken; with a `ca` among them, to clients alone that prove themselves by it. */
  readonly certificates?: CertificateSource | undefined;
  /** Longest time a request may take to arrive, in milliseconds. */
  readonly requestTimeoutMs: number;
}

/** A fastify server that answers every error, its own included, with problem details, and 405 with `Allow`. */
export function createServer(settings: ServerSettings, emit: Emit): FastifyInstance {
  const server = fastify({
    logger: false,
    // On a node with too much to do, its 10 s pass before the plugins are read; a probe ends what never starts.
    pluginTimeout: 60_000,
    requestTimeout: settings.requestTimeoutMs,
    ...listenerOf(settings),
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: true },
    ajv: {
      // Formats are for who reads the description: the handlers judge them, and say what is wrong in better words.
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        allErrors: true,
        validateFormats: false,
      },
    },
    frameworkErrors: (error, _request, reply) =>
      void sendProblem(reply, new MillraceError("INVALID_URL", error.message.slice(0, 256))),
    clientErrorHandler: answerBrokenRequest,
  });

  server.server.on("checkExpectation", (_request, response: ServerResponse) => {
    const problem = problemOf(new MillraceError("EXPECTATION_FAILED", "only 100-continue is met"));
    const body = JSON.stringify(problem);
    response
      .writeHead(problem.status, {
        "content-type": problemContentType,
        [noSniffing[0]]: noSniffing[1],
        "content-length": Buffer.byteLength(body),
        connection: "close",
      })
      .end(body);
  });
  endOnClose(server);
  settings.certificates?.onChange(() => {
    if (server.server instanceof TlsServer)
      server.server.setSecureContext(settings.certificates?.current ?? {});
  });
  server.addHook("onRequest", (request, reply, done) => {
    void reply.header(...noSniffing);
    done(requestFault(request.raw));
  });
  refuseOtherHosts(server, settings);

  const methods = new Set<HTTPMethods>();
  server.addHook("onRoute", ({ url, method }) => {
    // Where CORS is on, OPTIONS has a route for every path, known or not.
    if (url !== "*") for (const one of [method].flat()) methods.add(one);
  });

  // The router finds a handler of its own for `OPTIONS *`, which names no path.
  const routeOf = (method: HTTPMethods, path: string): boolean =>
    path !== "*" && Boolean(server.findRoute({ method, url: path }));

  server.setErrorHandler<Error>((thrown, request, reply) => {
    const error = errorOf(thrown, request);
    if (error.facts.status === 500) emit("request.failed", { route: request.routeOptions.url ?? "", error });
    return sendProblem(reply, error);
  });
  // Before the body is read: one that nobody wants is not judged.
  server.addHook("preParsing", (request, reply, _payload, done) => {
    if (!request.is404) return done();
    void refuse(request, reply);
  });
  server.setNotFoundHandler(refuse);
  function refuse(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const path = request.url.split("?", 1)[0] ?? "";
    const allowed = Array.from(methods).filter((method) => routeOf(method, path));
    // A route with a wildcard may say that it has nothing of that name.
    if (allowed.length === 0 || allowed.some((method) => method === request.method))
      return sendProblem(reply, new MillraceError("NOT_FOUND", path.slice(0, 256)));
    void reply.header("allow", allowed.join(", "));
    return sendProblem(
      reply,
      new MillraceError("METHOD_NOT_ALLOWED", `${request.method} on ${path.slice(0, 256)}`),
    );
  }
  return server;
}

/** Options of node's own server, plain or with TLS. */
function listenerOf({ requestTimeoutMs, certificates }: ServerSettings) {
  const common = {
    // Its answer would be no problem details; see requestFault.
    requireHostHeader: false,
    headersTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
  };
  if (certificates === undefined) return { http: common };
  const { ca } = certificates.current;
  return {
    https: {
      ...common,
      ...certificates.current,
      handshakeTimeout: requestTimeoutMs,
      requestCert: ca !== undefined,
      rejectUnauthorized: ca !== undefined,
    },
  };
}

export interface Description {
  readonly title: string;
  readonly description: string;
  /** Whether any route asks for a key. */
  readonly keys: boolean;
}

/** Adds /openapi.json and /docs, made from the schemas of the routes registered after this. */
export async function describe(server: FastifyInstance, description: Description): Promise<void> {
  const { keys, ...words } = description;
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { ...words, version: "1", license: { name: "Apache-2.0" } },
      ...(keys ? { components: { securitySchemes: { [KEY_SCHEME]: keyScheme } } } : {}),
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

const keyScheme = {
  type: "http",
  scheme: "bearer",
  description:
    "A key with the access that the route needs, as its operator has made it by `millrace keys create`.",
} as const;

/** What the HTTP parser lets through and RFC 9112 does not. */
function requestFault({ httpVersion, rawHeaders }: IncomingMessage): MillraceError | undefined {
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    return new MillraceError("MALFORMED_REQUEST", `HTTP/${httpVersion}; only 1.1 and 1.0 are taken`);
  }
  // `headers` has the first of two.
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === 4 && rawHeaders[at]?.toLowerCase() === "host") hosts += 1;
  }
  if (hosts > 1 || (hosts === 0 && httpVersion === "1.1")) {
    return new MillraceError("MALFORMED_REQUEST", `there are ${hosts} host headers; one is needed`);
  }
  return undefined;
}
