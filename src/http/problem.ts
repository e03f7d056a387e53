import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { type ErrorCode, errorTable, MillraceError } from "../errors.ts";

export const problemContentType = "application/problem+json";

/** What a client is told of an error: problem details of RFC 9457, with `code` and, for a body, `errors`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** A stable name, whose page is the error's row in docs/errors.md. */
const typeOf = (code: ErrorCode): string =>
  `https://millrace.io/errors#${code.toLowerCase().replaceAll("_", "-")}`;

export function problemOf(error: MillraceError): Problem {
  const { status, title } = error.facts;
  return {
    type: typeOf(error.code),
    title,
    status,
    code: error.code,
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.faults.length === 0 ? {} : { errors: error.faults }),
  };
}

/** Seconds that a client should wait before it tries again; more than one, at random, spreads the herd. */
const retryAfterSeconds = (): number => 1 + Math.floor(Math.random() * 3);

export function sendProblem(reply: FastifyReply, error: MillraceError): FastifyReply {
  const { status, retry } = error.facts;
  if (retry === "later" && status !== 500 && !reply.hasHeader("retry-after")) {
    void reply.header("retry-after", retryAfterSeconds());
  }
  if (error.code === "KEY_MISSING") void reply.header("www-authenticate", "Bearer");
  // What was not read of the body would be taken for the next request.
  if (!reply.request.raw.complete) void reply.header("connection", "close");
  return reply
    .code(status)
    .header("content-type", problemContentType)
    .send(JSON.stringify(problemOf(error)));
}

const codeOfStatus = new Map<number, ErrorCode>([
  [400, "MALFORMED_BODY"],
  [404, "NOT_FOUND"],
  [408, "BODY_TIMEOUT"],
  [413, "BODY_TOO_LARGE"],
  [415, "UNSUPPORTED_MEDIA_TYPE"],
  [429, "RATE_LIMITED"],
  [503, "OVERLOADED"],
]);

/** Fastify's and its plugins' errors in our words; what is nobody's fault but ours is INTERNAL and tells no detail. */
export function errorOf(thrown: FastifyError | Error, request: FastifyRequest): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  if ("validation" in thrown && thrown.validation !== undefined) {
    const faults = thrown.validation.map(({ instancePath, message = "is not valid", params }) => {
      const named = params["additionalProperty"] ?? params["missingProperty"];
      return { pointer: typeof named === "string" ? `/${named}` : instancePath, detail: message };
    });
    return new MillraceError("INVALID_QUERY", thrown.message, { faults });
  }
  const status = "statusCode" in thrown ? (thrown.statusCode ?? 500) : 500;
  const code = codeOfStatus.get(status);
  if (code === undefined || errorTable[code].status >= 500)
    return new MillraceError("INTERNAL", undefined, { cause: thrown });
  return new MillraceError(code, code === "NOT_FOUND" ? request.url : thrown.message);
}
