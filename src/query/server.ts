import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { instantOf, isDay } from "../domain/instant.ts";
import { type Fault, MillraceError } from "../errors.ts";
import { guardRoutes, type KeyRing } from "../http/keys.ts";
import { readLimit } from "../http/limit.ts";
import { limitRequests } from "../http/rate-limit.ts";
import { createServer, describe, type ServerSettings } from "../http/server.ts";
import type { CertificateSource } from "../ports/certificates.ts";
import type { Clock } from "../ports/clock.ts";
import type { Account, MetricTotal, ViewStore } from "../ports/store.ts";
import type { Emit } from "../signals.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { invalidQuery } from "./invalid.ts";
import { accountRoute, accountsRoute, distinctNamesRoute, perUserRoute, totalRoute } from "./routes.ts";

export interface QuerySettings extends ServerSettings {
  readonly queryMaxRows: number;
}
export interface QueryParts {
  readonly store: ViewStore;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly keys: KeyRing;
  readonly certificates?: CertificateSource | undefined;
  /** Adds the live page at `/`; undefined where there is none. */
  readonly serveConsole: ((server: FastifyInstance) => Promise<void>) | undefined;
}

/** Questions in hand at a time; the answer to more is 503. */
const MAX_IN_HAND = 64;

/** The HTTP server of the query API, not yet listening. Every answer is as of the moment it was asked. */
export async function createQuery(
  { store, clock, emit, keys, certificates, serveConsole }: QueryParts,
  settings: QuerySettings,
): Promise<FastifyInstance> {
  const maxRows = settings.queryMaxRows;
  const server = createServer({ ...settings, certificates }, emit);
  const checkKey = keys.checkOf("read");
  await describe(server, {
    title: "Millrace query",
    description: "What the events come to.",
    keys: keys.isNeeded,
  });

  await server.register(async (scope) => {
    const api = scope.withTypeProvider<TypeBoxTypeProvider>();
    let inHand = 0;
    // Of people, and true of this moment.
    api.addHook("onRequest", (_request, reply, done) => {
      void reply.header("cache-control", "no-store");
      done();
    });
    const holderOf = guardRoutes(api, checkKey);
    if (checkKey !== undefined) await limitRequests(api, { holderOf, byDefault: 0 });
    api.addHook("preValidation", readLimit);
    api.addHook("onResponse", (request, reply, done) => {
      const route = request.routeOptions.url ?? "";
      emit("request.answered", {
        server: "query",
        route,
        status: reply.statusCode,
        seconds: reply.elapsedTime / 1000,
      });
      done();
    });
    const inTurn = async <T>(question: () => Promise<T>): Promise<T> => {
      if (inHand >= MAX_IN_HAND)
        throw new MillraceError("OVERLOADED", `${MAX_IN_HAND} questions are in hand`);
      inHand += 1;
      try {
        return await question();
      } finally {
        inHand -= 1;
      }
    };

    api.get("/metrics/hourly_logs/total", { schema: totalRoute(maxRows) }, (request, reply) =>
      inTurn(async () => {
        const { order = "metric", limit = maxRows, cursor } = request.query;
        if (order === "count") {
          if (cursor !== undefined) {
            const detail = "cursor goes with order=metric alone";
            throw invalidQuery([{ pointer: "/cursor", detail }]);
          }
          return (await store.hourlyTotalsByCount(limit, clock.now())).map(totalRow);
        }
        const [fromMetric] = keyOf(cursor, ["string"]);
        const after = cursor === undefined ? undefined : { metric: String(fromMetric) };
        const rows = await store.hourlyTotals({ limit: limit + 1, after }, clock.now());
        return page(request, reply, rows, limit, (row) => [row.metric]).map(totalRow);
      }),
    );

    api.get("/metrics/hourly_logs/per_user", { schema: perUserRoute(maxRows) }, (request, reply) =>
      inTurn(async () => {
        const { username, metric, limit = maxRows, cursor } = request.query;
        const [fromUsername, fromMetric] = keyOf(cursor, ["string", "string"]);
        const after =
          cursor === undefined ? undefined : { username: String(fromUsername), metric: String(fromMetric) };
        const rows = await store.hourlyPerUser(
          { username, metric, page: { limit: limit + 1, after } },
          clock.now(),
        );
        return page(request, reply, rows, limit, (row) => [row.username, row.metric]).map(
          ({ username: user, metric: name, ...summary }) => ({
            _id: { username: user, metric: name },
            ...summary,
          }),
        );
      }),
    );

    api.get("/metrics/distinct_names", { schema: distinctNamesRoute(maxRows) }, (request, reply) =>
      inTurn(async () => {
        const { granularity = "day", from, to, limit = maxRows, cursor } = request.query;
        const faults = [...periodFaults("from", from, granularity), ...periodFaults("to", to, granularity)];
        if (faults.length > 0) throw invalidQuery(faults);
        const [fromPeriod, fromMetric] = keyOf(cursor, ["string", "string"]);
        const after =
          cursor === undefined ? undefined : { period: String(fromPeriod), metric: String(fromMetric) };
        const rows = await store.distinctNames({ granularity, from, to, page: { limit: limit + 1, after } });
        return page(request, reply, rows, limit, (row) => [row.period, row.metric]).map(
          ({ period, metric, count }) => ({ _id: { metric, [granularity]: period }, count }),
        );
      }),
    );

    api.get("/accounts/:username", { schema: accountRoute }, (request) =>
      inTurn(async () => {
        const account = await store.account(request.params.username);
        if (account === undefined) throw new MillraceError("NOT_FOUND", "no event of this username is known");
        return shown(account);
      }),
    );

    api.get("/accounts", { schema: accountsRoute(maxRows) }, (request, reply) =>
      inTurn(async () => {
        const { since, limit = maxRows, cursor } = request.query;
        const sinceMs = since === undefined ? undefined : instantOf(since);
        if (since !== undefined && sinceMs === undefined) {
          const detail = "since must be an RFC 3339 date and time from 1970 to 9999";
          throw invalidQuery([{ pointer: "/since", detail }]);
        }
        const [firstSeenMs, username] = keyOf(cursor, ["number", "string"]);
        const after =
          cursor === undefined ? undefined : { firstSeenMs: Number(firstSeenMs), username: String(username) };
        const rows = await store.accounts({ sinceMs, page: { limit: limit + 1, after } });
        return page(request, reply, rows, limit, (row) => [row.firstSeenMs, row.username]).map(shown);
      }),
    );
  });
  if (serveConsole === undefined) {
    server.get("/", { schema: { hide: true } }, (_request, reply) => reply.redirect("/docs"));
  } else {
    await serveConsole(server);
  }
  return server;
}

