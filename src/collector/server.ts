import cors from "@fastify/cors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { encodeRows, rowsOf } from "../domain/envelope.ts";
import { MillraceError } from "../errors.ts";
import { guardRoutes, type KeyRing } from "../http/keys.ts";
import { problemContentType, problemOf } from "../http/problem.ts";
import { limitRequests } from "../http/rate-limit.ts";
import { createServer, describe, type ServerSettings } from "../http/server.ts";
import type { CertificateSource } from "../ports/certificates.ts";
import type { Publisher } from "../ports/broker.ts";
import type { Clock } from "../ports/clock.ts";
import type { Tracer } from "../ports/tracer.ts";
import type { Emit } from "../signals.ts";
import { type AcceptRules, acceptMany, acceptOne } from "./accept.ts";
import { type Budget, checkValues, Hold, readBody, release } from "./body.ts";
import { RequestFigures } from "./debug-vars.ts";
import { GroupCommit } from "./group-commit.ts";
import { DailyQuota } from "./quota.ts";
import { traceRequests } from "./request-spans.ts";
import { debugVarsRoute, eventRoute, eventsRoute } from "./routes.ts";

export interface CollectorSettings extends ServerSettings, Omit<AcceptRules, "plainText"> {
  readonly eventMaxBytes: number;
  readonly batchMaxBytes: number;
  readonly messageMaxEvents: number;
  readonly unconfirmedMaxBytes: number;
  readonly corsOrigins: readonly string[];
  readonly rateLimitPerSecond: number;
}
export interface CollectorParts {
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** A new message id: unique, and the same for no two messages ever. */
  readonly newId: () => string;
  readonly emit: Emit;
  readonly tracer?: Tracer | undefined;
  readonly keys: KeyRing;
  readonly certificates?: CertificateSource | undefined;
}

/** What a rejected event keeps waiting for its answer: its reason and a few fields. */
const REJECTION_BYTES = 512;
/** JSON values that an event may come to on average, with room to spare: a plain one has 6, a CloudEvent some 15. */
const VALUES_AN_EVENT = 32;

/** The HTTP server of the collector, not yet listening. A 2xx of it means durable. */
export async function createCollector(
  parts: CollectorParts,
  settings: CollectorSettings,
): Promise<FastifyInstance> {
  const { clock, emit, tracer, keys, certificates } = parts;
  const server = createServer({ ...settings, certificates }, emit);
  const budget: Budget = { maxBytes: settings.unconfirmedMaxBytes, usedBytes: 0, requests: 0 };
  const figures = new RequestFigures();
  const quota = new DailyQuota();
  const rules: AcceptRules = { ...settings, plainText: settings.corsOrigins.length > 0 };
  const encode = (rows: readonly string[]) => encodeRows(parts.newId(), rows);
  const group = new GroupCommit(
    { publisher: parts.publisher, encode, emit, tracer },
    settings.messageMaxEvents,
  );
  emit("collector.opened", {
    load: () => ({
      requests: budget.requests,
      bytes: budget.usedBytes,
      bytesLimit: budget.maxBytes,
      messages: group.inFlight,
    }),
  });

  const checkKey = keys.checkOf("write");
  await describe(server, {
    title: "Millrace collector",
    description: "Takes in events. A 2xx means durable; each event is counted once.",
    keys: checkKey !== undefined,
  });
  if (settings.corsOrigins.length > 0) {
    await server.register(cors, {
      origin: settings.corsOrigins.includes("*") ? "*" : [...settings.corsOrigins],
      strictPreflight: false,
    });
  }
  // The handlers read and judge bodies themselves: bytes count against the budget as they arrive.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", (_request, _payload, done) => done(null));
  server.setValidatorCompiler(() => () => true);

  const onResponse = (route: string) => (_request: FastifyRequest, reply: FastifyReply, done: () => void) => {
    const seconds = reply.elapsedTime / 1000;
    figures.add(reply.statusCode, seconds);
    emit("request.answered", { server: "collector", route, status: reply.statusCode, seconds });
    done();
  };

  await server.register(async (ingest) => {
    const spanOf = tracer && traceRequests(ingest, tracer);
    const holderOf = guardRoutes(ingest, checkKey);
    if (settings.rateLimitPerSecond > 0 || (checkKey !== undefined && keys.mayLimit)) {
      await limitRequests(ingest, { holderOf, byDefault: settings.rateLimitPerSecond });
    }
    // While a request waits for its confirm it keeps the rows alone, not the body or the objects they were made of.
    ingest.post(
      "/event",
      { schema: eventRoute, onResponse: onResponse("/event") },
      async (request, reply) => {
        using hold = new Hold(budget);
        const body = await readBody(request.raw, settings.eventMaxBytes, hold);
        const rows = rowsOf([acceptOne(body, request.headers, rules, clock.now())]);
        await add(rows, 1, request, reply);
        return reply.code(200).send();
      },
    );

    ingest.post(
      "/events",
      { schema: eventsRoute, onResponse: onResponse("/events") },
      async (request, reply) => {
        using hold = new Hold(budget);
        const { rows, events, rejections } = await readMany(request, hold);
        if (rejections.length > 0) emit("events.rejected", { events: rejections.length });
        if (events > 0) await add(rows, events, request, reply);
        return answerMany(reply, events, rejections);
      },
    );
    async function add(
      rows: string,
      events: number,
      request: FastifyRequest,
      reply: FastifyReply,
    ): Promise<void> {
      const giveBack = quota.take(holderOf(request), events, { nowMs: clock.now(), reply });
      try {
        await group.add({ rows, events, span: spanOf?.(request) });
      } catch (error) {
        giveBack();
        throw error;
      }
    }
    async function readMany(request: FastifyRequest, hold: Hold) {
      const body = await readBody(request.raw, settings.batchMaxBytes, hold);
      checkValues(body, settings.batchMaxEvents * VALUES_AN_EVENT);
      const { events, rejections } = acceptMany(body, request.headers, rules, clock.now());
      release(body);
      hold.add(rejections.length * REJECTION_BYTES);
      return { rows: rowsOf(events), events: events.length, rejections };
    }
  });

  server.get("/debug/vars", { schema: debugVarsRoute }, () => figures.vars());
  return server;
}

function answerMany(reply: FastifyReply, accepted: number, rejections: readonly object[]): FastifyReply {
  const answer = { accepted, rejected: rejections.length, results: rejections };
  if (accepted > 0 || rejections.length === 0) {
    return reply
      .code(200)
      .header("content-type", "application/json; charset=utf-8")
      .send(JSON.stringify(answer));
  }
  const error = new MillraceError("INVALID_EVENT", "every event of the batch is rejected; see `results`");
  return reply
    .code(400)
    .header("content-type", problemContentType)
    .send(JSON.stringify({ ...problemOf(error), ...answer }));
}
