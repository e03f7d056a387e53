import helmet from "@fastify/helmet";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type Access, accesses } from "../domain/key.ts";
import { MillraceError } from "../errors.ts";
import { guardRoutes, type KeyCheck, type KeyRing } from "../http/keys.ts";
import type { Emit } from "../signals.ts";
import { serveDeadLetters } from "./dead-letter-routes.ts";
import { DeadLetterDesk, type LendDeadLetters } from "./dead-letters.ts";
import { LiveStreams } from "./live.ts";
import { type PageFile, readPageFiles } from "./page-files.ts";
import type { Processes } from "./processes.ts";
import { liveRoute, sendRoute, setupRoute } from "./routes.ts";
import { checkSameSite } from "./same-site.ts";
import { Sampler } from "./sampler.ts";
import type { SendEvent } from "./send-event.ts";
import type { ConsoleSetup } from "./snapshot.ts";

export interface ConsoleParts {
  readonly processes: Processes;
  readonly hasOperator: boolean;
  /** Undefined where there is no collector that is known. */
  readonly sendEvent: SendEvent | undefined;
  /** Undefined where there is no broker that is known. */
  readonly lendDeadLetters: LendDeadLetters | undefined;
  readonly emit: Emit;
  readonly keys: KeyRing;
}
export interface ConsoleSettings {
  readonly version: string;
  readonly eventMaxBytes: number;
}

/** Events that are being passed on at a time; the answer to more is 503. */
const MAX_SENDING = 16;

/** The live page and what it asks for, as routes of the query API. */
export async function serveConsole(
  server: FastifyInstance,
  parts: ConsoleParts,
  settings: ConsoleSettings,
): Promise<void> {
  await server.register(async (scope) => {
    await scope.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          "default-src": ["'self'"],
          "object-src": ["'none'"],
          "base-uri": ["'none'"],
          "form-action": ["'self'"],
          "frame-ancestors": ["'none'"],
        },
      },
      frameguard: { action: "deny" },
      strictTransportSecurity: false,
    });
    await servePage(scope, parts.emit);
    await serveFigures(scope, parts, settings);
    await serveActions(scope, parts, settings);
  });
}

async function servePage(scope: FastifyInstance, emit: Emit): Promise<void> {
  for (const [name, file] of await readPageFiles()) {
    const isPage = name === "index.html";
    const onResponse = countedBy(emit, isPage ? "/" : "/console/{file}");
    scope.get(isPage ? "/" : `/console/${name}`, { schema: { hide: true }, onResponse }, (request, reply) =>
      sendFile(request, reply, file),
    );
  }
}

function sendFile(request: FastifyRequest, reply: FastifyReply, file: PageFile): FastifyReply {
  const { contentType, etag, plain, gzipped } = file;
  void reply.headers({ "cache-control": "no-cache", etag, vary: "accept-encoding" });
  if (request.headers["if-none-match"]?.includes(etag) === true) return reply.code(304).send();
  void reply.header("content-type", contentType);
  if (!/\bgzip\b/.test(request.headers["accept-encoding"] ?? "")) return reply.send(plain);
  return reply.header("content-encoding", "gzip").send(gzipped);
}

async function serveFigures(
  scope: FastifyInstance,
  parts: ConsoleParts,
  settings: ConsoleSettings,
): Promise<void> {
  const { processes, hasOperator, emit, keys } = parts;
  const onResponse = countedBy(emit);
  scope.get("/console/setup", { schema: setupRoute, onResponse }, (_request, reply) =>
    reply.header("cache-control", "no-store").send(setupOf(parts, settings)),
  );

  const failed = (error: unknown) => emit("request.failed", { route: "/console/live", error });
  const streams = new LiveStreams(new Sampler({ processes, hasOperator, failed }));
  emit("console.opened", { load: () => ({ pages: streams.open }) });
  scope.addHook("preClose", (done) => {
    streams.end();
    done();
  });
  // One that is taken is not counted as a request: it takes as long as the page is open.
  const onRefusal = (request: FastifyRequest, reply: FastifyReply, done: () => void): void =>
    reply.statusCode === 200 ? done() : onResponse(request, reply, done);
  await scope.register(async (figures) => {
    const checkKey = keys.checkOf("read");
    guardRoutes(figures, checkKey);
    figures.get(
      "/console/live",
      { schema: liveRoute, exposeHeadRoute: false, onResponse: onRefusal },
      ({ headers: { authorization } }, reply) => streams.add(reply, () => void checkKey?.(authorization)),
    );
  });
}

function setupOf(
  { sendEvent, lendDeadLetters, keys }: ConsoleParts,
  { version }: ConsoleSettings,
): ConsoleSetup {
  const checks: Readonly<Record<Access, KeyCheck | undefined>> = {
    write: keys.checkOf("write"),
    read: keys.checkOf("read"),
    admin: keys.checkOfReplay(),
  };
  return {
    version,
    canSend: sendEvent !== undefined,
    canReplay: lendDeadLetters !== undefined,
    needsKeyFor: accesses.filter((access) => checks[access] !== undefined),
  };
}

async function serveActions(
  scope: FastifyInstance,
  parts: ConsoleParts,
  settings: ConsoleSettings,
): Promise<void> {
  const { sendEvent, lendDeadLetters, emit, keys } = parts;
  const onResponse = countedBy(emit);

  if (sendEvent !== undefined) {
    await scope.register(async (raw) => {
      raw.addHook("onRequest", async ({ headers }) => checkSameSite(headers));
      // The collector asks for the same, and counts it against the key's limits.
      guardRoutes(raw, keys.checkOf("write"));
      raw.removeAllContentTypeParsers();
      raw.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
        done(null, body),
      );
      // The collector judges what it is handed.
      raw.setValidatorCompiler(() => () => true);
      const bodyLimit = settings.eventMaxBytes;
      let sending = 0;
      raw.post<{ Body: Buffer }>(
        "/console/event",
        { schema: sendRoute, bodyLimit, onResponse },
        async (request, reply) => {
          if (sending >= MAX_SENDING)
            throw new MillraceError("OVERLOADED", `${MAX_SENDING} events are on their way`);
          sending += 1;
          try {
            const { status, headers, body } = await sendEvent(request.body, request.headers.authorization);
            return await reply
              .code(status)
              .headers(headers)
              .serializer(String)
              .send(body === "" ? undefined : body);
          } finally {
            sending -= 1;
          }
        },
      );
    });
  }
  if (lendDeadLetters !== undefined) {
    await serveDeadLetters(scope, { desk: new DeadLetterDesk(lendDeadLetters), keys, emit, onResponse });
  }
}

const countedBy =
  (emit: Emit, as?: string) =>
  (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const [route, seconds] = [as ?? request.routeOptions.url ?? "", reply.elapsedTime / 1000];
    emit("request.answered", { server: "query", route, status: reply.statusCode, seconds });
    done();
  };