const totalRow = ({ metric, ...summary }: MetricTotal) => ({ _id: metric, ...summary });
const shown = ({ username, firstSeenMs }: Account) => ({
  username,
  firstSeen: new Date(firstSeenMs).toISOString(),
});

function keyOf(cursor: string | undefined, types: readonly ("string" | "number")[]) {
  return cursor === undefined ? [] : decodeCursor(cursor, types);
}

function periodFaults(
  name: "from" | "to",
  period: string | undefined,
  granularity: "day" | "month",
): readonly Fault[] {
  const form = granularity === "day" ? "YYYY-MM-DD" : "YYYY-MM";
  if (period === undefined) return [];
  const [year = 0, month = 0, day = 1] = period.split("-").map(Number);
  if (period.length === form.length && isDay(year, month, day)) return [];
  return [{ pointer: `/${name}`, detail: `${name} must be a ${granularity} as ${form}` }];
}

/** The rows of a page, of which one more than `limit` was read; if it is there, the reply links to the next page. */
function page<Row>(
  request: FastifyRequest,
  reply: FastifyReply,
  rows: readonly Row[],
  limit: number,
  keyOfRow: (row: Row) => readonly (string | number)[],
): readonly Row[] {
  const shownRows = rows.slice(0, limit);
  const last = shownRows.at(-1);
  if (rows.length > limit && last !== undefined) {
    const url = new URL(request.url, "http://localhost");
    url.searchParams.set("cursor", encodeCursor(keyOfRow(last)));
    void reply.header("link", `<${url.pathname}${url.search}>; rel="next"`);
  }
  return shownRows;
}
