import type { FastifyInstance } from "fastify";
import { asMillraceError, MillraceError } from "../errors.ts";

/** The collector's answer, to be passed on as it is. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
/** Hands an event to a collector. Rejects with COLLECTOR_UNAVAILABLE. */
export type SendEvent = (body: Buffer, authorization: string | undefined) => Promise<Answer>;

/** Longest wait for the collector's answer, in milliseconds. */
const TIMEOUT_MS = 10_000;
/** What of an answer a client must see. */
const passedOn = [
  "content-type",
  "retry-after",
  "www-authenticate",
  "ratelimit-limit",
  "ratelimit-remaining",
  "ratelimit-reset",
];

const json = "application/json";
const withAuthorization = (authorization: string | undefined) => ({
  "content-type": json,
  ...(authorization === undefined ? {} : { authorization }),
});

/** To the collector of this process, without a network. */
export function sendWithin(collector: FastifyInstance): SendEvent {
  return async (body, authorization) => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    try {
      const headers = withAuthorization(authorization);
      const answered = collector.inject({ method: "POST", url: "/event", headers, payload: body });
      const { statusCode, headers: told, body: text } = await Promise.race([answered, late.promise]);
      return { status: statusCode, headers: kept((name) => told[name]), body: text };
    } catch (error) {
      throw asMillraceError(error, "COLLECTOR_UNAVAILABLE");
    } finally {
      clearTimeout(timer);
    }
  };
}

/** To a collector elsewhere. */
export function sendTo(collectorUrl: string): SendEvent {
  const url = new URL("event", collectorUrl.endsWith("/") ? collectorUrl : `${collectorUrl}/`);
  return async (body, authorization) => {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: withAuthorization(authorization),
        body: new Uint8Array(body),
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      return { status: response.status, headers: kept((name) => response.headers.get(name)), body: text };
    } catch (cause) {
      throw new MillraceError("COLLECTOR_UNAVAILABLE", `${url.origin} does not answer`, { cause });
    }
  };
}

function kept(
  headerOf: (name: string) => string | string[] | number | null | undefined,
): Readonly<Record<string, string>> {
  const found = passedOn.flatMap((name) => {
    const header = headerOf(name);
    return header === undefined || header === null ? [] : [[name, String(header)] as const];
  });
  return Object.fromEntries(found);
}
